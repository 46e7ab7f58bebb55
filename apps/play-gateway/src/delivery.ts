import { setTimeout as delay } from 'node:timers/promises';
import { EventMetadata, Refusal, StoreUnavailable, StreamGone, TooContended } from '@balados/event-sourcing';
import type { Logger } from '@balados/platform-service';
import { together } from '@balados/platform-tracing';
import { AccountsUnavailable, PersonalTokens } from '@balados/users-accounts';
import { ListenerStreams, metadataOf } from '@balados/users-write';
import { Journal, Segment } from './journal';
import { Play } from './journal-lines';
import { gatheringAt, LOOK_EVERY_MS, measureLoop, restAfter, standsBack } from './links-first';

/** Plays that are delivered side by side, those of one listener in one append. */
export const DELIVERED_TOGETHER = 64;
/** Pauses before what could not be delivered is tried again, in milliseconds: doubled from the first to the longest. */
export const RETRY_PAUSE_MS = 100;
export const RETRY_LONGEST_PAUSE_MS = 15_000;
/** A file with a play that fails by itself is left alone by itself, with the pauses doubled up to this, in milliseconds. */
export const RETRY_LONGEST_REST_MS = 120_000;
/** A play that fails for a reason that does not pass by itself is given up after this long, in milliseconds. */
export const UNDELIVERABLE_AFTER_MS = 7 * 86_400_000;
/** An orderly stop waits this long for what is being delivered, in milliseconds; the rest stays in the journal. */
export const STOP_PATIENCE_MS = 5_000;

/** What became of a play. All but the first are dropped, and so are those that nobody may count any more. */
export type Delivered =
  | 'recorded'
  /** The listener heard it that day already, or has erased everything since. */
  | 'repeat'
  | 'unknown_token'
  | 'account_gone'
  /** Their library is full. */
  | 'refused'
  | 'given_up';

/** A play that stays in the journal. */
interface Kept {
  reason: unknown;
}

/** Takes plays from the journal to the listeners' streams, for as long as it takes; each stays in the journal until the store has it. */
export class Delivery {
  private readonly stopping = new AbortController();
  private wakeUp: (() => void) | undefined;
  /** How often the stores were away, one after the other. */
  private failures = 0;
  /** Files whose plays fail for reasons of their own, by number: how often, and until when (`performance.now`) they are left alone. */
  private readonly resting = new Map<number, { failures: number; until: number }>();
  private readonly running: Promise<void>;

  constructor(
    private readonly parts: {
      journal: Journal;
      streams: Pick<ListenerStreams, 'listening'>;
      tokens: Pick<PersonalTokens, 'ownerOfHash'>;
      log: Logger;
      onDelivered: (result: Delivered) => void;
      /** How busy this process is with other things. */
      measure?: typeof measureLoop;
    },
  ) {
    this.running = this.run();
  }

  /** There is something to deliver. */
  wake(): void {
    this.wakeUp?.();
  }

  async close(): Promise<void> {
    this.stopping.abort();
    this.wake();
    // A store that was away a moment ago is not waited for.
    const patience = this.failures > 0 ? 0 : STOP_PATIENCE_MS;
    await Promise.race([this.running, delay(patience, undefined, { ref: false })]);
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (this.wakeUp = resolve));
      const outcome = await this.round().catch((error: unknown) => {
        this.parts.log.error({ err: error }, 'the journal cannot be worked off');
        return 'away' as const;
      });
      if (outcome === 'nothing') await this.wokenOrRested(woken);
      else if (outcome === 'away') await this.pause();
      else this.failures = 0;
    }
  }

  /** Through all files that are not left alone, the oldest first; when the stores are away the others need not be tried. */
  private async round(): Promise<'nothing' | 'done' | 'away'> {
    const { journal, log } = this.parts;
    let outcome: 'nothing' | 'done' = 'nothing';
    for (let after = 0; ;) {
      const resting = (number: number): boolean => (this.resting.get(number)?.until ?? 0) > performance.now();
      const waitsSince = journal.waitsSince(after, resting);
      if (waitsSince === undefined) return outcome;
      // Before the file is read, and takes no more plays.
      await this.makeWay(gatheringAt(journal.filled), waitsSince);
      const segment = await journal.segmentAfter(after, resting);
      if (!segment || this.stopping.signal.aborted) return outcome;
      const { number } = segment;
      const result = await this.deliver(segment).catch((error: unknown) => {
        log.error({ err: error, segment: number }, 'a file of the journal cannot be worked off');
        return 'failed' as const;
      });
      if (result === 'away') return 'away';
      // Those in other files need not wait for it.
      if (result === 'failed') this.rest(number);
      else this.resting.delete(number);
      outcome = 'done';
      after = number;
    }
  }

  private rest(number: number): void {
    const failures = (this.resting.get(number)?.failures ?? 0) + 1;
    this.resting.set(number, { failures, until: performance.now() + pauseAfter(failures, RETRY_LONGEST_REST_MS) });
  }

  /** Waits until there is something to deliver, or a file to be tried again. */
  private async wokenOrRested(woken: Promise<void>): Promise<void> {
    const next = Math.min(...[...this.resting.values()].map(({ until }) => until));
    if (next === Infinity) return woken;
    const waiting = new AbortController();
    const signal = AbortSignal.any([waiting.signal, this.stopping.signal]);
    const rested = delay(Math.max(next - performance.now(), 0), undefined, { signal, ref: false });
    await Promise.race([woken, rested.catch(() => undefined)]);
    waiting.abort();
  }

  private async deliver(segment: Segment): Promise<'done' | 'failed' | 'away'> {
    const { journal, log } = this.parts;
    const plays = byListener(await journal.read(segment)).flat();
    const unnoted: number[] = [];
    let failed = false;
    for (let start = 0; start < plays.length; start += DELIVERED_TOGETHER) {
      if (this.stopping.signal.aborted) return 'failed';
      const startedAt = performance.now();
      const kept = await this.deliverGroup(segment, plays.slice(start, start + DELIVERED_TOGETHER), unnoted);
      if (kept) {
        failed = true;
        if (isAway(kept.reason)) {
          if (this.failures === 0) log.warn({ err: kept.reason }, 'plays wait in the journal: the stores are away');
          return 'away';
        }
        log.error({ err: kept.reason }, 'a play could not be delivered');
      }
      if (start + DELIVERED_TOGETHER < plays.length)
        await this.makeWay(restAfter(performance.now() - startedAt, journal.filled), segment.since);
    }
    return failed ? 'failed' : 'done';
  }

  /** Rests, and then goes on resting for as long as links come first. */
  private async makeWay(restMs: number, waitsSince: number): Promise<void> {
    const { journal, measure = measureLoop } = this.parts;
    const { signal } = this.stopping;
    for (let rest = restMs; rest > 0 && !signal.aborted; rest = LOOK_EVERY_MS) {
      const busySince = measure();
      await delay(rest, undefined, { signal, ref: false }).catch(() => undefined);
      if (!standsBack({ busy: busySince(), filled: journal.filled, waitedMs: performance.now() - waitsSince })) return;
    }
  }

  /**
   * One of those that are kept, if any are. What is delivered and cannot be noted, on a disk that is full, is noted with the next group: a
   * file that comes to its end goes, and makes room.
   */
  private async deliverGroup(
    segment: Segment,
    group: readonly [number, Play][],
    unnoted: number[],
  ): Promise<Kept | undefined> {
    const done = unnoted.splice(0);
    let kept: Kept | undefined;
    await Promise.all(
      byListener(group).map(async (ofOne) => {
        const results = await this.deliverTo(ofOne.map(([, play]) => play));
        for (const [index, result] of results.entries()) {
          if (typeof result === 'string') {
            this.parts.onDelivered(result);
            done.push(ofOne[index]![0]);
          } else kept = result;
        }
      }),
    );
    if (done.length === 0) return kept;
    try {
      await this.parts.journal.done(segment, done);
    } catch (error) {
      this.parts.log.warn({ err: error }, 'what is delivered cannot be noted: after a restart it is delivered again');
      unnoted.push(...done);
    }
    return kept;
  }

  /** Plays of one listener, in one append. */
  private async deliverTo(plays: readonly Play[]): Promise<(Delivered | Kept)[]> {
    const { streams, tokens } = this.parts;
    try {
      const userId = plays[0]!.userId ?? (await tokens.ownerOfHash(plays[0]!.tokenHash));
      if (userId === '') return plays.map(() => 'unknown_token');
      const traces = plays.map(({ traceparent }) => traceparent);
      const outcomes = await together('deliver play', traces, (carried) =>
        streams.listening.handleAll(
          userId,
          plays.map(({ feed, item, heardAt, correlationId }, index) => ({
            command: { type: 'RecordListen', data: { feed, item, heardAt } },
            // Of the day on which it was heard, however late it comes.
            metadata: withTrace(metadataOf({ userId, correlationId }, heardAt), carried[index]),
          })),
        ),
      );
      return outcomes.map((outcome, index) => {
        if ('error' in outcome) return this.afterFailure(plays[index]!, outcome.error);
        return outcome.events.length > 0 ? 'recorded' : 'repeat';
      });
    } catch (error) {
      return plays.map((play) => this.afterFailure(play, error));
    }
  }

  private afterFailure({ heardAt, correlationId }: Play, error: unknown): Delivered | Kept {
    if (error instanceof StreamGone) return 'account_gone';
    if (error instanceof Refusal) return 'refused';
    const mayPass = isAway(error) || error instanceof TooContended;
    if (mayPass || Date.now() - heardAt < UNDELIVERABLE_AFTER_MS) return { reason: error };
    this.parts.log.error({ err: error, correlationId }, 'a play is given up');
    return 'given_up';
  }

  private async pause(): Promise<void> {
    this.failures += 1;
    await delay(pauseAfter(this.failures, RETRY_LONGEST_PAUSE_MS), undefined, {
      signal: this.stopping.signal,
      ref: false,
    }).catch(() => undefined);
  }
}

/** In milliseconds; not all that failed at the same time are to come back at the same time. */
const pauseAfter = (failures: number, longestMs: number): number =>
  Math.min(longestMs, RETRY_PAUSE_MS * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);

/** Of the stores, and so the same for all plays. */
const isAway = (error: unknown): boolean => error instanceof StoreUnavailable || error instanceof AccountsUnavailable;

const withTrace = (metadata: EventMetadata, traceparent: string | undefined): EventMetadata =>
  traceparent === undefined ? metadata : { ...metadata, traceparent };

/** In their order. */
function byListener(plays: Iterable<[number, Play]>): [number, Play][][] {
  const listeners = new Map<string, [number, Play][]>();
  for (const play of plays) {
    const { userId, tokenHash } = play[1];
    const ofOne = listeners.get(userId ?? tokenHash);
    if (ofOne) ofOne.push(play);
    else listeners.set(userId ?? tokenHash, [play]);
  }
  return [...listeners.values()];
}
