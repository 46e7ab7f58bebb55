import { Inject } from '@nestjs/common';
import { IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import type { Sql } from '@balados/platform-stores';
import { WirePlaylist, wirePlaylist, wirePlaylistItem } from '@balados/users-contracts';
import { inOrder, isDeleted, PlaylistsState, standingItems } from '@balados/users-domain';
import { LISTENER_STREAMS } from '@balados/users-write';
import type { ListenerStreams } from '@balados/users-write';
import { OwnRead, ownRead } from './own-reads';
import { USERS_SQL } from './queries';

/** The listener's playlists by name, each with its items in their order; the one with the id alone, if one is given. */
export class GetPlaylists extends Query<OwnRead<WirePlaylist[]>> {
  constructor(
    readonly userId: string,
    readonly playlistId?: string,
  ) {
    super();
  }
}

@QueryHandler(GetPlaylists)
export class GetPlaylistsHandler implements IQueryHandler<GetPlaylists> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(USERS_SQL) private readonly sql: Sql,
  ) {}

  async execute({ userId, playlistId }: GetPlaylists): Promise<OwnRead<WirePlaylist[]>> {
    const read = await ownRead(
      { streams: this.streams.playlists, sql: this.sql, userId },
      (state) => fromState(state, playlistId),
      () => this.fromPostgres(userId, playlistId),
    );
    read.answer.sort((a, b) => (a.name === b.name ? (a.id < b.id ? -1 : 1) : a.name < b.name ? -1 : 1));
    return read;
  }

  private async fromPostgres(userId: string, playlistId: string | undefined): Promise<WirePlaylist[]> {
    const parameters = [userId, playlistId ?? null];
    const [playlists, items] = await Promise.all([
      this.sql.query<PlaylistRow[]>(
        `SELECT playlist_id, name, description, updated_at, item_order, ordered_at FROM users.playlists
         WHERE user_id = $1 AND ($2::uuid IS NULL OR playlist_id = $2) AND deleted_at IS NULL`,
        parameters,
      ),
      this.sql.query<ItemRow[]>(
        `SELECT playlist_id, item_id, feed, item, item_title, feed_title, created_at, updated_at FROM users.playlist_items
         WHERE user_id = $1 AND ($2::uuid IS NULL OR playlist_id = $2) AND deleted_at IS NULL`,
        parameters,
      ),
    ]);
    const itemsOf = new Map<string, Item[]>(playlists.map(({ playlist_id }) => [playlist_id, []]));
    // Items of a playlist that is deleted stay, too.
    for (const row of items) itemsOf.get(row.playlist_id)?.push(itemOf(row));
    return playlists.map((row) =>
      wirePlaylist(
        {
          playlistId: row.playlist_id,
          name: row.name,
          description: row.description,
          updatedAt: row.updated_at.getTime(),
          deletedAt: null,
          order: row.item_order,
          orderedAt: row.ordered_at && row.ordered_at.getTime(),
        },
        inOrder(itemsOf.get(row.playlist_id)!, row.item_order).map(wirePlaylistItem),
      ),
    );
  }
}

const fromState = ({ playlists }: PlaylistsState, playlistId: string | undefined): WirePlaylist[] =>
  [...playlists.values()]
    .filter((held) => !isDeleted(held) && (playlistId === undefined || held.playlistId === playlistId))
    .map((held) => wirePlaylist(held, standingItems(held).map(wirePlaylistItem)));

interface PlaylistRow {
  playlist_id: string;
  name: string;
  description: string | null;
  updated_at: Date;
  item_order: string[];
  ordered_at: Date | null;
}

interface ItemRow {
  playlist_id: string;
  item_id: string;
  feed: string;
  item: string;
  item_title: string | null;
  feed_title: string | null;
  created_at: Date;
  updated_at: Date;
}

type Item = ReturnType<typeof itemOf>;
const itemOf = (row: ItemRow) => ({
  id: row.item_id,
  feed: row.feed,
  item: row.item,
  itemTitle: row.item_title,
  feedTitle: row.feed_title,
  createdAt: row.created_at.getTime(),
  updatedAt: row.updated_at.getTime(),
  deletedAt: null,
});
