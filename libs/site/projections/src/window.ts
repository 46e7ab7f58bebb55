import { Sql } from '@balados/platform-stores';
import { EntityManager } from 'typeorm';

/** Growth is counted over this long, in milliseconds. */
export const TRENDING_WINDOW_MS = 7 * 86_400_000;

/** What projectors share while they count, and who moves the window or repairs counts takes alone ("site" in hexadecimal). */
const WINDOW_LOCK = 0x73697465;

/** Anything that opens transactions: a data source, or a manager. */
export type Database = Pick<EntityManager, 'transaction'>;

/** Until the transaction ends the window stands still, and counts are changed by increments only. */
export const shareWindow = (sql: Sql): Promise<unknown> =>
  sql.query(`SELECT pg_advisory_xact_lock_shared(${WINDOW_LOCK})`);

/** Until the transaction ends no projector counts; what it does may take as long as it needs. */
export async function takeWindow(sql: Sql): Promise<void> {
  await sql.query('SET LOCAL statement_timeout = 0');
  await sql.query(`SELECT pg_advisory_xact_lock(${WINDOW_LOCK})`);
}

/**
 * Moves the window so that it starts `windowMs` before `now` (epoch milliseconds): what was made before is `*_previous` from then on.
 * Only what lies between the old start and the new one is read, in either direction; projectors wait as long.
 */
export async function movePopularityWindows(
  database: Database,
  { now, windowMs = TRENDING_WINDOW_MS }: { now: number; windowMs?: number },
): Promise<void> {
  await database.transaction(async (sql) => {
    await takeWindow(sql);
    const starts = new Date(now - windowMs);
    for (const [table, key] of [
      ['podcast_popularity', 'feed_id'],
      ['episode_popularity', 'episode_id'],
    ])
      await sql.query(
        `UPDATE ${table} p SET score_previous = p.score_previous + w.direction * w.score,
           plays_previous = p.plays_previous + w.direction * w.plays,
           likes_previous = p.likes_previous + w.direction * w.likes
         FROM (
           SELECT ${key}, CASE WHEN $1 > starts_at THEN 1 ELSE -1 END AS direction, sum(points) AS score,
             count(*) FILTER (WHERE kind = 'play') AS plays, count(*) FILTER (WHERE kind = 'save') AS likes
           FROM popularity_window, contributions
           WHERE visibility <> 'private' AND recorded_at >= least($1::timestamptz, starts_at)
             AND recorded_at < greatest($1::timestamptz, starts_at)
           GROUP BY ${key}, starts_at
         ) w WHERE p.${key} = w.${key}`,
        [starts],
      );
    await sql.query('UPDATE popularity_window SET starts_at = $1', [starts]);
  });
}

/** How many contributions the window would leave behind, or take in again, were it moved so. */
export async function movedByWindows(
  sql: Sql,
  { now, windowMs = TRENDING_WINDOW_MS }: { now: number; windowMs?: number },
): Promise<number> {
  const [row] = await sql.query<{ moved: number }[]>(
    `SELECT count(*)::integer AS moved FROM popularity_window, contributions
     WHERE visibility <> 'private' AND recorded_at >= least($1::timestamptz, starts_at)
       AND recorded_at < greatest($1::timestamptz, starts_at)`,
    [new Date(now - windowMs)],
  );
  return row!.moved;
}
