import { Recorded } from '@balados/event-sourcing';
import { episodeId } from '@balados/feeds-ids';
import { Sql } from '@balados/platform-stores';
import {
  ErasureTarget,
  PlaylistEvent,
  PlaylistItemEvent,
  PlaylistReordered,
  PlaylistsEvent,
} from '@balados/users-contracts';
import { forgetErased } from './erasures';

type Of<Event extends PlaylistsEvent> = Recorded<Event> & { userId: string };

/** Of a batch, the last word on each playlist, on each item, and on each order. */
export class PlaylistBatch {
  readonly playlists = new Map<string, Of<PlaylistEvent>>();
  readonly items = new Map<string, Of<PlaylistItemEvent>>();
  readonly orders = new Map<string, Of<PlaylistReordered>>();

  add(event: Of<PlaylistsEvent>): void {
    const playlist = `${event.userId} ${event.data.playlistId}`;
    switch (event.type) {
      case 'PlaylistCreated':
      case 'PlaylistChanged':
      case 'PlaylistDeleted':
        this.playlists.set(playlist, event);
        break;
      case 'PlaylistItemAdded':
      case 'PlaylistItemRemoved':
        this.items.set(`${playlist} ${episodeId(event.data.feed, event.data.item)}`, event);
        break;
      case 'PlaylistReordered':
        this.orders.set(playlist, event);
    }
  }

  /** The listener's playlists up to here were erased, or what they hold of a podcast or an episode. */
  forget(userId: string, target: ErasureTarget): void {
    for (const rows of [this.playlists, this.items, this.orders]) forgetErased(rows, userId, target);
  }
}

/** Orders come last: what they order was made by an earlier event, perhaps of the same batch. */
export async function writePlaylists(sql: Sql, { playlists, items, orders }: PlaylistBatch): Promise<void> {
  await writeClaims(sql, [...playlists.values()]);
  await writeItems(sql, [...items.values()]);
  await writeOrders(sql, [...orders.values()]);
}

async function writeClaims(sql: Sql, events: readonly Of<PlaylistEvent>[]): Promise<void> {
  if (events.length === 0) return;
  await sql.query(
    `INSERT INTO playlists AS held
       (user_id, playlist_id, name, description, updated_at, deleted_at, revision, order_revision)
     SELECT *, -1 FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::bigint[])
     ON CONFLICT (user_id, playlist_id) DO UPDATE SET name = excluded.name, description = excluded.description,
       updated_at = excluded.updated_at, deleted_at = excluded.deleted_at, revision = excluded.revision
     WHERE held.revision < excluded.revision`,
    [
      events.map(({ userId }) => userId),
      events.map(({ data }) => data.playlistId),
      events.map(({ data }) => data.name),
      events.map(({ data }) => data.description),
      events.map(({ data }) => data.updatedAt),
      events.map(({ data }) => data.deletedAt),
      events.map(({ revision }) => revision),
    ],
  );
}

async function writeItems(sql: Sql, events: readonly Of<PlaylistItemEvent>[]): Promise<void> {
  if (events.length === 0) return;
  await sql.query(
    `INSERT INTO playlist_items AS held (user_id, playlist_id, item_id, feed, item, item_title, feed_title,
       created_at, updated_at, deleted_at, revision)
     SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
       $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::bigint[])
     ON CONFLICT (user_id, playlist_id, item_id) DO UPDATE SET item = excluded.item, item_title = excluded.item_title,
       feed_title = excluded.feed_title, created_at = excluded.created_at, updated_at = excluded.updated_at,
       deleted_at = excluded.deleted_at, revision = excluded.revision
     WHERE held.revision < excluded.revision`,
    [
      events.map(({ userId }) => userId),
      events.map(({ data }) => data.playlistId),
      events.map(({ data }) => episodeId(data.feed, data.item)),
      events.map(({ data }) => data.feed),
      events.map(({ data }) => data.item),
      events.map(({ data }) => data.itemTitle),
      events.map(({ data }) => data.feedTitle),
      events.map(({ data }) => data.createdAt),
      events.map(({ data }) => data.updatedAt),
      events.map(({ data }) => data.deletedAt),
      events.map(({ revision }) => revision),
    ],
  );
}

async function writeOrders(sql: Sql, events: readonly Of<PlaylistReordered>[]): Promise<void> {
  if (events.length === 0) return;
  await sql.query(
    // An array of arrays of different lengths is none in SQL; as texts they are.
    `UPDATE playlists AS held
     SET item_order = said.item_order::uuid[], ordered_at = said.ordered_at, order_revision = said.revision
     FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::bigint[])
       AS said (user_id, playlist_id, item_order, ordered_at, revision)
     WHERE held.user_id = said.user_id AND held.playlist_id = said.playlist_id AND held.order_revision < said.revision`,
    [
      events.map(({ userId }) => userId),
      events.map(({ data }) => data.playlistId),
      events.map(({ data }) => `{${data.items.join(',')}}`),
      events.map(({ data }) => data.orderedAt),
      events.map(({ revision }) => revision),
    ],
  );
}
