import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@balados/platform-service';
import { reasonOf, Section, SECTION_TIMEOUT_MS } from './sections';

/** While somebody looks, everything is asked for this often, in milliseconds, however many look. */
export const COLLECT_EVERY_MS = 3_000;
/** So many samples of what is drawn are remembered: ten minutes. */
export const SAMPLES_KEPT = 200;
/** Those before a pause longer than this are forgotten, in milliseconds. */
export const SAMPLES_GAP_MS = 60_000;

/** A part of what the page shows, or why it is away. */
export type Shown = ({ away: string } | { away?: undefined }) & Record<string, unknown>;

/** All that the page shows at a moment, by section. */
export interface Snapshot {
  /** Epoch milliseconds. */
  at: number;
  sections: Record<string, Shown>;
}

/** What is drawn over time: numbers by name, null where they were not known. */
export type Sample = { at: number } & Record<string, number | null>;

interface CollectorParts {
  sections: Readonly<Record<string, Section>>;
  /** What of a snapshot is drawn over time. */
  sampleOf: (snapshot: Snapshot) => Record<string, number | null>;
  log: Pick<Logger, 'warn'>;
  everyMs?: number;
  timeoutMs?: number;
}

/** Asks the stores for all viewers together, and only while there are any. */
export class Collector {
  private readonly viewers = new Set<(snapshot: Snapshot, sample: Sample) => void>();
  private readonly underWay = new Map<string, Promise<object>>();
  private samples: Sample[] = [];
  private last: Snapshot | undefined;
  private isRunning = false;
  /** Sections that are away, which is logged once. */
  private readonly away = new Set<string>();

  constructor(private readonly parts: CollectorParts) {}

  get viewerCount(): number {
    return this.viewers.size;
  }

  /** What was sampled so far. */
  get history(): readonly Sample[] {
    return this.samples;
  }

  /** Told of each snapshot from now on, and of the last one if it is fresh. @returns what ends it */
  watch(viewer: (snapshot: Snapshot, sample: Sample) => void): () => void {
    const { everyMs = COLLECT_EVERY_MS } = this.parts;
    this.viewers.add(viewer);
    const sample = this.samples.at(-1);
    if (this.last && sample && Date.now() - this.last.at < 2 * everyMs) viewer(this.last, sample);
    if (!this.isRunning) void this.run();
    return () => void this.viewers.delete(viewer);
  }

  /** Everything as it is now. */
  async collect(): Promise<Snapshot> {
    const names = Object.keys(this.parts.sections);
    const shown = await Promise.all(names.map((name) => this.show(name)));
    return { at: Date.now(), sections: Object.fromEntries(names.map((name, index) => [name, shown[index]!])) };
  }

  private async run(): Promise<void> {
    const { everyMs = COLLECT_EVERY_MS, sampleOf } = this.parts;
    for (this.isRunning = true; (this.isRunning = this.viewers.size > 0);) {
      const snapshot = await this.collect();
      const sample = { at: snapshot.at, ...sampleOf(snapshot) };
      const { at = -Infinity } = this.samples.at(-1) ?? {};
      this.samples = [...(sample.at - at > SAMPLES_GAP_MS ? [] : this.samples), sample].slice(-SAMPLES_KEPT);
      this.last = snapshot;
      for (const viewer of this.viewers) viewer(snapshot, sample);
      await delay(everyMs, undefined, { ref: false });
    }
  }

  /** What is not answered yet is not asked for again: a store that says nothing is left alone with one question of each kind. */
  private async show(name: string): Promise<Shown> {
    const { sections, timeoutMs = SECTION_TIMEOUT_MS, log } = this.parts;
    let asked = this.underWay.get(name);
    if (!asked) {
      asked = sections[name]!();
      this.underWay.set(name, asked);
      asked.catch(() => undefined).finally(() => this.underWay.delete(name));
    }
    const late = new AbortController();
    const inTime = delay(timeoutMs, undefined, { signal: late.signal }).then(
      () => ({ away: `No answer within ${timeoutMs / 1_000} s.` }),
      () => ({ away: '' }),
    );
    const shown = (await Promise.race([
      asked.catch((error: unknown) => ({ away: reasonOf(error), error })),
      inTime,
    ])) as Shown;
    late.abort();
    const { error, ...rest } = shown;
    if (rest.away === undefined) this.away.delete(name);
    else if (!this.away.has(name)) {
      this.away.add(name);
      log.warn({ section: name, reason: rest.away, err: error }, 'a part of the dashboard is away');
    }
    return rest as Shown;
  }
}
