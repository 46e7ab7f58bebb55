import type { Limits } from './limits';
import type { RecordedEvent } from './model';

/**
 * The newest committed events in memory, shared by all live subscribers: each keeps only its own position, so a slow
 * one costs nothing. Who is further behind than what is kept reads from Postgres.
 */
export class Tail {
  /** The last committed position. */
  last = 0n;
  /** Every committed event after this position is here. */
  private floor = 0n;
  private events: RecordedEvent[] = [];
  private bytes = 0;
  private bells = new Set<() => void>();

  constructor(private readonly limits: Limits) {}

  /** Starts anew at a position: after the start, and after a commit of which nobody knows whether it happened. */
  reset(last: bigint): void {
    this.events = [];
    this.bytes = 0;
    this.floor = last;
    this.last = last;
    this.ring();
  }

  publish(events: RecordedEvent[]): void {
    for (const event of events) {
      this.events.push(event);
      this.bytes += sizeOf(event);
    }
    this.last = events.at(-1)?.position ?? this.last;
    this.trim();
    this.ring();
  }

  /** At most `limit` events after a position, oldest first; undefined when some of them are only in Postgres. */
  after(position: bigint, limit: number): RecordedEvent[] | undefined {
    if (position < this.floor) return undefined;
    if (position >= this.last) return [];
    let low = 0;
    let high = this.events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.events[middle]!.position > position) high = middle;
      else low = middle + 1;
    }
    return this.events.slice(low, low + limit);
  }

  /** Resolves at the next commit, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.bells.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.bells.add(done);
      signal.addEventListener('abort', done);
      if (signal.aborted) done();
    });
  }

  private ring(): void {
    for (const bell of [...this.bells]) bell();
  }

  private trim(): void {
    if (this.events.length <= this.limits.tailEvents && this.bytes <= this.limits.tailBytes) return;
    // A quarter more than needed goes, so that the array is not moved at each commit.
    let drop = 0;
    while (
      drop < this.events.length &&
      (this.events.length - drop > this.limits.tailEvents * 0.75 || this.bytes > this.limits.tailBytes * 0.75)
    )
      this.bytes -= sizeOf(this.events[drop++]!);
    this.floor = this.events[drop - 1]!.position;
    this.events = this.events.slice(drop);
  }
}

/** With room for the encoded copy. */
const sizeOf = ({ data, metadata, stream, type }: RecordedEvent): number =>
  2 * (data.length + metadata.length + stream.length + type.length) + 400;
