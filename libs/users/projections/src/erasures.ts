import { forgetSkipped, Sql } from '@balados/platform-stores';
import { concerns, ErasureTarget, isWhole, USERS_CATEGORIES } from '@balados/users-contracts';

type Category = (typeof USERS_CATEGORIES)[number];

/** SQL: the id of the podcast that a playlist's item is of, made like `feedId`. */
const FEED_ID = "substr(encode(sha256(convert_to(feed, 'UTF8')), 'hex'), 1, 32)::uuid";

/** The tables that the streams of each category are projected into, and where these say which podcast and episode a row is of. */
const TABLES: Readonly<Record<Category, readonly { table: string; feed?: string; episode?: string }[]>> = {
  subscriptions: [{ table: 'subscriptions', feed: 'feed_id' }],
  listening: ['play_statuses', 'saved_episodes', 'shared_episodes'].map((table) => ({
    table,
    feed: 'feed_id',
    episode: 'episode_id',
  })),
  playlists: [{ table: 'playlist_items', feed: FEED_ID, episode: 'item_id' }, { table: 'playlists' }],
  privacy: [{ table: 'user_privacy' }],
};

/** That something of a stream was erased, up to this revision. */
export interface ErasedStream {
  userId: string;
  category: string;
  revision: number;
  target: ErasureTarget;
}

/** Deletes what the streams made before. The rows that later events of the same batch make are not there yet. */
export async function eraseRows(sql: Sql, erased: readonly ErasedStream[]): Promise<void> {
  for (const { userId, category, revision, target } of erased) {
    // When the listener was active then is theirs to have erased, too.
    if (isWhole(target))
      await sql.query(
        'UPDATE listener_revisions SET active_at = NULL WHERE user_id = $1 AND category = $2 AND revision < $3',
        [userId, category, revision],
      );
    for (const { table, feed, episode } of TABLES[category as Category]) {
      const [column, id] = target.episodeId === null ? [feed, target.feedId] : [episode, target.episodeId];
      // What has nothing to do with podcasts goes with all alone.
      if (id !== null && column === undefined) continue;
      const only = id === null ? '' : ` AND ${column} = $3`;
      await sql.query(`DELETE FROM ${table} WHERE user_id = $1 AND revision < $2${only}`, [
        userId,
        revision,
        ...(id === null ? [] : [id]),
      ]);
    }
  }
}

/** Takes out of a batch, whose keys begin with the listener, what an erasure concerns. */
export function forgetErased(rows: Map<string, { data: object }>, userId: string, target: ErasureTarget): void {
  for (const [key, { data }] of [...rows]) if (key.startsWith(`${userId} `) && concerns(target, data)) rows.delete(key);
}

/** Deletes all that is kept of a listener whose streams are gone, rows that no event made included. */
export async function forgetReadModels(sql: Sql, userId: string): Promise<void> {
  for (const table of [
    ...Object.values(TABLES).flatMap((tables) => tables.map(({ table }) => table)),
    'listener_revisions',
  ])
    await sql.query(`DELETE FROM ${table} WHERE user_id = $1`, [userId]);
  await forgetSkipped(sql, 'users', userId);
}
