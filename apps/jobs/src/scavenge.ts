import type { JobParts } from './jobs';

/** One that failed is asked for again after this long, in milliseconds. */
export const SCAVENGE_AGAIN_AFTER_MS = 3_600_000;

/** Whether the last scavenge that was asked for, by whatever replica, is long enough ago. */
export async function scavengeIsDue({
  site,
  now,
  scavengeEveryMs,
}: Pick<JobParts, 'site' | 'now' | 'scavengeEveryMs'>): Promise<boolean> {
  if (scavengeEveryMs === 0) return false;
  const [row] = await site.query<[{ recent: boolean }]>(
    `SELECT coalesce(bool_or(outcome = 'done' OR began_at > $2), false) AS recent
     FROM site_private.job_runs WHERE job = 'scavenge' AND began_at > $1`,
    [new Date(now() - scavengeEveryMs), new Date(now() - SCAVENGE_AGAIN_AFTER_MS)],
  );
  return !row.recent;
}
