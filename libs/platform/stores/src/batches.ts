import { setTimeout as delay } from 'node:timers/promises';
import { StoredEvent } from '@balados/event-sourcing';
import { isTracing, together } from '@balados/platform-tracing';
import { DataSource, EntityManager } from 'typeorm';
import { Log, messageOf } from './log';
import { isPassingDatabaseError } from './postgres';
import { Projector } from './projector';
import { SegmentBatch, SegmentWorker } from './segment-worker';
import { FencedOff, Leases } from './segments';
import { keepTables } from './tables-lock';

/** One transaction takes at most this many bytes of its events' data as JSON (always at least one event). */
export const BATCH_BYTES = 2 * 1024 * 1024;
/**
 * After a transaction the projector rests for this many times as long as it took, and at most so many milliseconds, unless a whole batch
 * waits: under load fewer and larger transactions do the same work, and what comes after a quiet moment is applied at once.
 */
export const REST_FACTOR = 2;
export const LONGEST_REST_MS = 50;
/** Pauses before a transaction is tried again, in milliseconds: doubled from the first to the longest. */
export const RETRY_PAUSE_MS = 50;
export const RETRY_LONGEST_PAUSE_MS = 5_000;

/** The trace of a request goes on in projections for so long, in milliseconds. */
export const TRACED_MS = 3_600_000;

export interface BatchesParts {
  projector: Projector;
  leases: Leases;
  dataSource: DataSource;
  log: Log;
  /** As in `RunOptions`. */
  batchEvents: number;
  patienceMs: number;
  /** Gives each of these transactions of its own. */
  part: (workers: readonly SegmentWorker[]) => void;
  /** No transaction is under way. */
  onSociable: () => void;
}

/**
 * Applies what the segments of a lane wait with, all of them in one transaction after the other; while one runs the next one gathers.
 * Those whose events cannot be applied together, or not in time, are parted, so that one that fails or is slow holds no other back.
 */
export class Batches {
  private running: Promise<void> | undefined;
  /** Whether a transaction is under way for which nobody is to wait. */
  isUnbounded = false;
  private last: { endedAt: number; tookMs: number } | undefined;

  constructor(
    private readonly workers: ReadonlyMap<number, SegmentWorker>,
    private readonly parts: BatchesParts,
  ) {}

  /** Some segment waits. */
  wake(): void {
    this.running ??= this.run();
  }

  private async run(): Promise<void> {
    // What arrived in the same turn belongs to the same batch.
    await Promise.resolve();
    for (let waiting = this.waiting(); waiting.length > 0; waiting = this.waiting()) {
      await this.rest(waiting);
      const batches = gather(this.waiting(), this.parts.batchEvents);
      if (batches.length === 0) continue;
      const applied = this.applyAll(batches);
      for (const { worker } of batches) worker.busy = applied;
      await applied;
      for (const { worker } of batches) {
        worker.busy = undefined;
        // It may be in another lane by now.
        if (worker.waiting) worker.onWaiting();
      }
      this.parts.onSociable();
    }
    this.running = undefined;
  }

  private waiting(): SegmentWorker[] {
    return [...this.workers.values()].filter((worker) => worker.waiting);
  }

  /** Lets a batch gather; the pause counts from the end of the last transaction. */
  private async rest(waiting: readonly SegmentWorker[]): Promise<void> {
    if (!this.last || waiting.reduce((sum, { queued }) => sum + queued, 0) >= this.parts.batchEvents) return;
    const pause = Math.min(LONGEST_REST_MS, REST_FACTOR * this.last.tookMs);
    const left = this.last.endedAt + pause - performance.now();
    if (left > 0) await delay(left);
  }

  /** Never rejects. */
  private async applyAll(batches: readonly SegmentBatch[]): Promise<void> {
    this.isUnbounded = this.workers.size <= 1;
    if (this.isUnbounded) for (const batch of batches) await this.applyAlone(batch);
    else await this.applyTogether(batches);
    this.isUnbounded = false;
  }

  private async applyTogether(batches: readonly SegmentBatch[]): Promise<void> {
    try {
      await this.persistently(batches);
    } catch (error) {
      // Each shows for itself what kept it.
      this.parts.log.info(
        { projector: this.parts.projector.name, reason: messageOf(error) },
        'segments are applied one by one',
      );
      for (const batch of batches) batch.worker.putBack(batch);
      this.parts.part(batches.map(({ worker }) => worker));
    }
  }

  private async applyAlone(batch: SegmentBatch): Promise<void> {
    const { worker, events } = batch;
    try {
      try {
        if (worker.active) await this.persistently([batch]);
      } catch (error) {
        if (error instanceof FencedOff || !worker.active) throw error;
        await this.applyOneByOne(worker, events);
      }
    } catch (error) {
      worker.lose(messageOf(error));
    }
  }

  /** Finds the event that cannot be applied, after those before it. */
  private async applyOneByOne(worker: SegmentWorker, events: readonly StoredEvent[]): Promise<void> {
    for (const event of events) {
      if (!worker.active) return;
      try {
        await this.persistently([{ worker, events: [event], to: event.position }]);
      } catch (error) {
        if (error instanceof FencedOff || !worker.active) throw error;
        return this.fail(worker, event, messageOf(error));
      }
    }
  }

  /** Has a segment stand still, and says so in its row. @throws FencedOff */
  async fail(worker: SegmentWorker, event: StoredEvent | undefined, reason: string): Promise<void> {
    worker.fail(event, reason);
    await this.untilItPasses([worker], () => this.parts.leases.fail(worker.lease, event?.id, reason));
    worker.failureNoted = true;
  }

  /** After a lost COMMIT the fence tells whether it was applied. */
  private persistently(batches: readonly SegmentBatch[]): Promise<void> {
    const workers = batches.map(({ worker }) => worker);
    const apply = (): Promise<void> => this.untilItPasses(workers, () => this.apply(batches));
    if (!isTracing()) return apply();
    const carried = batches.flatMap(({ events }) => events.map(carriedBy));
    return together(`project ${this.parts.projector.name}`, carried, apply);
  }

  private async apply(batches: readonly SegmentBatch[]): Promise<void> {
    const { dataSource, projector, leases } = this.parts;
    const started = performance.now();
    const events = inOrder(batches);
    await dataSource.transaction(async (transaction) => {
      const work = async (): Promise<void> => {
        await keepTables(transaction, projector.name);
        if (events.length > 0) await projector.project(transaction, events);
        await leases.move(
          transaction,
          batches.map(({ worker, to }) => ({
            lease: worker.lease,
            from: worker.position,
            to,
            storeId: worker.storeId!,
          })),
        );
      };
      await (this.isUnbounded ? work() : this.inTime(transaction, work));
    });
    const endedAt = performance.now();
    for (const batch of batches) batch.worker.applied(batch, endedAt - started);
    if (events.length > 0) this.last = { endedAt, tookMs: endedAt - started };
  }

  /** @throws TooSlow after `patienceMs`, which ends the statement that is waited for */
  private async inTime(transaction: EntityManager, work: () => Promise<void>): Promise<void> {
    const { processID } = (await transaction.queryRunner!.connect()) as { processID: number };
    let isLate = false;
    // Again, since it may come between two statements.
    const timer = setInterval(() => {
      isLate = true;
      this.cancel(processID).catch(() => undefined);
    }, this.parts.patienceMs);
    try {
      await work();
    } catch (error) {
      throw isLate ? new TooSlow(this.parts.patienceMs) : error;
    } finally {
      clearInterval(timer);
    }
  }

  /** In the login's own name: acting in another role it may not end what the login does. */
  private cancel(processID: number): Promise<unknown> {
    return this.parts.dataSource.transaction(async (sql) => {
      await sql.query('SET LOCAL ROLE NONE');
      await sql.query('SELECT pg_cancel_backend($1)', [processID]);
    });
  }

  /** Again and again while what goes wrong passes by itself, and nobody has stopped one of these segments. */
  private async untilItPasses(workers: readonly SegmentWorker[], work: () => Promise<void>): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await work();
      } catch (error) {
        if (!isPassingDatabaseError(error) || workers.some(({ stopped }) => stopped)) throw error;
        for (const worker of workers) worker.retries += 1;
        this.parts.log.warn(
          {
            projector: this.parts.projector.name,
            segments: workers.map(({ lease }) => lease.segment),
            reason: messageOf(error),
          },
          'projector batch is tried again',
        );
        const pause = Math.min(RETRY_LONGEST_PAUSE_MS, RETRY_PAUSE_MS * 2 ** failures) * (0.5 + Math.random() / 2);
        await Promise.race(workers.map((worker) => worker.pause(pause)));
        if (workers.some(({ stopped }) => stopped)) throw error;
      }
    }
  }
}

class TooSlow extends Error {
  constructor(patienceMs: number) {
    super(`not done within ${patienceMs} ms`);
  }
}

/** Of what all segments wait with, the oldest, as much as one transaction takes. */
function gather(workers: readonly SegmentWorker[], most: number): SegmentBatch[] {
  const counts = workers.map(() => 0);
  for (let events = 0, bytes = 0; events < most;) {
    let oldest: ({ index: number } & NonNullable<ReturnType<SegmentWorker['peek']>>) | undefined;
    for (const [index, worker] of workers.entries()) {
      const next = worker.peek(counts[index]!);
      if (next && (!oldest || next.position < oldest.position)) oldest = { index, ...next };
    }
    if (!oldest) break;
    const { size } = oldest;
    if (events > 0 && (bytes + size.bytes > BATCH_BYTES || events + size.events > most)) break;
    bytes += size.bytes;
    events += size.events;
    counts[oldest.index]! += 1;
  }
  // Whose events are all newer waits on, and so does its position.
  return workers.flatMap((worker, index) =>
    counts[index]! > 0 || worker.queued === 0 ? [worker.take(counts[index]!)] : [],
  );
}

/** Of an event that was just appended: a trace that has long ended goes on no more when its event is read again. */
function carriedBy({ metadata }: StoredEvent): string | undefined {
  const { traceparent, recordedAt } = metadata as { traceparent?: string; recordedAt?: string };
  return Date.now() - Date.parse(recordedAt ?? '') < TRACED_MS ? traceparent : undefined;
}

const inOrder = (batches: readonly SegmentBatch[]): StoredEvent[] =>
  batches.flatMap(({ events }) => events).sort((one, two) => (one.position < two.position ? -1 : 1));
