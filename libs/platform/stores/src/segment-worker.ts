import { setTimeout as delay } from 'node:timers/promises';
import { StoredEvent } from '@balados/event-sourcing';
import { DataSource } from 'typeorm';
import { Log } from './log';
import { isPassingDatabaseError } from './postgres';
import { Projector } from './projector';
import { FencedOff, Lease, Leases } from './segments';

/** One transaction takes at most this many events, and this many bytes of their data as JSON (always at least one event). */
export const BATCH_EVENTS = 500;
export const BATCH_BYTES = 2 * 1024 * 1024;
/** A segment's queue holds about this many events, and this many bytes of their data; then the intake waits. */
export const QUEUE_EVENTS = 2_000;
export const QUEUE_BYTES = 8 * 1024 * 1024;
/** A position that moves without events is stored at most this often, in milliseconds. */
export const IDLE_MOVE_MS = 10_000;
/**
 * After a transaction the segment rests for this many times as long as it took, and at most so many milliseconds, unless a whole batch
 * waits: under load fewer and larger transactions do the same work, and an idle segment still applies an event at once.
 */
export const REST_FACTOR = 2;
export const LONGEST_REST_MS = 50;
/** Pauses before a transaction is tried again, in milliseconds: doubled from the first to the longest. */
export const RETRY_PAUSE_MS = 50;
export const RETRY_LONGEST_PAUSE_MS = 5_000;

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

/** Applies the events of one held segment, batch after batch; while one transaction runs the next batch gathers. */
export class SegmentWorker {
  /** Everything up to here is applied or queued. */
  seen: bigint | undefined;
  failed: SegmentStatus['failed'];
  /** Of the log that its events come from; known before the first one comes. */
  storeId: string | undefined;
  /** Whether the row says that it failed: cleared there, it is tried again. */
  failureNoted = false;
  caughtUp = false;
  private queue: StoredEvent[] = [];
  private sizes: number[] = [];
  private queuedBytes = 0;
  private position: bigint | undefined;
  private caughtUpAt: bigint | undefined;
  private storedAt = Date.now();
  private running: Promise<void> | undefined;
  private stopping = new AbortController();
  private wakeIntake: (() => void) | undefined;
  private readonly numbers = { events: 0, batches: 0, retries: 0 };
  private lastBatchAt: Date | undefined;
  private lastBatchMs: number | undefined;

  constructor(
    readonly lease: Lease,
    private readonly owner: string,
    private readonly projector: Projector,
    private readonly leases: Leases,
    private readonly dataSource: DataSource,
    private readonly log: Log,
    /** The segment turned out to be another's. */
    private readonly onLost: () => void,
  ) {
    this.position = lease.position;
    this.seen = lease.position;
  }

  get active(): boolean {
    return !this.stopping.signal.aborted && !this.failed;
  }

  /** Queues an event. @returns whether there is room for more; if not, wait for `room` */
  offer(event: StoredEvent): boolean {
    if (this.projector.takes && !this.projector.takes(event)) return true;
    const size = JSON.stringify(event.data)?.length ?? 0;
    this.queue.push(event);
    this.sizes.push(size);
    this.queuedBytes += size;
    this.running ??= this.run();
    return this.queue.length < QUEUE_EVENTS && this.queuedBytes < QUEUE_BYTES;
  }

  /** Resolves when half of the queue is free, or nothing of it will be applied any more. */
  room(): Promise<void> {
    return new Promise((resolve) => {
      this.wakeIntake = resolve;
      this.wakeWhenThereIsRoom();
    });
  }

  /** All that was there when the subscription began has been queued. */
  everythingSeen(): void {
    this.caughtUpAt = this.seen;
    this.caughtUp ||= this.queue.length === 0 && !this.running;
  }

  /** Stores a position that moved on without events; rarely, and never while a batch is under way. */
  storeIdlePosition(): void {
    if (!this.active || this.running || this.seen === undefined || this.seen === this.position) return;
    if (Date.now() - this.storedAt < IDLE_MOVE_MS) return;
    this.running = this.run();
  }

  /** Starts nothing more and resolves when the transaction under way has ended. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.wakeWhenThereIsRoom();
    await this.running;
  }

  /** Stands still, loudly, until its row is cleared or another life takes it. */
  async fail(event: StoredEvent | undefined, reason: string): Promise<void> {
    this.failed = { event: event?.id, reason };
    this.queue = [];
    this.sizes = [];
    this.queuedBytes = 0;
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
    await this.persistently(() => this.leases.fail(this.lease, event?.id, reason));
    this.failureNoted = true;
  }

  status(): SegmentStatus {
    return {
      segment: this.lease.segment,
      owner: this.owner,
      position: this.position,
      seen: this.seen,
      caughtUp: this.caughtUp,
      failed: this.failed,
      queued: this.queue.length,
      ...this.numbers,
      lastBatchAt: this.lastBatchAt,
      lastBatchMs: this.lastBatchMs,
    };
  }

  private async run(): Promise<void> {
    // What arrived in the same turn belongs to the same batch.
    await Promise.resolve();
    try {
      if (this.queue.length === 0 && this.active && this.seen !== undefined && this.seen !== this.position)
        await this.persistently(() => this.apply([], this.seen!));
      while (this.queue.length > 0 && this.active) {
        await this.rest();
        if (this.active) await this.applyNext();
      }
    } catch (error) {
      if (this.stopping.signal.aborted) return;
      this.stopping.abort();
      this.wakeWhenThereIsRoom();
      this.log.warn(
        { projector: this.projector.name, segment: this.lease.segment, reason: messageOf(error) },
        'projector segment dropped',
      );
      this.onLost();
    } finally {
      this.running = undefined;
    }
  }

  /** Lets a batch gather; the pause counts from the end of the last transaction. */
  private async rest(): Promise<void> {
    if (this.queue.length >= BATCH_EVENTS || this.lastBatchAt === undefined) return;
    const pause = Math.min(LONGEST_REST_MS, REST_FACTOR * this.lastBatchMs!);
    const left = this.lastBatchAt.getTime() + pause - Date.now();
    if (left > 0) await delay(left, undefined, { signal: this.stopping.signal }).catch(() => undefined);
  }

  private async applyNext(): Promise<void> {
    const batch = this.takeBatch();
    // With an empty queue everything up to `seen` is in this batch, other segments' stretches included.
    const to = this.queue.length === 0 ? this.seen! : batch.at(-1)!.position;
    try {
      await this.persistently(() => this.apply(batch, to));
    } catch (error) {
      if (error instanceof FencedOff || this.stopping.signal.aborted) throw error;
      await this.applyOneByOne(batch);
    }
    this.wakeWhenThereIsRoom();
    const next = this.queue[0];
    this.caughtUp ||= this.caughtUpAt !== undefined && (next === undefined || next.position > this.caughtUpAt);
  }

  /** Finds the event that cannot be applied, after those before it. */
  private async applyOneByOne(batch: readonly StoredEvent[]): Promise<void> {
    for (const event of batch) {
      if (!this.active) return;
      try {
        await this.persistently(() => this.apply([event], event.position));
      } catch (error) {
        if (error instanceof FencedOff || this.stopping.signal.aborted) throw error;
        return this.fail(event, messageOf(error));
      }
    }
  }

  private async apply(batch: readonly StoredEvent[], to: bigint): Promise<void> {
    const started = performance.now();
    await this.dataSource.transaction(async (transaction) => {
      if (batch.length > 0) await this.projector.project(transaction, batch);
      await this.leases.move(transaction, this.lease, this.position, to, this.storeId!);
    });
    this.position = to;
    this.storedAt = Date.now();
    if (batch.length === 0) return;
    this.numbers.events += batch.length;
    this.numbers.batches += 1;
    this.lastBatchAt = new Date();
    this.lastBatchMs = performance.now() - started;
  }

  /** Again and again while what goes wrong passes by itself. After a lost COMMIT the fence tells whether it was applied. */
  private async persistently(work: () => Promise<void>): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await work();
      } catch (error) {
        if (!isPassingDatabaseError(error) || this.stopping.signal.aborted) throw error;
        this.numbers.retries += 1;
        this.log.warn(
          { projector: this.projector.name, segment: this.lease.segment, reason: messageOf(error) },
          'projector batch is tried again',
        );
        const pause = Math.min(RETRY_LONGEST_PAUSE_MS, RETRY_PAUSE_MS * 2 ** failures) * (0.5 + Math.random() / 2);
        await delay(pause, undefined, { signal: this.stopping.signal }).catch(() => undefined);
        if (this.stopping.signal.aborted) throw error;
      }
    }
  }

  private takeBatch(): StoredEvent[] {
    let count = 0;
    let bytes = 0;
    while (count < this.queue.length && count < BATCH_EVENTS) {
      if (count > 0 && bytes + this.sizes[count]! > BATCH_BYTES) break;
      bytes += this.sizes[count]!;
      count += 1;
    }
    this.queuedBytes -= bytes;
    this.sizes.splice(0, count);
    return this.queue.splice(0, count);
  }

  private wakeWhenThereIsRoom(): void {
    if (this.active && (this.queue.length > QUEUE_EVENTS / 2 || this.queuedBytes > QUEUE_BYTES / 2)) return;
    this.wakeIntake?.();
    this.wakeIntake = undefined;
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
