import { setTimeout as delay } from 'node:timers/promises';
import { Refusal, StoreUnavailable, StreamGone, TooContended } from '@balados/event-sourcing';
import type { Logger } from '@balados/platform-service';
import { AccountsUnavailable, PersonalTokens } from '@balados/users-accounts';
import { ListenerStreams, metadataOf } from '@balados/users-write';
import { Journal, Segment } from './journal';
import { Play } from './journal-lines';

/** Plays that are delivered side by side, those of one listener one after the other. */
export const DELIVERED_TOGETHER = 64;
/** Pauses before what could not be delivered is tried again, in milliseconds: doubled from the first to the longest. */
export const RETRY_PAUSE_MS = 100;
export const RETRY_LONGEST_PAUSE_MS = 15_000;
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

/** Takes plays from the journal to the listeners' streams, for as long as it takes; each stays in the journal until the store has it. */
export class Delivery {
  private readonly stopping = new AbortController();
  private wakeUp: (() => void) | undefined;
  private failures = 0;
  private readonly running: Promise<void>;

  constructor(
    private readonly parts: {
      journal: Journal;
      streams: Pick<ListenerStreams, 'listening'>;
      tokens: Pick<PersonalTokens, 'ownerOfHash'>;
      log: Logger;
      onDelivered: (result: Delivered) => void;
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
    await Promise.race([this.running, delay(STOP_PATIENCE_MS, undefined, { ref: false })]);
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (this.wakeUp = resolve));
      const outcome = await this.round().catch((error: unknown) => {
        this.parts.log.error({ err: error }, 'the journal cannot be worked off');
        return 'failed' as const;
      });
      if (outcome === 'nothing') await woken;
      else if (outcome === 'done') this.failures = 0;
      else await this.pause();
    }
  }

  /** Through all files, the oldest first; when the stores are away the others need not be tried. */
  private async round(): Promise<'nothing' | 'done' | 'failed'> {
    let outcome: 'nothing' | 'done' | 'failed' = 'nothing';
    let segment: Segment | undefined;
    while (!this.stopping.signal.aborted && (segment = await this.parts.journal.segmentAfter(segment?.number ?? 0))) {
      const result = await this.deliver(segment);
      if (result === 'away') return 'failed';
      if (outcome !== 'failed') outcome = result;
    }
    return outcome;
  }

  private async deliver(segment: Segment): Promise<'done' | 'failed' | 'away'> {
    const plays = [...(await this.parts.journal.read(segment))];
    let failed = false;
    for (let start = 0; start < plays.length; start += DELIVERED_TOGETHER) {
      if (this.stopping.signal.aborted) return 'failed';
      const together = plays.slice(start, start + DELIVERED_TOGETHER);
      const done: number[] = [];
      let reason: unknown;
      await Promise.all(
        byListener(together).map(async (ofOne) => {
          for (const [place, play] of ofOne) {
            try {
              this.parts.onDelivered(await this.deliverOne(play));
              done.push(place);
            } catch (error) {
              reason = error;
              // The next ones of this listener are later, and must not come before.
              return;
            }
          }
        }),
      );
      if (done.length > 0) await this.parts.journal.done(segment, done);
      if (reason === undefined) continue;
      failed = true;
      if (isAway(reason)) {
        if (this.failures === 0) this.parts.log.warn({ err: reason }, 'plays wait in the journal: the stores are away');
        return 'away';
      }
      this.parts.log.error({ err: reason }, 'a play could not be delivered');
    }
    return failed ? 'failed' : 'done';
  }

  /** @throws what may pass */
  private async deliverOne(play: Play): Promise<Delivered> {
    const { heardAt, tokenHash, feed, item, correlationId } = play;
    const userId = play.userId ?? (await this.parts.tokens.ownerOfHash(tokenHash));
    if (userId === '') return 'unknown_token';
    try {
      return await this.parts.streams.listening.handle(
        userId,
        { type: 'RecordListen', data: { feed, item, heardAt } },
        // Of the day on which it was heard, however late it comes.
        metadataOf({ userId, correlationId }, heardAt),
        ({ events }) => (events.length > 0 ? 'recorded' : 'repeat'),
      );
    } catch (error) {
      if (error instanceof StreamGone) return 'account_gone';
      if (error instanceof Refusal) return 'refused';
      if (isAway(error) || error instanceof TooContended) throw error;
      if (Date.now() - heardAt < UNDELIVERABLE_AFTER_MS) throw error;
      this.parts.log.error({ err: error, correlationId }, 'a play is given up');
      return 'given_up';
    }
  }

  private async pause(): Promise<void> {
    this.failures += 1;
    const longest = Math.min(RETRY_LONGEST_PAUSE_MS, RETRY_PAUSE_MS * 2 ** (this.failures - 1));
    const pause = longest * (0.5 + Math.random() / 2);
    await delay(pause, undefined, { signal: this.stopping.signal, ref: false }).catch(() => undefined);
  }
}

/** Of the stores, and so the same for all plays. */
const isAway = (error: unknown): boolean => error instanceof StoreUnavailable || error instanceof AccountsUnavailable;

function byListener(plays: readonly [number, Play][]): [number, Play][][] {
  const listeners = new Map<string, [number, Play][]>();
  for (const play of plays) {
    const { userId, tokenHash } = play[1];
    const ofOne = listeners.get(userId ?? tokenHash);
    if (ofOne) ofOne.push(play);
    else listeners.set(userId ?? tokenHash, [play]);
  }
  return [...listeners.values()];
}
