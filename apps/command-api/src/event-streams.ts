import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { Problem, RETRY_AFTER_SECONDS } from '@balados/platform-service';
import type { Authenticate, Listener } from '@balados/users-accounts';
import { beginEvents, ChangeFeed, EventStream } from '@balados/users-read';
import type { ListenerStreams } from '@balados/users-write';

/** Streams that are open at a time: of one listener, of one address, and in one process. */
export const STREAMS_PER_LISTENER = 20;
export const STREAMS_PER_ADDRESS = 200;
export const STREAMS_MAX = 2_000;
/**
 * How often it is asked whether the tokens still stand, in milliseconds: an answer may be four seconds old, and what is revoked ends within
 * five.
 */
export const STREAM_CHECK_MS = 750;
/** At a stop clients come again after this long at most, in milliseconds, each after another. */
export const STOP_RETRY_MAX_MS = 3_000;

/** Who has too many is asked to wait this long, in seconds. */
const TOO_MANY_RETRY_AFTER_SECONDS = 10;

/** Injection token of `EventStreams`. */
export const EVENT_STREAMS = Symbol('event streams');

/** Who asks for a stream, and what for. */
export interface Asking {
  listener: Listener;
  address: string;
  authorization: string | undefined;
  /** Of the last event that the device was told, or a sync token. */
  since: string | undefined;
  /** The connection's end is the stream's. */
  response: ServerResponse;
  stop: AbortSignal;
}

interface Open {
  stream: EventStream;
  authorization: string | undefined;
  /** Whom it counts for. */
  counted: readonly string[];
  isBeingChecked: boolean;
}

/** All event streams of this process. */
export class EventStreams {
  private readonly open = new Set<Open>();
  private readonly counts = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly parts: { feed: ChangeFeed; streams: ListenerStreams; authenticate: Authenticate }) {}

  get size(): number {
    return this.open.size;
  }

  /** What a device is told from now on, as text that goes on until the connection or the right to it ends. @throws Problem 429, 503; StoreUnavailable */
  async begin({ listener: { userId }, address, authorization, since, response, stop }: Asking): Promise<Readable> {
    const stream = new EventStream(() => response.destroy());
    const counted = [`listener ${userId}`, `address ${address}`];
    const entry: Open = { stream, authorization, counted, isBeingChecked: false };
    this.enter(entry);
    // All clients at once would be too many for the other copies.
    const onStop = (): void => stream.end(Math.ceil(Math.random() * STOP_RETRY_MAX_MS));
    let unwatch: (() => void) | undefined;
    const leave = (): void => {
      this.leave(entry);
      stop.removeEventListener('abort', onStop);
      unwatch?.();
    };
    try {
      unwatch = await beginEvents(this.parts, stream, { userId, since });
    } catch (error) {
      leave();
      throw error;
    }
    if (response.destroyed) leave();
    else response.once('close', leave);
    if (stop.aborted) onStop();
    else stop.addEventListener('abort', onStop);
    return stream.text;
  }

  private enter(entry: Open): void {
    const [ofListener, ofAddress] = entry.counted.map((key) => this.counts.get(key) ?? 0) as [number, number];
    if (ofListener >= STREAMS_PER_LISTENER || ofAddress >= STREAMS_PER_ADDRESS)
      throw new Problem(429, 'too_many_requests', 'Too many event streams are open; close one, or try again later.', {
        retryAfter: TOO_MANY_RETRY_AFTER_SECONDS,
      });
    if (this.open.size >= STREAMS_MAX)
      throw new Problem(503, 'busy', 'Too many event streams are open; try again shortly.', {
        retryAfter: RETRY_AFTER_SECONDS,
      });
    this.open.add(entry);
    for (const key of entry.counted) this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    this.timer ??= setInterval(() => this.open.forEach((each) => void this.look(each)), STREAM_CHECK_MS).unref();
  }

  private leave(entry: Open): void {
    if (!this.open.delete(entry)) return;
    for (const key of entry.counted) {
      const left = this.counts.get(key)! - 1;
      if (left > 0) this.counts.set(key, left);
      else this.counts.delete(key);
    }
    if (this.open.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private async look(entry: Open): Promise<void> {
    entry.stream.beat();
    if (entry.isBeingChecked) return;
    entry.isBeingChecked = true;
    try {
      await this.parts.authenticate({ headers: { authorization: entry.authorization } });
      entry.isBeingChecked = false;
    } catch {
      // Revoked or run out; or nobody can tell, and then it is no better here than anywhere else.
      entry.stream.end();
    }
  }
}
