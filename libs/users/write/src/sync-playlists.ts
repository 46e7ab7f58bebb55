import { NO_EVENTS } from '@balados/event-sourcing';
import {
  playlistEntry,
  playlistItemEntry,
  WirePlaylist,
  wirePlaylist,
  wirePlaylistItem,
} from '@balados/users-contracts';
import {
  comparedItems,
  comparedPlaylists,
  floorOf,
  inOrder,
  isDeleted,
  isErased,
  isEmptied,
  PlaylistClaim,
  PlaylistItemClaim,
  playlistItemId,
  PlaylistOrderClaim,
  PlaylistsState,
} from '@balados/users-domain';
import { erasedEntry, read, Rejected } from './sync-entries';

/** Where in the body a claim stood. */
type Placed<Claim> = Claim & { path: string };

export interface PlaylistClaims {
  playlists: Placed<PlaylistClaim>[];
  items: Placed<PlaylistItemClaim>[];
  orders: PlaylistOrderClaim[];
}

/**
 * The claims of the good entries; each bad one is added to `rejected`. A bad playlist takes its items with it, a bad item only itself.
 * `correct` turns a device's time into ours. @throws EntryRejected from `correct` reaches `rejected`, too
 */
export function readPlaylists(
  entries: readonly unknown[] | undefined,
  rejected: Rejected[],
  correct: <Time extends number | null>(time: Time) => Time,
): PlaylistClaims {
  const items: Placed<PlaylistItemClaim>[] = [];
  const orders: PlaylistOrderClaim[] = [];
  const playlists = read('playlists', entries, playlistEntry, rejected, (entry, path) => {
    const playlistId = entry.id;
    const claim: Placed<PlaylistClaim> = {
      path,
      playlistId,
      name: entry.name ?? '',
      description: entry.description,
      updatedAt: correct(entry.updated_at),
      deletedAt: correct(entry.deleted_at ?? null),
    };
    const orderedAt = correct(entry.ordered_at ?? null);
    if (orderedAt !== null) orders.push({ playlistId, items: entry.order ?? [], orderedAt });
    items.push(
      ...read(`${path}.items`, entry.items ?? [], playlistItemEntry, rejected, (item, itemPath) => {
        const createdAt = correct(item.created_at ?? null);
        const deletedAt = correct(item.deleted_at ?? null);
        // One of the three is there: the schema asks for it.
        const updatedAt = correct(item.updated_at ?? null) ?? Math.max(createdAt ?? 0, deletedAt ?? 0);
        return {
          path: itemPath,
          playlistId,
          feed: item.rss_source_feed,
          item: item.rss_source_item,
          itemTitle: item.item_title,
          feedTitle: item.feed_title,
          createdAt: createdAt ?? updatedAt,
          updatedAt,
          deletedAt,
        };
      }),
    );
    return claim;
  });
  return { playlists, items, orders };
}

/** Adds to `rejected` the claims that should stand in the merged state and do not, since there was no room for them. */
export function rejectExceeding(
  { playlists, items }: PlaylistClaims,
  state: PlaylistsState,
  rejected: Rejected[],
): void {
  for (const claim of playlists) {
    const held = state.playlists.get(claim.playlistId);
    if ((held && comparedPlaylists(state)(claim, held) <= 0) || isErased(claim.updatedAt, state.erasures.all?.floor))
      continue;
    rejected.push({
      path: claim.path,
      code: 'playlists_full',
      message: 'there are as many playlists as there can be',
    });
  }
  for (const claim of items) {
    const playlist = state.playlists.get(claim.playlistId);
    if (!playlist || isEmptied(state, claim.playlistId)) continue;
    const held = playlist.items.get(playlistItemId(claim));
    if (held && comparedItems(state)(claim, held) <= 0) continue;
    if (isErased(claim.updatedAt, floorOf(state.erasures, claim))) continue;
    rejected.push({ path: claim.path, code: 'playlist_full', message: 'there are as many items as there can be' });
  }
}

/**
 * Adds to `rejected` the claims of playlists and items that were erased, unless they say themselves that it is gone.
 * @returns the playlists among them as they are to be answered: deleted by the erasure. Times are answered less `shift` milliseconds
 */
export function erasedPlaylists(
  { playlists, items }: PlaylistClaims,
  state: PlaylistsState,
  rejected: Rejected[],
  shift: number,
): WirePlaylist[] {
  const { erasures } = state;
  if (erasures.revision === NO_EVENTS) return [];
  const isOld = (claim: { updatedAt: number; deletedAt: number | null }, floor: number | undefined): boolean =>
    isErased(claim.updatedAt, floor) && !isDeleted(claim);
  for (const claim of items) {
    const playlist = state.playlists.get(claim.playlistId);
    // A playlist that is erased takes its items with it.
    if (playlist && !playlist.items.has(playlistItemId(claim)) && isOld(claim, floorOf(erasures, claim)))
      rejected.push(erasedEntry(claim.path));
  }
  const floor = erasures.all?.floor;
  if (floor === undefined) return [];
  const old = playlists.filter((claim) => isOld(claim, floor) && !state.playlists.has(claim.playlistId));
  rejected.push(...old.map(({ path }) => erasedEntry(path)));
  const gone = { updatedAt: floor - shift, deletedAt: floor - shift, order: [], orderedAt: null };
  return [...new Map(old.map((claim) => [claim.playlistId, claim])).values()].map((claim) =>
    wirePlaylist({ ...claim, ...gone }, []),
  );
}

/**
 * Playlists that changed after the revision `since`, or an item or the order of which did, each with those of its items that did.
 * Times are answered less `shift` milliseconds.
 */
export function changedPlaylists(state: PlaylistsState, since = NO_EVENTS, shift = 0): WirePlaylist[] {
  const told = (time: number | null) => (time === null ? null : time - shift);
  const changed: WirePlaylist[] = [];
  for (const playlist of state.playlists.values()) {
    const items = [...playlist.items.values()].filter(({ revision }) => revision > since);
    if (items.length === 0 && playlist.revision <= since && playlist.orderRevision <= since) continue;
    const wired = inOrder(items, playlist.order).map((item) =>
      wirePlaylistItem({
        ...item,
        createdAt: item.createdAt - shift,
        updatedAt: item.updatedAt - shift,
        deletedAt: told(item.deletedAt),
      }),
    );
    const { updatedAt, deletedAt, orderedAt } = playlist;
    const times = { updatedAt: updatedAt - shift, deletedAt: told(deletedAt), orderedAt: told(orderedAt) };
    changed.push(wirePlaylist({ ...playlist, ...times }, wired));
  }
  return changed;
}
