import { setTimeout as delay } from 'node:timers/promises';
import { EventStore, parseStream } from '@balados/event-sourcing';
import { Batches, BatchesParts } from './batches';
import { segmentOf } from './segments';
import { SegmentWorker } from './segment-worker';

/** Segments wait for those that share their subscription and are behind them, until it has read so many events that they know. */
export const FAR_EVENTS = 1_000;

/** What all lanes of a projector share. */
export interface LaneParts extends BatchesParts {
  store: EventStore;
  leaseMs: number;
  /** Of the projector, held here or not. */
  segments: () => number;
  /** Gives these a lane together. */
  moveAway: (workers: readonly SegmentWorker[]) => void;
  /** The store can be asked. */
  onVerified: () => void;
}

/** Some of the segments of a process: one subscription feeds them, and one transaction after the other applies their events together. */
export class Lane {
  readonly workers = new Map<number, SegmentWorker>();
  readonly batches: Batches;
  /** Whether it has read what was there, and waits for what comes. */
  isLive = false;
  readonly closing = new AbortController();
  /** Aborted when the subscription under way is to begin anew. */
  private feeding = new AbortController();
  /** Whoever is here has been offered all up to this. */
  private position: bigint | undefined;

  constructor(private readonly parts: LaneParts) {
    this.batches = new Batches(this.workers, parts);
  }

  restart(): void {
    this.feeding.abort();
  }

  close(): void {
    this.closing.abort();
    this.feeding.abort();
    for (const worker of this.workers.values()) worker.freeIntake();
  }

  /** Whether the segments of another lane have seen all that was handed out here, so that they miss nothing, and would not have to wait. */
  canTake(other: Lane): boolean {
    return !this.batches.isUnbounded && other.active.every(({ seen }) => !isBehind(seen, this.position));
  }

  /** Whether its segments may share transactions with others, or others with them. */
  get isSociable(): boolean {
    return this.isLive && this.active.length > 0 && this.active.every((worker) => worker.isSociable);
  }

  private get active(): SegmentWorker[] {
    return [...this.workers.values()].filter(({ active }) => active);
  }

  /** Subscribes from where the segment furthest behind stands, until it is closed or restarted. */
  async feed(): Promise<void> {
    const { projector, store, leaseMs, segments, moveAway, onVerified, onSociable } = this.parts;
    this.isLive = false;
    this.feeding = new AbortController();
    const { signal } = this.feeding;
    if (this.closing.signal.aborted) return;
    await this.verify();
    onVerified();
    const { active } = this;
    if (active.length === 0) {
      await delay(leaseMs, undefined, { signal }).catch(() => undefined);
      return;
    }
    this.position = active.map(({ seen }) => seen).reduce(lower);
    let known = 0;
    for await (const item of store.subscribe({ after: this.position, prefixes: projector.prefixes, signal })) {
      if (signal.aborted) return;
      if ('caughtUp' in item) {
        for (const worker of this.workers.values()) worker.everythingSeen();
        this.isLive = true;
        onSociable();
        continue;
      }
      const position = 'checkpoint' in item ? item.checkpoint : item.position;
      this.position = position;
      const ahead = this.active.filter(({ seen }) => isBehind(position, seen));
      known = ahead.length > 0 ? known + 1 : 0;
      let full: SegmentWorker | undefined;
      if ('revision' in item) {
        const listener = parseStream(item.stream)?.userId ?? item.stream;
        const worker = this.workers.get(segmentOf(listener, segments()));
        if (worker?.active && isBehind(worker.seen, position)) {
          if (!worker.offer(item)) full = worker;
          worker.seen = position;
        }
      }
      if (ahead.length > 0 && (full || known >= FAR_EVENTS)) moveAway(ahead);
      if (full) {
        // Where all are behind they wait for each other: reading is the least of what there is to do.
        if (this.isLive && this.workers.size > 1) moveAway([full]);
        else await full.room();
      }
      // A position moves on in every segment, whichever one the event belonged to.
      for (const worker of this.workers.values()) if (isBehind(worker.seen, position)) worker.seen = position;
    }
  }

  /** Has those stand still that cannot be fed: positions hold for one log only, and none lies beyond its head. */
  private async verify(): Promise<void> {
    const storeId = await this.parts.store.storeId();
    const head = await this.parts.store.headPosition();
    for (const worker of this.active) {
      const { position } = worker.lease;
      const known = worker.storeId ?? worker.lease.storeId ?? storeId;
      if (known !== storeId)
        await this.batches.fail(
          worker,
          undefined,
          `its position is one of event store ${known}, this is ${storeId}: rebuild it`,
        );
      else if (position !== undefined && (head === undefined || position > head))
        await this.batches.fail(
          worker,
          undefined,
          `its position ${position} lies beyond the event store's head, ${text(head)}: rebuild it`,
        );
      worker.storeId = storeId;
    }
  }
}

const isBehind = (seen: bigint | undefined, position: bigint | undefined): boolean =>
  position !== undefined && (seen === undefined || seen < position);

export const lower = (one: bigint | undefined, two: bigint | undefined): bigint | undefined =>
  one === undefined || two === undefined ? undefined : one < two ? one : two;

export const text = (position: bigint | undefined): string => (position === undefined ? 'the start' : String(position));
