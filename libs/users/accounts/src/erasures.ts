import { randomUUID } from 'node:crypto';
import { Sql } from '@balados/platform-stores';
import { ErasureTarget } from '@balados/users-contracts';

/** After this long what was revoked works nowhere any more, in milliseconds: then nothing new comes of an account that was closed. */
export const REVOCATION_MS = 5_000;

/** Who carries erasures on takes it alone, in the users database ("eras" in hexadecimal). */
export const ERASURES_LOCK = 0x65726173;

/** So many erasures of one listener are carried on in a turn. */
export const ERASURES_AT_ONCE = 20;

export interface Erasure extends ErasureTarget {
  id: string;
  requestedAt: Date;
}

/** One that is not done yet. */
export type PendingErasure = Erasure & { userId: string };

const ROW = 'id, scope, feed_id AS "feedId", episode_id AS "episodeId", requested_at AS "requestedAt"';
const HASH = `sha256(convert_to($1::uuid::text, 'UTF8'))`;

/** SQL: whether the erasure `this` takes all that `older` does. */
const COVERS = `(this.feed_id IS NULL OR this.feed_id = older.feed_id)
  AND (this.episode_id IS NULL OR this.episode_id = older.episode_id)`;

/** SQL: whether settings of apps are of what the erasure `this` takes. Those of account and devices go with the account alone. */
const takesSettings = (ofEpisode = 'false'): string => `settings.feed_id IS NOT NULL
  AND (this.feed_id IS NULL OR this.feed_id = settings.feed_id)
  AND (this.episode_id IS NULL OR this.episode_id = settings.episode_id OR this.episode_id::text = settings.subject OR ${ofEpisode})`;

/**
 * Notes that something is to be erased; jobs carry it out. Of an account there is one: asked for again, it is that one. Those of the
 * listener's that wait and ask for no more are done with it. What apps keep of it with us goes at once.
 * @param enclosure of the episode: apps know it by that alone
 */
export async function requestErasure(
  sql: Sql,
  userId: string,
  { scope, feedId, episodeId }: ErasureTarget,
  enclosure: string | null = null,
): Promise<Erasure> {
  const [made] = await sql.query<Erasure[]>(
    `WITH this AS (
       INSERT INTO users.erasures (id, user_id, user_hash, scope, feed_id, episode_id)
       VALUES ($2, $1::uuid, ${HASH}, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING *
     ), covered AS (
       DELETE FROM users.erasures WHERE id IN (
         -- one that is locked is just being finished
         SELECT older.id FROM users.erasures older, this
         WHERE older.user_hash = ${HASH} AND older.user_id IS NOT NULL AND older.scope <> 'account' AND ${COVERS}
         FOR UPDATE OF older SKIP LOCKED)
     ), forgotten AS (
       DELETE FROM users.app_settings settings USING this
       WHERE settings.user_id = $1::uuid AND (this.scope = 'account' OR ${takesSettings('settings.enclosure = $6')})
     )
     SELECT ${ROW} FROM this`,
    [userId, randomUUID(), scope, feedId, episodeId, enclosure],
  );
  if (made) return made;
  const [held] = await sql.query<Erasure[]>(
    `SELECT ${ROW} FROM users.erasures WHERE user_hash = ${HASH} AND scope = 'account'`,
    [userId],
  );
  return held!;
}

/** Those that can be carried on: the oldest of each listener, then the second of each, so that nobody's many keep another's back. */
export const pendingErasures = (sql: Sql): Promise<PendingErasure[]> =>
  sql.query<PendingErasure[]>(
    `SELECT ${ROW}, user_id AS "userId" FROM (
       SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY requested_at) AS nth FROM users.erasures
       WHERE user_id IS NOT NULL AND requested_at < now() - $1 * interval '1 ms'
     ) waiting WHERE nth <= $2 ORDER BY nth, requested_at`,
    [REVOCATION_MS, ERASURES_AT_ONCE],
  );

/** How many wait, those that nobody may carry on yet included, and for how long the oldest does. */
export async function unfinishedErasures(sql: Sql): Promise<{ count: number; oldestSeconds: number }> {
  const [row] = await sql.query<{ count: number; oldest_seconds: number }[]>(
    `SELECT count(*)::integer AS count, coalesce(extract(epoch FROM now() - min(requested_at)), 0)::float8 AS oldest_seconds
     FROM users.erasures WHERE user_id IS NOT NULL`,
  );
  return { count: row!.count, oldestSeconds: row!.oldest_seconds };
}

/** It is done: of whom is known by a hash alone, and of several erasures of one listener those that the last one covers are not kept. */
export async function finishErasure(sql: Sql, { id, userId }: PendingErasure): Promise<void> {
  await sql.query(
    `DELETE FROM users.erasures older USING users.erasures this
     WHERE this.id = $2 AND older.user_hash = ${HASH} AND older.id <> this.id AND older.scope <> 'account'
       AND (this.scope = 'account' OR older.requested_at <= this.requested_at)
       AND ${COVERS}`,
    [userId, id],
  );
  // Of a copy that was older than the erasure it may be there again; what was set since stays.
  await sql.query(
    `DELETE FROM users.app_settings settings USING users.erasures this
     WHERE this.id = $2 AND settings.user_id = $1 AND settings.updated_at <= this.requested_at
       AND ${takesSettings()}`,
    [userId, id],
  );
  await sql.query('UPDATE users.erasures SET user_id = NULL, finished_at = now() WHERE id = $1', [id]);
}

/** One that is done. Of whom it was is known by a hash alone, in hexadecimal. */
export type FinishedErasure = Erasure & { userHash: string };

export const finishedErasures = (sql: Sql): Promise<FinishedErasure[]> =>
  sql.query<FinishedErasure[]>(
    `SELECT ${ROW}, encode(user_hash, 'hex') AS "userHash" FROM users.erasures WHERE finished_at IS NOT NULL
     ORDER BY requested_at`,
  );

/** It is to be carried out again: an older copy of the log has brought back what was erased, of this listener. */
export const reopenErasure = (sql: Sql, id: string, userId: string): Promise<unknown> =>
  sql.query(`UPDATE users.erasures SET user_id = $1, finished_at = NULL WHERE id = $2 AND user_hash = ${HASH}`, [
    userId,
    id,
  ]);

/** Deletes all that the tables of this room hold of a listener but the erasure itself. The name is free again. */
export async function forgetAccount(sql: Sql, userId: string): Promise<void> {
  for (const table of [
    ...['idempotency_keys', 'app_settings', 'devices', 'feed_names', 'login_flows', 'api_tokens'],
    ...['listener_keys', 'outside_listeners', 'accounts'],
  ])
    await sql.query(`DELETE FROM users.${table} WHERE user_id = $1`, [userId]);
}
