import type { FeedsClient } from '@balados/feeds-client';
import type { Logger } from '@balados/platform-service';
import { BeforeApplicationShutdown, Inject, Injectable, OnApplicationBootstrap } from '@nestjs/common';
import { Cron, Interval } from '@nestjs/schedule';
import { applyDefaultPrivacy, drift, movePopularityWindows } from '@balados/site-projections';
import { ERASURES_LOCK, pendingErasures, purgeIdempotencyKeys, purgeSessions } from '@balados/users-accounts';
import type { Privacy } from '@balados/users-contracts';
import type { ListenerStreams } from '@balados/users-write';
import type { DataSource } from 'typeorm';
import { carryOn } from './erasures';
import { refreshFeedMetadata } from './feed-metadata';
import { trim } from './trimming';

export interface JobsDependencies {
  users: DataSource;
  site: DataSource;
  streams: ListenerStreams;
  log: Logger;
  /** Milliseconds over which growth is measured. */
  trendingWindowMs: number;
  defaultPrivacy: Privacy;
  publicMinListeners: number;
  /** Milliseconds after which an event is part of a checkpoint. */
  checkpointAfterMs: number;
  feeds: FeedsClient;
}

export const JOBS_DEPENDENCIES = Symbol('dependencies of the jobs');

/** What the replicas of this service lock, so that one of them works at a time ("jobs" in hexadecimal). */
const LEADER_LOCK = '0x6a6f6273';
/** As well, for what feeds say of themselves ("feed"). */
const METADATA_LOCK = '0x66656564';
/** As well, for checkpoints ("trim"). */
const TRIMMING_LOCK = '0x7472696d';
/** New feeds are looked for this often, in milliseconds. */
export const METADATA_EVERY_MS = 10_000;
/** Streams are trimmed this often, in milliseconds. */
export const TRIMMING_EVERY_MS = 300_000;
/** Erasures are carried on this often, in milliseconds. */
export const ERASURES_EVERY_MS = 2_000;
/** An erasure that takes longer than this is an error, in milliseconds. */
export const ERASURE_LATE_MS = 3_600_000;

@Injectable()
export class ScheduledJobs implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private isDefaultApplied = false;
  /** Locks of what this process is at. */
  private readonly underWay = new Set<string>();
  private readonly stopping = new AbortController();

  constructor(@Inject(JOBS_DEPENDENCIES) private readonly dependencies: JobsDependencies) {}

  /** Begins, and does not keep the service from starting: the tables may not be there yet. */
  onApplicationBootstrap(): void {
    void this.applyDefault();
  }

  /**
   * Applies the configured default privacy to all that was, if another one is stored: once in the life of a process, so that copies
   * which are configured differently do not take turns for ever. The one that started last has the last word.
   */
  async applyDefault(): Promise<void> {
    const { site, log, defaultPrivacy, publicMinListeners } = this.dependencies;
    if (this.isDefaultApplied) return;
    try {
      await asLeader(site, async () => {
        const rows = await applyDefaultPrivacy(site, { defaultPrivacy, publicMinListeners });
        this.isDefaultApplied = true;
        if (rows > 0)
          log.warn({ defaultPrivacy, rows }, 'another default privacy holds from now on, also for what was before');
      });
    } catch (error) {
      log.warn({ err: error }, 'the default privacy could not be applied; it is tried again in five minutes');
    }
  }

  /** What is under way comes to its end soon, and nothing else is begun. */
  beforeApplicationShutdown(): void {
    this.stopping.abort();
  }

  /** Carries on what listeners want erased. */
  @Interval(ERASURES_EVERY_MS)
  async erase(): Promise<void> {
    const { users, log } = this.dependencies;
    await this.alone('erasures cannot be read', users, ERASURES_LOCK, async () => {
      for (const erasure of await pendingErasures(users)) {
        if (this.stopping.signal.aborted) return;
        const { id, scope, requestedAt } = erasure;
        // One that does not get on keeps no other back.
        try {
          if (await carryOn(erasure, this.dependencies)) log.info({ erasure: id, scope }, 'erased');
          else if (Date.now() - requestedAt.getTime() > ERASURE_LATE_MS)
            log.error({ erasure: id, scope, requestedAt }, 'an erasure waits for projectors');
        } catch (error) {
          log.error({ err: error, erasure: id, scope }, 'an erasure failed; it is tried again');
        }
      }
    });
  }

  /** Learns what feeds say of themselves. */
  @Interval(METADATA_EVERY_MS)
  async learnOfFeeds(): Promise<void> {
    const { site, log } = this.dependencies;
    const { signal } = this.stopping;
    await this.alone('feeds cannot be asked for their titles', site, METADATA_LOCK, async () => {
      const { described, failed } = await refreshFeedMetadata({ ...this.dependencies, now: Date.now, signal });
      if (described > 0 || Object.keys(failed).length > 0)
        log.info({ described, failed }, 'feeds were asked for their titles');
    });
  }

  /** Takes checkpoints, and cuts streams before them. */
  @Interval(TRIMMING_EVERY_MS)
  async trim(): Promise<void> {
    const { users, log } = this.dependencies;
    const { signal } = this.stopping;
    await this.alone('streams cannot be trimmed', users, TRIMMING_LOCK, async () => {
      const { checkpoints, cut } = await trim({ ...this.dependencies, now: Date.now, signal });
      if (checkpoints + cut > 0) log.info({ checkpoints, cut }, 'streams were trimmed');
    });
  }

  /** One run of it at a time, in this process and in all of them. `failure`: what it means that it throws. */
  private async alone(failure: string, dataSource: DataSource, lock: string, work: () => Promise<void>): Promise<void> {
    if (this.stopping.signal.aborted || this.underWay.has(lock)) return;
    this.underWay.add(lock);
    try {
      await asLeader(dataSource, work, lock);
    } catch (error) {
      this.dependencies.log.warn({ err: error }, `${failure}; it is tried again`);
    } finally {
      this.underWay.delete(lock);
    }
  }

  /** Moves the windows of growth, reports what counts differ from the contributions (none should), and forgets old sessions. */
  @Cron('0 */5 * * * *', { waitForCompletion: true })
  async everyFiveMinutes(): Promise<void> {
    const { users, site, log, trendingWindowMs, publicMinListeners } = this.dependencies;
    const now = Date.now();
    await this.applyDefault();
    try {
      await asLeader(site, async () => {
        await movePopularityWindows(site, { now, windowMs: trendingWindowMs });
        const differing = await drift(site, { publicMinListeners });
        log[differing === 0 ? 'info' : 'error'](
          { differing },
          'popularity: windows moved, counts compared with contributions',
        );
      });
      await asLeader(users, async () => {
        const purged = await purgeSessions(users, new Date(now));
        const keys = await purgeIdempotencyKeys(users, new Date(now));
        if (purged + keys > 0) log.info({ purged, keys }, 'old sessions, tokens and idempotency keys forgotten');
      });
    } catch (error) {
      log.error({ err: error }, 'a job failed; it is tried again in five minutes');
    }
  }
}

/** Does the work unless another replica is at it; the lock is one of a connection's transaction and goes with it, however it ends. */
async function asLeader(dataSource: DataSource, work: () => Promise<void>, lock = LEADER_LOCK): Promise<void> {
  await dataSource.transaction(async (transaction) => {
    // While the work runs on other connections, this one idles.
    await transaction.query('SET LOCAL idle_in_transaction_session_timeout = 0');
    const [row] = await transaction.query<{ leader: boolean }[]>(
      `SELECT pg_try_advisory_xact_lock(${lock}::bigint) AS leader`,
    );
    if (row!.leader) await work();
  });
}
