import { setTimeout as delay } from 'node:timers/promises';
import { EventStore, StoredEvent } from '@balados/event-sourcing';
import { DataSource } from 'typeorm';
import { lower, text } from './lane';
import { Lanes } from './lanes';
import { Log, messageOf } from './log';
import { Projector } from './projector';
import { LEASE_MS, LEASE_RENEWALS, Leases, SEGMENTS } from './segments';
import { BATCH_EVENTS, PATIENCE_MS, SegmentStatus, SegmentWorker } from './segment-worker';

/** Pause after the store or the tables of a projector could not be asked, in milliseconds. */
export const RUNNER_PAUSE_MS = 1_000;

/** Between two looks at how late the held segments are, in milliseconds; of a projector that need not know it, the longer. */
export const LATENESS_PAUSE_MS = 1_000;
export const LATENESS_LONG_PAUSE_MS = 5_000;

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
  /** As it was seen last, of held segments that do not stand still; undefined for who has not looked or holds none. */
  readonly lateness: Lateness | undefined;
  /** What keeps it from running at all, such as a store that refuses the subscription. */
  readonly trouble: string | undefined;
  /** Takes in nothing more, finishes the transactions under way, and lets others take over at once. */
  close(): Promise<void>;
}

export interface Lateness {
  /** Whatever was recorded before is applied, in epoch milliseconds. */
  appliedUntil: number;
  /** Of the last event in the log, of whatever projector. */
  head: bigint | undefined;
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
  /** A transaction of several segments that takes longer is ended, and each goes on alone, in milliseconds. */
  patienceMs?: number;
  log: Log;
  /** Closes it as well. */
  signal?: AbortSignal;
}

/**
 * Runs a projector on this process's share of its segments: one subscription feeds those that keep up, their events are applied in
 * batches, and rows and positions move in one transaction, so that each event takes effect exactly once, whoever dies when. Returns at
 * once and keeps trying while the stores are away.
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
  private readonly lanes: Lanes;
  private readonly closing = new AbortController();
  lateness: Lateness | undefined;
  private segments = 0;
  /** Whether it has once looked for its share. */
  private shared = false;
  private closed: Promise<void> | undefined;
  private readonly loops: Promise<void>[];

  constructor(private readonly options: RunOptions) {
    const { projector, store, dataSource, owner, leaseMs = LEASE_MS, log } = options;
    const { batchEvents = BATCH_EVENTS, patienceMs = PATIENCE_MS } = options;
    this.name = projector.name;
    this.leaseMs = leaseMs;
    this.leases = new Leases(dataSource, projector, owner, leaseMs);
    const { leases } = this;
    const segments = () => this.segments;
    const onVerified = () => void this.troubles.delete(FEEDING);
    this.lanes = new Lanes(
      { projector, store, dataSource, leases, log, leaseMs, batchEvents, patienceMs, segments, onVerified },
      (lane) => this.repeat(FEEDING, () => lane.feed(), 0, lane.closing),
    );
    this.loops = [
      this.repeat(SHARING, () => this.share(), leaseMs / LEASE_RENEWALS),
      this.repeat(WATCHING, () => this.watch(), leaseMs),
      this.repeat(MEASURING, () => this.measure(), projector.appliedUntil ? LATENESS_PAUSE_MS : LATENESS_LONG_PAUSE_MS),
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
    const fed = this.lanes.close();
    // A full queue holds the intake back until its worker stops; the last look may have taken another segment.
    await Promise.all([...this.workers.values()].map((worker) => worker.stop()));
    await Promise.all([...this.loops, fed]);
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

  private async repeat(
    what: string,
    work: () => Promise<void>,
    pauseMs: number,
    { signal } = this.closing,
  ): Promise<void> {
    while (!signal.aborted) {
      let pause = pauseMs;
      try {
        await work();
        this.troubles.delete(what);
      } catch (error) {
        if (signal.aborted) return;
        const reason = messageOf(error);
        if (this.troubles.get(what) !== reason) this.options.log.error({ projector: this.name, reason }, what);
        this.troubles.set(what, reason);
        pause = RUNNER_PAUSE_MS;
      }
      await delay(pause, undefined, { signal }).catch(() => undefined);
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
    const fresh = taken.map((lease) => {
      const worker: SegmentWorker = new SegmentWorker(
        lease,
        owner,
        projector,
        log,
        () => this.lanes.wake(worker),
        () => void this.drop(worker),
      );
      this.workers.set(lease.segment, worker);
      log.info(
        { projector: projector.name, segment: lease.segment, position: text(lease.position) },
        'projector segment taken',
      );
      return worker;
    });
    if (fresh.length > 0) this.lanes.open(fresh);
    this.lanes.join();
    this.shared = true;
  }

  private drop(worker: SegmentWorker): Promise<void> {
    if (this.workers.get(worker.lease.segment) === worker) this.workers.delete(worker.lease.segment);
    this.lanes.remove(worker);
    return worker.stop();
  }

  /** The store may be replaced by another one while a subscription waits for it. */
  private async watch(): Promise<void> {
    const storeId = await this.options.store.storeId();
    for (const worker of this.workers.values())
      if (worker.active && worker.storeId !== undefined && worker.storeId !== storeId) this.lanes.restart();
  }

  /** Asks the log itself what comes after what is stored: nothing, or something as old as the projector is late. */
  private async measure(): Promise<void> {
    const { projector, store, dataSource } = this.options;
    const workers = [...this.workers.values()].filter(({ active, storeId }) => active && storeId !== undefined);
    if (workers.length === 0) return void (this.lateness = undefined);
    const asked = performance.now();
    const after = workers.map((worker) => worker.status().position).reduce(lower);
    const segments = workers.map(({ lease }) => lease.segment);
    const looked = new AbortController();
    const signal = AbortSignal.any([looked.signal, this.closing.signal]);
    try {
      for await (const item of store.subscribe({ after, prefixes: projector.prefixes, signal })) {
        if ('checkpoint' in item) continue;
        const late = 'revision' in item ? Math.max(0, ageOf(item)) : 0;
        this.lateness = {
          appliedUntil: Date.now() - (performance.now() - asked + late),
          head: await store.headPosition(),
        };
        return await projector.appliedUntil?.(dataSource, segments, performance.now() - asked + late);
      }
    } finally {
      looked.abort();
    }
  }
}

const ageOf = ({ metadata }: StoredEvent): number =>
  Date.now() - Date.parse((metadata as { recordedAt: string }).recordedAt);

/** Whether a stored position is behind one that was reached before it was read. */
const isBefore = (stored: string | null | undefined, reached: bigint | undefined): boolean =>
  reached !== undefined && (stored === null || stored === undefined || BigInt(stored) < reached);
