import { Sql } from '@balados/platform-stores';

/** Sessions stay visible for this long after their end, in days. */
export const ENDED_SESSION_DAYS = 30;
/** Rows of one DELETE. */
export const PURGE_BATCH = 1_000;

/** Deletes sessions that ended more than ENDED_SESSION_DAYS before `now`; answers how many. */
export async function purgeSessions(sql: Sql, now: Date): Promise<number> {
  const before = new Date(now.getTime() - ENDED_SESSION_DAYS * 86_400_000);
  let purged = 0;
  for (;;) {
    const [, deleted] = await sql.query<[unknown[], number]>(
      `DELETE FROM users.api_tokens WHERE id IN (
         SELECT id FROM users.api_tokens WHERE kind = 'session' AND (expires_at < $1 OR revoked_at < $1)
         LIMIT $2 FOR UPDATE SKIP LOCKED)`,
      [before, PURGE_BATCH],
    );
    purged += deleted;
    if (deleted < PURGE_BATCH) return purged;
  }
}
