import { hostname } from 'node:os';
import type { Sql } from '@balados/platform-stores';
import type { Figures, Job } from './jobs';

/** So many runs of each job are kept. */
export const RUNS_KEPT = 500;

/** A run as it is kept. */
export interface JobRun {
  job: string;
  beganAt: Date;
  seconds: number;
  outcome: 'done' | 'failed';
  figures: Figures;
  /** The kind of error, with its code if it has one. */
  error: string | null;
  /** Host and process. */
  replica: string;
}

/** Urgent jobs look every few seconds whether there is something to do: that there was nothing is not worth a row. */
export const isWorthKeeping = ({ urgentMs }: Job, { outcome, figures }: Pick<JobRun, 'outcome' | 'figures'>): boolean =>
  urgentMs === undefined || outcome === 'failed' || Object.values(figures).some((figure) => figure > 0);

/** What an error says may name a listener, a feed or an address: what is shown to people is its kind alone, and the log has the rest. */
export function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^\w{1,40}$/.test(code) ? `${error.name} ${code}` : error.name;
}

/** Keeps a run, and forgets those of the job beyond the last RUNS_KEPT. */
export async function keepRun(site: Sql, run: Omit<JobRun, 'replica'>): Promise<void> {
  const { job, beganAt, seconds, outcome, figures, error } = run;
  await site.query(
    `INSERT INTO site_private.job_runs (job, began_at, seconds, outcome, figures, error, replica)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [job, beganAt, seconds, outcome, JSON.stringify(figures), error, `${hostname()}-${process.pid}`],
  );
  await site.query(
    `DELETE FROM site_private.job_runs WHERE job = $1 AND id <=
       (SELECT id FROM site_private.job_runs WHERE job = $1 ORDER BY id DESC OFFSET $2 LIMIT 1)`,
    [job, RUNS_KEPT],
  );
}

const RUN = 'job, began_at AS "beganAt", seconds, outcome, figures, error, replica';

/** The last runs of all jobs, the newest first. */
export const lastRuns = (site: Sql, limit: number): Promise<JobRun[]> =>
  site.query<JobRun[]>(`SELECT ${RUN} FROM site_private.job_runs ORDER BY id DESC LIMIT $1`, [limit]);

/** The last run of each of these jobs that has one. */
export const lastRunOfEach = (site: Sql, jobs: readonly string[]): Promise<JobRun[]> =>
  site.query<JobRun[]>(
    `SELECT ${RUN.replace('job,', 'last.job,')} FROM unnest($1::text[]) AS named (job)
     CROSS JOIN LATERAL (SELECT * FROM site_private.job_runs r WHERE r.job = named.job ORDER BY id DESC LIMIT 1) AS last`,
    [jobs],
  );
