import type { Logger } from '@balados/platform-service';
import { Inject, Injectable } from '@nestjs/common';
import { Cron } from '@nestjs/schedule';
import { drift, movePopularityWindows } from '@balados/site-projections';
import { purgeIdempotencyKeys, purgeSessions } from '@balados/users-accounts';
import type { DataSource } from 'typeorm';

export interface JobsDependencies {
  users: DataSource;
  site: DataSource;
  log: Logger;
  /** Milliseconds over which growth is measured. */
  trendingWindowMs: number;
  publicMinListeners: number;
}

export const JOBS_DEPENDENCIES = Symbol('dependencies of the jobs');

/** What the replicas of this service lock, so that one of them works at a time ("jobs" in hexadecimal). */
const LEADER_LOCK = '0x6a6f6273';

@Injectable()
export class ScheduledJobs {
  constructor(@Inject(JOBS_DEPENDENCIES) private readonly dependencies: JobsDependencies) {}

  /** Moves the windows of growth, reports what counts differ from the contributions (none should), and forgets old sessions. */
  @Cron('0 */5 * * * *', { waitForCompletion: true })
  async everyFiveMinutes(): Promise<void> {
    const { users, site, log, trendingWindowMs, publicMinListeners } = this.dependencies;
    const now = Date.now();
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
async function asLeader(dataSource: DataSource, work: () => Promise<void>): Promise<void> {
  await dataSource.transaction(async (transaction) => {
    // While the work runs on other connections, this one idles.
    await transaction.query('SET LOCAL idle_in_transaction_session_timeout = 0');
    const [row] = await transaction.query<{ leader: boolean }[]>(
      `SELECT pg_try_advisory_xact_lock(${LEADER_LOCK}::bigint) AS leader`,
    );
    if (row!.leader) await work();
  });
}
