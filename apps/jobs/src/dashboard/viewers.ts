import type { ServerResponse } from 'node:http';
import { randomBytes } from 'node:crypto';
import { Problem, RETRY_AFTER_SECONDS, stopOf } from '@balados/platform-service';
import type { Collector, Snapshot } from './collector';

/** So many may look at the same time at one copy of the service. */
export const VIEWERS_MAX = 20;
/** A sign of life follows so long after the last one, in milliseconds: connections on which nothing moves for a minute are cut. */
export const HEARTBEAT_MS = 15_000;
/** Who has not read this many bytes gets no more until they have. */
export const UNREAD_MAX_BYTES = 1_048_576;
/** Who has left something unread at so many signs of life in a row is gone, and makes room. */
export const UNREAD_HEARTBEATS = 3;
/** What is not read so long after the end is not waited for, in milliseconds. */
export const LAST_WORDS_MS = 1_000;
/** A page whose connection ended asks again after this long, in milliseconds. */
export const RECONNECT_MS = 2_000;

/** Server-sent events, one to each viewer for each snapshot. */
export class Viewers {
  private readonly open = new Set<{ session: string; end: () => void }>();
  /** Ids of one life of the process: a page that comes back may have missed some, and is told all that is now. */
  private readonly life = randomBytes(4).toString('hex');
  private sent = 0;
  private text: { of: Snapshot; id: number; text: string } | undefined;

  constructor(private readonly collector: Collector) {}

  /** @throws Problem 503 when there are too many already */
  assertRoom(): void {
    if (this.open.size < VIEWERS_MAX) return;
    const detail = `More than ${VIEWERS_MAX} are looking; close another page.`;
    throw new Problem(503, 'unavailable', detail, { retryAfter: RETRY_AFTER_SECONDS });
  }

  /** Writes to a response, whose headers are set, until its session ends (epoch milliseconds), it is closed, or the server stops. */
  begin(response: ServerResponse, { session, endsAt }: { session: string; endsAt: number }): void {
    response.writeHead(200);
    response.write(`retry: ${RECONNECT_MS}\n\n`);
    response.write(`event: history\ndata: ${JSON.stringify(this.collector.history)}\n\n`);
    let unread = 0;
    const heartbeat = setInterval(() => {
      unread = response.writableLength > 0 ? unread + 1 : 0;
      if (unread >= UNREAD_HEARTBEATS) response.destroy();
      else response.write(': \n\n');
    }, HEARTBEAT_MS);
    const unwatch = this.collector.watch((snapshot, sample) => {
      if (response.writableLength < UNREAD_MAX_BYTES) response.write(this.eventOf(snapshot, sample));
    });
    const leave = (): void => {
      clearInterval(heartbeat);
      clearTimeout(ending);
      unwatch();
      stop.removeEventListener('abort', viewer.end);
      this.open.delete(viewer);
    };
    const viewer = {
      session,
      // From its end on nothing may be written to a response, whether or not it is read to it.
      end: () => {
        leave();
        response.end();
        setTimeout(() => response.destroy(), LAST_WORDS_MS).unref();
      },
    };
    const stop = stopOf(response);
    stop.addEventListener('abort', viewer.end);
    const ending = setTimeout(viewer.end, Math.max(0, endsAt - Date.now()));
    this.open.add(viewer);
    response.once('close', leave);
  }

  /** Ends what this copy tells the pages of a session. */
  endSession(session: string): void {
    for (const viewer of this.open) if (viewer.session === session) viewer.end();
  }

  /** The same for all who look. */
  private eventOf(snapshot: Snapshot, sample: object): string {
    if (this.text?.of !== snapshot) {
      this.sent += 1;
      const data = JSON.stringify({ ...snapshot, sample });
      this.text = {
        of: snapshot,
        id: this.sent,
        text: `id: ${this.life}-${this.sent}\nevent: snapshot\ndata: ${data}\n\n`,
      };
    }
    return this.text.text;
  }
}
