import { Sql } from '@balados/platform-stores';
import { USERS_CATEGORIES } from '@balados/users-contracts';

type Category = (typeof USERS_CATEGORIES)[number];

/** The tables that the streams of each category are projected into. */
const TABLES: Readonly<Record<Category, readonly string[]>> = {
  subscriptions: ['subscriptions'],
  listening: ['play_statuses', 'saved_episodes', 'shared_episodes'],
  playlists: ['playlist_items', 'playlists'],
  privacy: ['user_privacy'],
};

/** That a stream's history was erased, up to this revision. */
export interface ErasedStream {
  userId: string;
  category: string;
  revision: number;
}

/** Deletes what the streams made before. The rows that later events of the same batch make are not there yet. */
export async function eraseRows(sql: Sql, erased: readonly ErasedStream[]): Promise<void> {
  for (const { userId, category, revision } of erased)
    for (const table of TABLES[category as Category])
      await sql.query(`DELETE FROM users.${table} WHERE user_id = $1 AND revision < $2`, [userId, revision]);
}

/** Deletes all that is kept of a listener whose streams are gone, rows that no event made included. */
export async function forgetReadModels(sql: Sql, userId: string): Promise<void> {
  for (const table of [...Object.values(TABLES).flat(), 'listener_revisions'])
    await sql.query(`DELETE FROM users.${table} WHERE user_id = $1`, [userId]);
}
