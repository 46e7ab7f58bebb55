import { setTimeout as delay } from 'node:timers/promises';
import { EventStore, parseStream, StoredEvent } from '@balados/event-sourcing';
import { DataSource } from 'typeorm';
import { Batches } from './batches';
import { Log, messageOf } from './log';
import { Projector } from './projector';
import { LEASE_MS, LEASE_RENEWALS, Leases, segmentOf, SEGMENTS } from './segments';
import { SegmentStatus, SegmentWorker } from './segment-worker';

/** Pause after the store or the tables of a projector could not be asked, in milliseconds. */
export const RUNNER_PAUSE_MS = 1_000;

/** Between two looks at how late the held segments are, in milliseconds. */
export const LATENESS_PAUSE_MS = 1_000;

const SHARING = 'segments of a projector cannot be shared';
const FEEDING = 'a projector cannot be fed';
const MEASURING = 'it cannot be told how late a projector is';
const WATCHING = 'the event store of a projector cannot be identified';

export interface RunningProjector {
  readonly name: string;
  /** Of the segments that this process holds. */
  status(): SegmentStatus[];
  /** Whether all held segments have once applied what was there when they were taken; true also for a process without any. */
  readonly caughtUp: boolean;
  /** What keeps it from running at all, such as a store that refuses the subscription. */
  readonly trouble: string | undefined;
  /** Takes in nothing more, finishes the transactions under way, and lets others take over at once. */
  close(): Promise<void>;
}

export interface RunOptions {
  projector: Projector;
  store: EventStore;
  /** To the database of the projector's schema. */
  dataSource: DataSource;
  /** Names this process; no other may have the same name. */
  owner: string;
  /** Of a projector without rows; 0 for one that others make rows for. */
  segments?: number;
  leaseMs?: number;
  /** Events that one transaction takes at most; for one that catches up more are faster. */
  batchEvents?: number;
  log: Log;
  /** Closes it as well. */
  signal?: AbortSignal;
}

/**
 * Runs a projector on this process's share of its segments: one subscription feeds them all, each applies its events in batches, and
 * rows and position move in one transaction, so that each event takes effect exactly once, whoever dies when. Returns at once and
 * keeps trying while the stores are away.
 */
export function runProjector(options: RunOptions): RunningProjector {
  const run = new Run(options);
  options.signal?.addEventListener('abort', () => void run.close(), { once: true });
  return run;
}

class Run implements RunningProjector {
  readonly name: string;
  private readonly troubles = new Map<string, string>();
  private readonly leases: Leases;
  private readonly leaseMs: number;
  private readonly workers = new Map<number, SegmentWorker>();
  private readonly batches: Batches;
  private readonly closing = new AbortController();
  /** Aborted when the subscription under way no longer feeds the right segments. */
  private feeding = new AbortController();
  private segments = 0;
  /** Whether it has once looked for its share. */
  private shared = false;
  private closed: Promise<void> | undefined;
  private readonly loops: Promise<void>[];

  constructor(private readonly options: RunOptions) {
    const { projector, dataSource, owner, leaseMs = LEASE_MS, batchEvents, log } = options;
    this.name = projector.name;
    this.leaseMs = leaseMs;
    this.leases = new Leases(dataSource, projector, owner, leaseMs);
    this.batches = new Batches(this.workers, projector, this.leases, dataSource, log, batchEvents);
    this.loops = [
      this.repeat(SHARING, () => this.share(), leaseMs / LEASE_RENEWALS),
      this.repeat(FEEDING, () => this.feed(), 0),
      this.repeat(WATCHING, () => this.watch(), leaseMs),
      ...(projector.appliedUntil ? [this.repeat(MEASURING, () => this.measure(), LATENESS_PAUSE_MS)] : []),
    ];
  }

  status(): SegmentStatus[] {
    return [...this.workers.values()].map((worker) => worker.status()).sort((one, two) => one.segment - two.segment);
  }

  get trouble(): string | undefined {
    return [...this.troubles].map(([what, reason]) => `${what}: ${reason}`).join('; ') || undefined;
  }

  get caughtUp(): boolean {
    return this.shared && [...this.workers.values()].every((worker) => worker.caughtUp && !worker.failed);
  }

  close(): Promise<void> {
    return (this.closed ??= this.end());
  }

  private async end(): Promise<void> {
    this.closing.abort();
    this.feeding.abort();
    // A full queue holds the intake back until its worker stops; the last look may have taken another segment.
    await Promise.all([...this.workers.values()].map((worker) => worker.stop()));
    await Promise.all(this.loops);
    const workers = [...this.workers.values()];
    await Promise.all(workers.map((worker) => worker.stop()));
    // What cannot be given back runs out by itself.
    const givenBack = await Promise.allSettled([
      ...workers.map(({ lease }) => this.leases.release(lease)),
      this.leases.leave(),
    ]);
    const failure = givenBack.find((outcome) => outcome.status === 'rejected');
    if (failure) this.options.log.warn({ projector: this.name, reason: String(failure.reason) }, 'leases run out');
  }

  private async repeat(what: string, work: () => Promise<void>, pauseMs: number): Promise<void> {
    while (!this.closing.signal.aborted) {
      let pause = pauseMs;
      try {
        await work();
        this.troubles.delete(what);
      } catch (error) {
        if (this.closing.signal.aborted) return;
        const reason = messageOf(error);
        if (this.troubles.get(what) !== reason) this.options.log.error({ projector: this.name, reason }, what);
        this.troubles.set(what, reason);
        pause = RUNNER_PAUSE_MS;
      }
      await delay(pause, undefined, { signal: this.closing.signal }).catch(() => undefined);
    }
  }

  /** One look at who holds what: renews, gives back what is more than this process's share, takes what is free. */
  private async share(): Promise<void> {
    const { projector, owner, log } = this.options;
    if (this.segments === 0) this.segments = await this.leases.prepare(this.options.segments ?? SEGMENTS);
    const members = await this.leases.beat();
    const noted = [...this.workers.values()].filter(({ failureNoted }) => failureNoted);
    const stood = new Map([...this.workers.values()].map((worker) => [worker, worker.position]));
    const renewed = new Map((await this.leases.renew()).map((row) => [row.segment, row]));
    for (const worker of [...this.workers.values()]) {
      const row = renewed.get(worker.lease.segment);
      const lost = row?.epoch !== worker.lease.epoch;
      const cleared =
        noted.includes(worker) &&
        (row?.failed_at === null || (worker.failed?.event !== undefined && row?.failed_event === null));
      // A crash of Postgres loses commits that did not wait for the disk: where nothing follows, no fence would tell.
      const setBack = isBefore(row?.position, stood.get(worker));
      if (lost || cleared || setBack) this.drop(worker);
      else if (!worker.failed) worker.storeIdlePosition();
    }
    const share = Math.ceil(this.segments / members);
    for (const worker of [...this.workers.values()].slice(share)) {
      // A transaction that takes longer is rolled back by the fence; the other leases must be renewed.
      await Promise.race([this.drop(worker), delay(this.leaseMs / LEASE_RENEWALS, undefined, { ref: false })]);
      await this.leases.release(worker.lease);
      log.info({ projector: projector.name, segment: worker.lease.segment }, 'projector segment given to others');
    }
    const taken = await this.leases.take(share - this.workers.size, [...this.workers.keys()]);
    for (const lease of taken) {
      const worker: SegmentWorker = new SegmentWorker(
        lease,
        owner,
        projector,
        log,
        () => this.batches.wake(),
        () => void this.drop(worker),
      );
      this.workers.set(lease.segment, worker);
      log.info(
        { projector: projector.name, segment: lease.segment, position: text(lease.position) },
        'projector segment taken',
      );
    }
    if (taken.length > 0) this.feeding.abort();
    this.shared = true;
  }

  private drop(worker: SegmentWorker): Promise<void> {
    if (this.workers.get(worker.lease.segment) === worker) this.workers.delete(worker.lease.segment);
    return worker.stop();
  }

  /** Subscribes from where the segment furthest behind stands, until the segments change. */
  private async feed(): Promise<void> {
    const { projector, store } = this.options;
    this.feeding = new AbortController();
    const { signal } = this.feeding;
    if (this.closing.signal.aborted) return;
    const workers = await this.verified();
    this.troubles.delete(FEEDING);
    if (workers.length === 0) {
      await delay(this.leaseMs, undefined, { signal }).catch(() => undefined);
      return;
    }
    const bySegment: (SegmentWorker | undefined)[] = Array.from({ length: this.segments });
    for (const worker of workers) bySegment[worker.lease.segment] = worker;
    const after = workers.map(({ seen }) => seen).reduce(lower);
    for await (const item of store.subscribe({ after, prefixes: projector.prefixes, signal })) {
      if (signal.aborted) return;
      if ('caughtUp' in item) {
        for (const worker of workers) worker.everythingSeen();
        continue;
      }
      const position = 'checkpoint' in item ? item.checkpoint : item.position;
      if ('revision' in item) {
        const listener = parseStream(item.stream)?.userId ?? item.stream;
        const worker = bySegment[segmentOf(listener, this.segments)];
        if (worker?.active && (worker.seen === undefined || position > worker.seen) && !worker.offer(item)) {
          worker.seen = position;
          await worker.room();
        }
      }
      // A position moves on in every segment, whichever one the event belonged to.
      for (const worker of workers) if (worker.seen === undefined || position > worker.seen) worker.seen = position;
    }
  }

  /** The workers that can be fed: positions hold for one log only, and none lies beyond its head. */
  private async verified(): Promise<SegmentWorker[]> {
    const workers = [...this.workers.values()].filter(({ active }) => active);
    const storeId = await this.options.store.storeId();
    const head = await this.options.store.headPosition();
    for (const worker of workers) {
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
    return workers.filter(({ active }) => active);
  }

  /** The store may be replaced by another one while a subscription waits for it. */
  private async watch(): Promise<void> {
    const storeId = await this.options.store.storeId();
    for (const worker of this.workers.values())
      if (worker.active && worker.storeId !== undefined && worker.storeId !== storeId) this.feeding.abort();
  }

  /** Asks the log itself what comes after what is stored: nothing, or something as old as the projector is late. */
  private async measure(): Promise<void> {
    const { projector, store, dataSource } = this.options;
    const workers = [...this.workers.values()].filter(({ active, storeId }) => active && storeId !== undefined);
    if (workers.length === 0) return;
    const asked = performance.now();
    const after = workers.map((worker) => worker.status().position).reduce(lower);
    const segments = workers.map(({ lease }) => lease.segment);
    const looked = new AbortController();
    const signal = AbortSignal.any([looked.signal, this.closing.signal]);
    try {
      for await (const item of store.subscribe({ after, prefixes: projector.prefixes, signal })) {
        if ('checkpoint' in item) continue;
        const late = 'revision' in item ? Math.max(0, ageOf(item)) : 0;
        return await projector.appliedUntil!(dataSource, segments, performance.now() - asked + late);
      }
    } finally {
      looked.abort();
    }
  }
}

const ageOf = ({ metadata }: StoredEvent): number =>
  Date.now() - Date.parse((metadata as { recordedAt: string }).recordedAt);

const lower = (one: bigint | undefined, two: bigint | undefined): bigint | undefined =>
  one === undefined || two === undefined ? undefined : one < two ? one : two;

/** Whether a stored position is behind one that was reached before it was read. */
const isBefore = (stored: string | null | undefined, reached: bigint | undefined): boolean =>
  reached !== undefined && (stored === null || stored === undefined || BigInt(stored) < reached);

const text = (position: bigint | undefined): string => (position === undefined ? 'the start' : String(position));
