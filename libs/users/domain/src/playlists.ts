import { Decider, NO_EVENTS, Refusal } from '@balados/event-sourcing';
import { episodeKey } from '@balados/feeds-ids';
import {
  ContentDropped,
  ErasureTarget,
  HistoryErased,
  isWhole,
  NO_CONTENT,
  PLAYLIST_ITEMS_KEPT_MAX,
  PLAYLIST_ITEMS_MAX,
  PLAYLISTS_KEPT_MAX,
  PLAYLISTS_MAX,
  PlaylistsEvent,
} from '@balados/users-contracts';
import { dated, instant, instantOrNull, rfc3339, rfc3339OrNull } from './claims';
import { comparedWithout, decideDrop, DropContent } from './dropping';
import {
  concerned,
  decideErasure,
  erasedBy,
  EraseHistory,
  Erasures,
  floorOf,
  isErased,
  latestOf,
  NOTHING_ERASED,
} from './erasure';
import {
  comparePlaylistItems,
  comparePlaylistOrders,
  comparePlaylists,
  countStanding,
  inOrder,
  isDeleted,
  PlaylistClaim,
  PlaylistItemClaim,
  playlistItemId,
  PlaylistOrderClaim,
  winners,
} from './playlist-claims';

/** The claim that stands, its id, and the revision of the event that set it. */
export type PlaylistItem = PlaylistItemClaim & { id: string; revision: number };

/** The claim that stands, and beside it those of its order and of each item, with the revisions of the events that set them. */
export type Playlist = PlaylistClaim & {
  revision: number;
  order: readonly string[];
  orderedAt: number | null;
  orderRevision: number;
  /** By id; removed ones stay, as tombstones. */
  items: Map<string, PlaylistItem>;
};

export interface PlaylistsState {
  /** By id; deleted ones stay with all that they held, for a newer claim may bring them back. */
  playlists: Map<string, Playlist>;
  erasures: Erasures;
  /** Of what had ended up to this revision the content was dropped; NO_EVENTS, it never was. */
  dropped: number;
  /** Number of items in all of them, removed ones included. */
  itemCount: number;
  bytes: number;
}

type Titles = { itemTitle: string | null; feedTitle: string | null };
export type PlaylistsCommand =
  | { type: 'CreatePlaylist'; data: { playlistId: string; name: string; description: string | null; now: number } }
  /** What is undefined stays as it is. */
  | { type: 'ChangePlaylist'; data: { playlistId: string; name?: string; description?: string | null; now: number } }
  | { type: 'DeletePlaylist'; data: { playlistId: string; now: number } }
  /** A title that is null is not known to who adds. */
  | { type: 'AddPlaylistItem'; data: { playlistId: string; feed: string; item: string; now: number } & Titles }
  | { type: 'RemovePlaylistItem'; data: { playlistId: string; itemId: string; now: number } }
  /** Items that are not named come after those that are. */
  | { type: 'ReorderPlaylist'; data: { playlistId: string; items: readonly string[]; now: number } }
  | {
      type: 'MergePlaylists';
      /** Items and orders of playlists that are neither held nor claimed, or that were emptied, are dropped, and so is what exceeds the limits or was erased. */
      data: {
        playlists: readonly PlaylistClaim[];
        items: readonly PlaylistItemClaim[];
        orders: readonly PlaylistOrderClaim[];
      };
    }
  | DropContent
  | EraseHistory;

const playlistUnknown = () => new Refusal('playlist_unknown', 'this listener has no such playlist');
const itemUnknown = () => new Refusal('playlist_item_unknown', 'the playlist has no such item');

/** @throws Refusal `playlist_unknown`, also of one that was deleted */
export function standingPlaylist(state: PlaylistsState, playlistId: string): Playlist {
  const held = state.playlists.get(playlistId);
  if (!held || isDeleted(held)) throw playlistUnknown();
  return held;
}

/** The podcasts of which this item was ever in a playlist. */
export function feedsInPlaylists({ playlists: held }: PlaylistsState, item: string): string[] {
  const key = episodeKey(item);
  const items = [...held.values()].flatMap((playlist) => [...playlist.items.values()]);
  return items.filter((one) => episodeKey(one.item) === key).map(({ feed }) => feed);
}

/** The items that stand, in the order in which the listener wants them. */
export const standingItems = ({ items, order }: Pick<Playlist, 'items' | 'order'>): PlaylistItem[] =>
  inOrder(items.values(), order).filter((item) => !isDeleted(item));

const became = (claim: PlaylistClaim, known: boolean): PlaylistsEvent => ({
  type: isDeleted(claim) ? 'PlaylistDeleted' : known ? 'PlaylistChanged' : 'PlaylistCreated',
  data: {
    playlistId: claim.playlistId,
    name: claim.name,
    description: claim.description,
    updatedAt: rfc3339(claim.updatedAt),
    deletedAt: rfc3339OrNull(claim.deletedAt),
  },
});

const itemBecame = (claim: PlaylistItemClaim): PlaylistsEvent => ({
  type: isDeleted(claim) ? 'PlaylistItemRemoved' : 'PlaylistItemAdded',
  data: {
    playlistId: claim.playlistId,
    feed: claim.feed,
    item: claim.item,
    itemTitle: claim.itemTitle,
    feedTitle: claim.feedTitle,
    createdAt: rfc3339(claim.createdAt),
    updatedAt: rfc3339(claim.updatedAt),
    deletedAt: rfc3339OrNull(claim.deletedAt),
  },
});

const reordered = ({ playlistId, items, orderedAt }: PlaylistOrderClaim): PlaylistsEvent => ({
  type: 'PlaylistReordered',
  data: { playlistId, items: [...items], orderedAt: rfc3339(orderedAt) },
});

const ENTRY_BYTES = 500;
const ORDER_ENTRY_BYTES = 60;
const length = (text: string | null): number => text?.length ?? 0;
const bytesOf = (playlist: Playlist | undefined): number =>
  playlist
    ? ENTRY_BYTES + playlist.name.length + length(playlist.description) + playlist.order.length * ORDER_ENTRY_BYTES
    : 0;
const itemBytesOf = (item: PlaylistItem | undefined): number =>
  item ? ENTRY_BYTES + item.feed.length + item.item.length + length(item.itemTitle) + length(item.feedTitle) : 0;

export const playlists: Decider<PlaylistsCommand, PlaylistsState, PlaylistsEvent | HistoryErased | ContentDropped> = {
  category: 'playlists',
  initialState: () => ({ playlists: new Map(), erasures: NOTHING_ERASED, dropped: NO_EVENTS, itemCount: 0, bytes: 0 }),

  decide(command, state) {
    switch (command.type) {
      case 'CreatePlaylist': {
        const { now, ...said } = command.data;
        const held = state.playlists.get(said.playlistId);
        if (held) {
          if (!isDeleted(held) && held.name === said.name && held.description === said.description) return [];
          throw new Refusal('playlist_exists', 'a playlist of this listener has, or had, this id: choose another');
        }
        if (countStanding(state.playlists) >= PLAYLISTS_MAX || state.playlists.size >= PLAYLISTS_KEPT_MAX)
          throw new Refusal('playlists_full', 'there are as many playlists as there can be');
        return [became({ ...said, updatedAt: dated(now, state.erasures.all?.floor), deletedAt: null }, false)];
      }
      case 'ChangePlaylist': {
        const { playlistId, name, description, now } = command.data;
        const held = standingPlaylist(state, playlistId);
        const said = {
          name: name ?? held.name,
          description: description === undefined ? held.description : description,
        };
        if (said.name === held.name && said.description === held.description) return [];
        return [became({ ...held, ...said, updatedAt: dated(now, held.updatedAt) }, true)];
      }
      case 'DeletePlaylist': {
        const held = state.playlists.get(command.data.playlistId);
        if (!held) throw playlistUnknown();
        if (isDeleted(held)) return [];
        const deletedAt = dated(command.data.now, held.updatedAt);
        return [became({ ...held, updatedAt: deletedAt, deletedAt }, true)];
      }
      case 'AddPlaylistItem': {
        const { now, ...said } = command.data;
        const { items } = standingPlaylist(state, said.playlistId);
        const held = items.get(playlistItemId(said));
        const stands = held !== undefined && !isDeleted(held);
        const itemTitle = said.itemTitle ?? held?.itemTitle ?? null;
        const feedTitle = said.feedTitle ?? held?.feedTitle ?? null;
        if (stands && held.item === said.item && held.itemTitle === itemTitle && held.feedTitle === feedTitle)
          return [];
        if (
          (!stands && countStanding(items) >= PLAYLIST_ITEMS_MAX) ||
          (!held && state.itemCount >= PLAYLIST_ITEMS_KEPT_MAX)
        )
          throw new Refusal('playlist_full', 'there are as many items as there can be');
        const updatedAt = dated(now, held?.updatedAt ?? floorOf(state.erasures, said));
        const createdAt = stands ? held.createdAt : updatedAt;
        return [itemBecame({ ...said, itemTitle, feedTitle, createdAt, updatedAt, deletedAt: null })];
      }
      case 'RemovePlaylistItem': {
        const held = standingPlaylist(state, command.data.playlistId).items.get(command.data.itemId);
        if (!held) throw itemUnknown();
        if (isDeleted(held)) return [];
        const deletedAt = dated(command.data.now, held.updatedAt);
        return [itemBecame({ ...held, updatedAt: deletedAt, deletedAt })];
      }
      case 'ReorderPlaylist': {
        const { playlistId, items, now } = command.data;
        const held = standingPlaylist(state, playlistId);
        if (items.some((id) => !held.items.has(id))) throw itemUnknown();
        const before = standingItems(held);
        // What another device removed meanwhile is left out; what it added comes last.
        const after = inOrder(before, items).map(({ id }) => id);
        if (before.every(({ id }, place) => id === after[place])) return [];
        return [
          reordered({ playlistId, items: after, orderedAt: dated(now, held.orderedAt ?? state.erasures.all?.floor) }),
        ];
      }
      case 'MergePlaylists': {
        const { erasures } = state;
        const claims = command.data.playlists.filter(({ updatedAt }) => !isErased(updatedAt, erasures.all?.floor));
        const items = command.data.items.filter((claim) => !isErased(claim.updatedAt, floorOf(erasures, claim)));
        const orders = command.data.orders.filter(({ orderedAt }) => !isErased(orderedAt, erasures.all?.floor));
        const held = state.playlists;
        const taken = winners(claims, held, ({ playlistId }) => playlistId, comparedPlaylists(state), {
          max: PLAYLISTS_MAX,
          room: PLAYLISTS_KEPT_MAX - held.size,
        });
        const events = taken.map((claim) => became(claim, held.has(claim.playlistId)));
        const known = new Set([
          ...[...held.keys()].filter((id) => !isEmptied(state, id)),
          ...taken.map(({ playlistId }) => playlistId),
        ]);
        let room = PLAYLIST_ITEMS_KEPT_MAX - state.itemCount;
        for (const [playlistId, ofPlaylist] of byPlaylist(items)) {
          if (!known.has(playlistId)) continue;
          const there = held.get(playlistId)?.items ?? new Map<string, PlaylistItem>();
          const limits = { max: PLAYLIST_ITEMS_MAX, room };
          const won = winners(ofPlaylist, there, playlistItemId, comparedItems(state), limits);
          room -= won.filter((claim) => !there.has(playlistItemId(claim))).length;
          events.push(...won.map(itemBecame));
        }
        for (const [playlistId, ofPlaylist] of byPlaylist(orders)) {
          const order = ofPlaylist.reduce((one, other) => (comparePlaylistOrders(one, other) < 0 ? other : one));
          const standing = orderOf(held.get(playlistId));
          if (known.has(playlistId) && (!standing || comparePlaylistOrders(order, standing) > 0))
            events.push(reordered(order));
        }
        return events;
      }
      case 'DropContent': {
        const all = [...state.playlists.values()];
        return decideDrop(command, state.dropped, [
          ...all.filter(isDeleted),
          ...all.flatMap(({ items }) => [...items.values()].filter(isDeleted)),
        ]);
      }
      case 'EraseHistory': {
        const latest = latestOf(state.playlists.values(), (held) => latestIn(held, command.data));
        const markers = decideErasure(command, state.erasures, latest);
        return markers.length === 0 || isWhole(command.data)
          ? markers
          : [...ordersWithout(state, command.data), ...markers];
      }
    }
  },

  evolve(state, event) {
    if (event.type === 'HistoryErased') {
      const erasures = erasedBy(event, state.erasures);
      if (isWhole(event.data)) return { ...playlists.initialState(), erasures };
      for (const { items } of state.playlists.values())
        for (const item of concerned(event.data, [...items.values()])) {
          items.delete(item.id);
          state.itemCount -= 1;
          state.bytes -= itemBytesOf(item);
        }
      return { ...state, erasures };
    }
    if (event.type === 'ContentDropped') {
      for (const playlist of state.playlists.values()) dropContent(state, playlist, event.data.upTo);
      return { ...state, dropped: event.data.upTo };
    }
    const { type, data, revision } = event;
    const held = state.playlists.get(data.playlistId);
    switch (type) {
      case 'PlaylistCreated':
      case 'PlaylistChanged':
      case 'PlaylistDeleted': {
        const playlist: Playlist = {
          playlistId: data.playlistId,
          name: data.name,
          description: data.description,
          updatedAt: instant(data.updatedAt),
          deletedAt: instantOrNull(data.deletedAt),
          revision,
          order: held?.order ?? [],
          orderedAt: held?.orderedAt ?? null,
          orderRevision: held?.orderRevision ?? revision,
          items: held?.items ?? new Map(),
        };
        state.playlists.set(playlist.playlistId, playlist);
        state.bytes += bytesOf(playlist) - bytesOf(held);
        break;
      }
      case 'PlaylistItemAdded':
      case 'PlaylistItemRemoved': {
        const id = playlistItemId(data);
        const item: PlaylistItem = {
          id,
          playlistId: data.playlistId,
          feed: data.feed,
          item: data.item,
          itemTitle: data.itemTitle,
          feedTitle: data.feedTitle,
          createdAt: instant(data.createdAt),
          updatedAt: instant(data.updatedAt),
          deletedAt: instantOrNull(data.deletedAt),
          revision,
        };
        // Events of a playlist follow the one that made it.
        const { items } = held!;
        state.bytes += itemBytesOf(item) - itemBytesOf(items.get(id));
        if (!items.has(id)) state.itemCount += 1;
        items.set(id, item);
        break;
      }
      case 'PlaylistReordered': {
        const playlist = { ...held!, order: data.items, orderedAt: instant(data.orderedAt), orderRevision: revision };
        state.playlists.set(data.playlistId, playlist);
        state.bytes += bytesOf(playlist) - bytesOf(held);
      }
    }
    return state;
  },

  bytes: (state) => state.bytes,
};

/** Claims as they are compared with the playlists that are held, and with their items. */
export const comparedPlaylists = ({ dropped }: PlaylistsState) =>
  comparedWithout(comparePlaylists, dropped, isDeleted, NO_CONTENT.playlist);
export const comparedItems = ({ dropped }: PlaylistsState) =>
  comparedWithout(comparePlaylistItems, dropped, isDeleted, NO_CONTENT.playlistItem);

/** Whether it was deleted so long ago that nothing is kept any more of what it held. */
export function isEmptied({ playlists: held, dropped }: PlaylistsState, playlistId: string): boolean {
  const playlist = held.get(playlistId);
  return playlist !== undefined && isDeleted(playlist) && playlist.revision <= dropped;
}

/** Entries are never changed in place: who reads a state may hold on to them. */
function dropContent(state: PlaylistsState, held: Playlist, upTo: number): void {
  if (isDeleted(held) && held.revision <= upTo) {
    const empty = { order: [], orderedAt: null, orderRevision: held.revision, items: new Map<string, PlaylistItem>() };
    const playlist: Playlist = { ...held, ...NO_CONTENT.playlist, ...empty };
    state.playlists.set(held.playlistId, playlist);
    state.itemCount -= held.items.size;
    for (const item of held.items.values()) state.bytes -= itemBytesOf(item);
    state.bytes += bytesOf(playlist) - bytesOf(held);
    return;
  }
  for (const item of held.items.values()) {
    if (!isDeleted(item) || item.revision > upTo) continue;
    const left: PlaylistItem = { ...item, ...NO_CONTENT.playlistItem };
    held.items.set(item.id, left);
    state.bytes += itemBytesOf(left) - itemBytesOf(item);
  }
}

/** The latest date of anything in a playlist that an erasure concerns; a podcast's has nothing to do with the playlist itself. */
function latestIn({ updatedAt, orderedAt, items }: Playlist, target: ErasureTarget): number {
  const latestItem = latestOf(concerned(target, items.values()), (item) => item.updatedAt);
  return isWhole(target) ? Math.max(updatedAt, orderedAt ?? -Infinity, latestItem) : latestItem;
}

/** Orders that name what is erased, told anew without it: an id is a hash of the episode, and would be a trace of it. */
function ordersWithout(
  { playlists: held }: PlaylistsState,
  { requestedAt, ...target }: EraseHistory['data'],
): PlaylistsEvent[] {
  return [...held.values()].flatMap(({ playlistId, order, orderedAt, items }) => {
    const gone = new Set([...concerned(target, items.values())].map(({ id }) => id));
    const left = order.filter((id) => !gone.has(id));
    if (left.length === order.length) return [];
    return reordered({ playlistId, items: left, orderedAt: dated(requestedAt, orderedAt ?? undefined) });
  });
}

const orderOf = (playlist: Playlist | undefined): PlaylistOrderClaim | undefined =>
  playlist && playlist.orderedAt !== null
    ? { playlistId: playlist.playlistId, items: playlist.order, orderedAt: playlist.orderedAt }
    : undefined;

function byPlaylist<Claim extends { playlistId: string }>(claims: readonly Claim[]): Map<string, Claim[]> {
  const groups = new Map<string, Claim[]>();
  for (const claim of claims) {
    const group = groups.get(claim.playlistId);
    if (group) group.push(claim);
    else groups.set(claim.playlistId, [claim]);
  }
  return groups;
}
