import type { Sql } from '@balados/platform-stores';
import { inOrder } from '@balados/users-domain';

/** Podcasts in one personal feed; of more the ones subscribed to last count. */
export const PERSONAL_FEEDS_MAX = 1_000;

/** Canonical URLs of the feeds that the listener has subscribed to, as projections have them at this moment. */
export async function subscribedFeeds(sql: Sql, userId: string): Promise<string[]> {
  const rows: { feed: string }[] = await sql.query(
    `SELECT feed FROM users.subscriptions WHERE user_id = $1 AND subscribed
     ORDER BY subscribed_at DESC NULLS LAST, feed LIMIT $2`,
    [userId, PERSONAL_FEEDS_MAX],
  );
  return rows.map(({ feed }) => feed);
}

export interface PlaylistToFeed {
  name: string;
  description: string | null;
  items: { feed: string; item: string }[];
}

/** The listener's playlist with its items in their order; undefined when there is none of this id, or it was deleted. */
export async function playlistOf(sql: Sql, userId: string, playlistId: string): Promise<PlaylistToFeed | undefined> {
  const parameters = [userId, playlistId];
  const playlists: { name: string; description: string | null; item_order: string[] }[] = await sql.query(
    `SELECT name, description, item_order FROM users.playlists
     WHERE user_id = $1 AND playlist_id = $2 AND deleted_at IS NULL`,
    parameters,
  );
  const [playlist] = playlists;
  if (!playlist) return undefined;
  const rows: { item_id: string; feed: string; item: string; created_at: Date }[] = await sql.query(
    `SELECT item_id, feed, item, created_at FROM users.playlist_items
     WHERE user_id = $1 AND playlist_id = $2 AND deleted_at IS NULL`,
    parameters,
  );
  const items = rows.map(({ item_id, created_at, ...row }) => ({
    ...row,
    id: item_id,
    createdAt: created_at.getTime(),
  }));
  const ordered = inOrder(items, playlist.item_order).map(({ feed, item }) => ({ feed, item }));
  return { name: playlist.name, description: playlist.description, items: ordered };
}
