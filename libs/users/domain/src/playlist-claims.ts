import { episodeId } from '@balados/feeds-ids';
import { compareBy } from './claims';

/** What a device claims of a playlist itself: name and description, or that it is deleted. Times in epoch milliseconds. */
export interface PlaylistClaim {
  playlistId: string;
  name: string;
  description: string | null;
  updatedAt: number;
  deletedAt: number | null;
}

/** What a device claims of an episode in a playlist, which holds each at most once. */
export interface PlaylistItemClaim {
  playlistId: string;
  feed: string;
  /** `<guid>,<enclosure>` as last sent. */
  item: string;
  itemTitle: string | null;
  feedTitle: string | null;
  createdAt: number;
  updatedAt: number;
  deletedAt: number | null;
}

/** What a device claims of the order of a playlist: ids of items, some of which may not be there (yet, or any more). */
export interface PlaylistOrderClaim {
  playlistId: string;
  items: readonly string[];
  orderedAt: number;
}

export const isDeleted = ({ deletedAt }: { deletedAt: number | null }): boolean => deletedAt !== null;

/** The same for the same episode on every device, whatever its enclosure is called today. */
export const playlistItemId = ({ feed, item }: { feed: string; item: string }): string => episodeId(feed, item);

/** Newest wins; then deleted; then the greater of what is left. */
export const comparePlaylists = compareBy<PlaylistClaim>(
  (claim) => claim.updatedAt,
  isDeleted,
  (claim) => claim.deletedAt ?? 0,
  (claim) => claim.name,
  (claim) => claim.description !== null,
  (claim) => claim.description ?? '',
);

/** Of the same item. Newest wins; then removed; then the greater of what is left. */
export const comparePlaylistItems = compareBy<PlaylistItemClaim>(
  (claim) => claim.updatedAt,
  isDeleted,
  (claim) => claim.deletedAt ?? 0,
  (claim) => claim.createdAt,
  (claim) => claim.item,
  (claim) => claim.itemTitle !== null,
  (claim) => claim.itemTitle ?? '',
  (claim) => claim.feedTitle !== null,
  (claim) => claim.feedTitle ?? '',
);

/** Newest wins; then the greater text. */
export const comparePlaylistOrders = compareBy<PlaylistOrderClaim>(
  (claim) => claim.orderedAt,
  (claim) => claim.items.join(' '),
);

/** What the order names comes first, as it says; the rest follows in the order in which it was added. */
export function inOrder<Item extends { id: string; createdAt: number }>(
  items: Iterable<Item>,
  order: readonly string[],
): Item[] {
  const places = new Map(order.map((id, place) => [id, place]));
  const placeOf = ({ id }: Item): number => places.get(id) ?? order.length;
  return [...items].sort(
    (a, b) => placeOf(a) - placeOf(b) || a.createdAt - b.createdAt || (a.id < b.id ? -1 : Number(a.id > b.id)),
  );
}

/**
 * Of claims, one of each key, those that win over what is held, as far as no more than `max` stand then. Those that delete come first,
 * so that what they free can be taken.
 */
export function winners<Claim extends { deletedAt: number | null }>(
  claims: readonly Claim[],
  held: ReadonlyMap<string, Claim>,
  keyOf: (claim: Claim) => string,
  compare: (left: Claim, right: Claim) => number,
  max: number,
): Claim[] {
  const newest = new Map<string, Claim>();
  for (const claim of claims) {
    const key = keyOf(claim);
    const standing = newest.get(key) ?? held.get(key);
    if (!standing || compare(claim, standing) > 0) newest.set(key, claim);
  }
  if (newest.size === 0) return [];
  let count = countStanding(held);
  const winning = [...newest].sort(([, a], [, b]) => Number(isDeleted(b)) - Number(isDeleted(a)));
  return winning.flatMap(([key, claim]) => {
    const before = held.get(key);
    const more = Number(!isDeleted(claim)) - Number(before !== undefined && !isDeleted(before));
    if (more > 0 && count >= max) return [];
    count += more;
    return [claim];
  });
}

export function countStanding(held: ReadonlyMap<string, { deletedAt: number | null }>): number {
  let count = 0;
  for (const entry of held.values()) if (!isDeleted(entry)) count += 1;
  return count;
}
