import { Sql } from '@balados/platform-stores';
import { IDEMPOTENCY_KEY_HOURS } from './idempotency-keys';

/** Sessions and revoked tokens are kept for this long after their end, in days. */
export const ENDED_SESSION_DAYS = 30;
/** Rows of one DELETE. */
export const PURGE_BATCH = 1_000;

/** Deletes sessions and personal tokens that ended more than ENDED_SESSION_DAYS before `now`; answers how many. */
export function purgeSessions(sql: Sql, now: Date): Promise<number> {
  const before = new Date(now.getTime() - ENDED_SESSION_DAYS * 86_400_000);
  return inBatches(
    sql,
    `DELETE FROM users.api_tokens WHERE id IN (
       SELECT id FROM users.api_tokens WHERE expires_at < $1 OR revoked_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`,
    before,
  );
}

/** Deletes idempotency keys that ran out before `now`; answers how many. */
export function purgeIdempotencyKeys(sql: Sql, now: Date): Promise<number> {
  const before = new Date(now.getTime() - IDEMPOTENCY_KEY_HOURS * 3_600_000);
  return inBatches(
    sql,
    `DELETE FROM users.idempotency_keys WHERE key_hash IN (
       SELECT key_hash FROM users.idempotency_keys WHERE created_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`,
    before,
  );
}

async function inBatches(sql: Sql, statement: string, before: Date): Promise<number> {
  let purged = 0;
  for (;;) {
    const [, deleted] = await sql.query<[unknown[], number]>(statement, [before, PURGE_BATCH]);
    purged += deleted;
    if (deleted < PURGE_BATCH) return purged;
  }
}

/** How many of each would be deleted. */
export async function endedSessions(sql: Sql, now: Date): Promise<{ sessions: number; keys: number }> {
  const [row] = await sql.query<{ sessions: number; keys: number }[]>(
    `SELECT (SELECT count(*)::integer FROM users.api_tokens WHERE expires_at < $1 OR revoked_at < $1) AS sessions,
       (SELECT count(*)::integer FROM users.idempotency_keys WHERE created_at < $2) AS keys`,
    [
      new Date(now.getTime() - ENDED_SESSION_DAYS * 86_400_000),
      new Date(now.getTime() - IDEMPOTENCY_KEY_HOURS * 3_600_000),
    ],
  );
  return row!;
}
