import { setTimeout as delay } from 'node:timers/promises';
import { StoredEvent, typesOf } from '@balados/event-sourcing';
import { Log } from './log';
import { Projector } from './projector';
import { Lease } from './segments';

/** One transaction takes at most this many events, each of a bundle counted (always at least what is stored as one). */
export const BATCH_EVENTS = 500;
/** A segment's queue holds about this many events, and this many bytes of their data; then the intake waits. */
export const QUEUE_EVENTS = 2_000;
export const QUEUE_BYTES = 8 * 1024 * 1024;
/** A position that moves without events is stored at most this often, in milliseconds. */
export const IDLE_MOVE_MS = 10_000;
/** Segments wait for each other in a transaction for so long, in milliseconds. */
export const PATIENCE_MS = 3_000;
/** Who had to be waited for longer has transactions of its own at least for so long, in milliseconds. */
export const APART_MS = 10_000;

export interface SegmentStatus {
  segment: number;
  owner: string;
  /** Stored with the rows. */
  position: bigint | undefined;
  /** Up to here everything has arrived in this process. */
  seen: bigint | undefined;
  /** Whether it has once applied all that was there when it was taken. */
  caughtUp: boolean;
  /** Why it stands still. */
  failed: { event: string | undefined; reason: string } | undefined;
  /** Waiting to be applied. */
  queued: number;
  /** Since it was taken. */
  events: number;
  batches: number;
  retries: number;
  lastBatchAt: Date | undefined;
  lastBatchMs: number | undefined;
}

/** What is stored as one event counts for so much: its data as JSON, and all that it says. */
interface Size {
  bytes: number;
  events: number;
}

/** What one segment contributes to a transaction: events in the log's order, and where it then stands. */
export interface SegmentBatch {
  worker: SegmentWorker;
  events: StoredEvent[];
  to: bigint;
}

/** One held segment: the events that wait for it, and how far it has come. */
export class SegmentWorker {
  /** Everything up to here is applied or queued. */
  seen: bigint | undefined;
  failed: SegmentStatus['failed'];
  /** Of the log that its events come from; known before the first one comes. */
  storeId: string | undefined;
  /** Whether the row says that it failed: cleared there, it is tried again. */
  failureNoted = false;
  caughtUp = false;
  /** Stored with the rows. */
  position: bigint | undefined;
  /** Resolves when the transaction that it takes part in has ended. */
  busy: Promise<void> | undefined;
  /** Until then it shares no transactions. */
  private apartUntil = 0;
  retries = 0;
  private queue: StoredEvent[] = [];
  private sizes: Size[] = [];
  private readonly held: Size = { bytes: 0, events: 0 };
  private caughtUpAt: bigint | undefined;
  private storedAt = Date.now();
  private isIdleMoveDue = false;
  private readonly stopping = new AbortController();
  private wakeIntake: (() => void) | undefined;
  private readonly numbers = { events: 0, batches: 0 };
  private lastBatchAt: Date | undefined;
  private lastBatchMs: number | undefined;

  constructor(
    readonly lease: Lease,
    private readonly owner: string,
    private readonly projector: Projector,
    private readonly log: Log,
    /** There is something to apply. */
    readonly onWaiting: () => void,
    /** The segment turned out to be another's. */
    private readonly onLost: () => void,
  ) {
    this.position = lease.position;
    this.seen = lease.position;
  }

  get active(): boolean {
    return !this.stopped && !this.failed;
  }

  get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  /** Waits, but not beyond the stop of this segment. */
  async pause(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.stopping.signal }).catch(() => undefined);
  }

  /** Whether a transaction is to take something from here. */
  get waiting(): boolean {
    return this.active && !this.busy && (this.queue.length > 0 || this.isIdleMoveDue);
  }

  /** Events that wait, each of a bundle counted. */
  get queued(): number {
    return this.held.events;
  }

  /** Whether it may share transactions with others now. */
  get isSociable(): boolean {
    return this.active && Date.now() >= this.apartUntil && this.queued < BATCH_EVENTS;
  }

  keepApart(): void {
    this.apartUntil = Date.now() + APART_MS;
  }

  /** Queues an event. @returns whether there is room for more; if not, wait for `room` */
  offer(event: StoredEvent): boolean {
    if (this.projector.takes && !this.projector.takes(event)) return true;
    const size = sizeOf(event);
    this.queue.push(event);
    this.sizes.push(size);
    this.count([size], 1);
    this.onWaiting();
    return this.held.events < QUEUE_EVENTS && this.held.bytes < QUEUE_BYTES;
  }

  /** Resolves when half of the queue is free, or nothing of it will be applied any more. */
  room(): Promise<void> {
    return new Promise((resolve) => {
      this.wakeIntake = resolve;
      this.wakeWhenThereIsRoom();
    });
  }

  /** An event that waits, and what it counts for. */
  peek(index: number): { position: bigint; size: Size } | undefined {
    const event = this.queue[index];
    return event && { position: event.position, size: this.sizes[index]! };
  }

  /** Takes the first `count` events out of the queue. */
  take(count: number): SegmentBatch {
    const events = this.queue.splice(0, count);
    this.count(this.sizes.splice(0, count), -1);
    this.isIdleMoveDue = false;
    // With an empty queue everything up to `seen` is in this batch, other segments' stretches included.
    return { worker: this, events, to: this.queue.length === 0 ? this.seen! : events.at(-1)!.position };
  }

  /** What was taken is to be applied otherwise. */
  putBack({ events }: SegmentBatch): void {
    const sizes = events.map(sizeOf);
    this.queue.unshift(...events);
    this.sizes.unshift(...sizes);
    this.count(sizes, 1);
  }

  /** Rows and position stand in Postgres. */
  applied({ events, to }: SegmentBatch, tookMs: number): void {
    if (tookMs > PATIENCE_MS) this.keepApart();
    this.position = to;
    this.storedAt = Date.now();
    if (events.length > 0) {
      this.numbers.events += events.length;
      this.numbers.batches += 1;
      this.lastBatchAt = new Date();
      this.lastBatchMs = tookMs;
    }
    this.wakeWhenThereIsRoom();
    const next = this.queue[0];
    this.caughtUp ||= this.caughtUpAt !== undefined && (next === undefined || next.position > this.caughtUpAt);
  }

  /** All that was there when the subscription began has been queued. */
  everythingSeen(): void {
    this.caughtUpAt = this.seen;
    this.caughtUp ||= this.queue.length === 0 && !this.busy;
  }

  /** Has a position stored that moved on without events; rarely. */
  storeIdlePosition(): void {
    if (!this.active || this.busy || this.seen === undefined || this.seen === this.position) return;
    if (Date.now() - this.storedAt < IDLE_MOVE_MS) return;
    this.isIdleMoveDue = true;
    this.onWaiting();
  }

  /** Gives nothing more away, and resolves when the transaction under way has ended. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.wakeWhenThereIsRoom();
    await this.busy;
  }

  /** Stops, since it is another's by now, or nobody can tell. */
  lose(reason: string): void {
    if (this.stopped) return;
    this.stopping.abort();
    this.wakeWhenThereIsRoom();
    this.log.warn({ projector: this.projector.name, segment: this.lease.segment, reason }, 'projector segment dropped');
    this.onLost();
  }

  /** Stands still, loudly, until its row is cleared or another life takes it. */
  fail(event: StoredEvent | undefined, reason: string): void {
    this.failed = { event: event?.id, reason };
    this.queue = [];
    this.count(this.sizes.splice(0), -1);
    this.wakeWhenThereIsRoom();
    this.log.error(
      {
        projector: this.projector.name,
        segment: this.lease.segment,
        ...(event && {
          event: event.id,
          stream: event.stream,
          revision: event.revision,
          type: event.type,
          position: String(event.position),
        }),
        reason,
      },
      'projector segment stopped',
    );
  }

  status(): SegmentStatus {
    return {
      segment: this.lease.segment,
      owner: this.owner,
      position: this.position,
      seen: this.seen,
      caughtUp: this.caughtUp,
      failed: this.failed,
      queued: this.queued,
      retries: this.retries,
      ...this.numbers,
      lastBatchAt: this.lastBatchAt,
      lastBatchMs: this.lastBatchMs,
    };
  }

  /** Whoever waits for room is no longer to feed it. */
  freeIntake(): void {
    this.wakeIntake?.();
    this.wakeIntake = undefined;
  }

  private wakeWhenThereIsRoom(): void {
    if (this.active && (this.held.events > QUEUE_EVENTS / 2 || this.held.bytes > QUEUE_BYTES / 2)) return;
    this.freeIntake();
  }

  private count(sizes: readonly Size[], sign: 1 | -1): void {
    for (const { bytes, events } of sizes) {
      this.held.bytes += sign * bytes;
      this.held.events += sign * events;
    }
  }
}

const sizeOf = (event: StoredEvent): Size => ({
  bytes: JSON.stringify(event.data)?.length ?? 0,
  events: typesOf(event).length,
});
