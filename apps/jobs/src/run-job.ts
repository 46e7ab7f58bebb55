import type { DataSource } from 'typeorm';
import { isWorthKeeping, JobRun, keepRun, kindOf } from './job-runs';
import type { Figures, Job, JobParts } from './jobs';
import type { Metrics } from './metrics';

/** No job that goes by the time runs while the clocks of its process and of Postgres are further apart, in milliseconds. */
export const CLOCKS_APART_MAX_MS = 3_600_000;

/** `standby`: another replica is at it. */
export type Outcome = 'done' | 'standby' | 'failed';

export interface Ran {
  outcome: Outcome;
  /** Of a run that is done. */
  figures?: Figures;
  error?: unknown;
}

/** Runs a job once, unless another replica, or whoever runs it by hand, is at it; never throws. */
export async function runJob(job: Job, parts: JobParts, metrics: Metrics): Promise<Ran> {
  const { log } = parts;
  const [beganAt, startedAt] = [new Date(), performance.now()];
  const ran = await attempt(job, parts);
  const seconds = (performance.now() - startedAt) / 1_000;
  metrics.ran(job.name, ran.outcome, seconds, ran.figures);
  const { outcome, figures = {}, error } = ran;
  if (outcome !== 'standby')
    await keep(job, { job: job.name, beganAt, seconds, outcome, figures, error: error ? kindOf(error) : null }, parts);
  if (outcome === 'failed') log.error({ job: job.name, err: error }, 'a job failed; the next run goes on');
  else if (figures['differing']) log.error({ job: job.name, ...figures }, 'counts differed; they are repaired');
  else if (Object.values(figures).some((figure) => figure > 0))
    log.info({ job: job.name, ...figures }, 'a job is done');
  return ran;
}

async function keep(job: Job, run: Omit<JobRun, 'replica'>, { site, log }: JobParts): Promise<void> {
  if (!isWorthKeeping(job, run)) return;
  try {
    await keepRun(site, run);
  } catch (error) {
    // What keeps a job from its work keeps this from being written.
    if (run.outcome === 'done') log.warn({ job: job.name, err: error }, 'that a job ran could not be kept');
  }
}

async function attempt(job: Job, parts: JobParts): Promise<Ran> {
  try {
    const figures = await asLeader(parts[job.database], job.lock, async () => {
      if (!job.isTimeless) await assertClock(parts[job.database], parts.now());
      parts.log.debug({ job: job.name }, 'a job begins');
      try {
        return await job.run(parts);
      } finally {
        parts.log.debug({ job: job.name }, 'a job ends');
      }
    });
    return figures ? { outcome: 'done', figures } : { outcome: 'standby' };
  } catch (error) {
    return { outcome: 'failed', error };
  }
}

/**
 * What is old is dropped, and what ended forgotten: a clock that is wrong must not say so.
 * @throws Error when that of Postgres is apart from `now`
 */
async function assertClock(sql: DataSource, now: number): Promise<void> {
  const apart = await clocksApart(sql, now);
  if (apart > CLOCKS_APART_MAX_MS)
    throw new Error(`the clocks of this process and of Postgres are ${Math.round(apart / 60_000)} minutes apart`);
}

/** How far the clock of Postgres is from `now`, in milliseconds. */
export async function clocksApart(sql: DataSource, now: number): Promise<number> {
  const [row] = await sql.query<[{ apart: number }]>(
    'SELECT abs(extract(epoch FROM clock_timestamp()) * 1000 - $1)::float8 AS apart',
    [now],
  );
  return row.apart;
}

/**
 * Does the work unless somebody else is at it; the lock is one of a connection's transaction and goes with it, however it ends.
 * @returns what the work has come to, or undefined
 */
export function asLeader<Result>(
  dataSource: DataSource,
  lock: number,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  return dataSource.transaction(async (transaction) => {
    // While the work runs on other connections, this one idles.
    await transaction.query('SET LOCAL idle_in_transaction_session_timeout = 0');
    const [row] = await transaction.query<{ leader: boolean }[]>(
      `SELECT pg_try_advisory_xact_lock(${lock}::bigint) AS leader`,
    );
    return row!.leader ? work() : undefined;
  });
}
