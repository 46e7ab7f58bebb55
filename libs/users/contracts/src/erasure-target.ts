import { episodeId, feedId } from '@balados/feeds-ids';
import { ErasureScope, ErasureTarget, USERS_CATEGORIES } from './events';

/** A listener's podcasts and episodes that were erased by themselves; more are erased together, with their podcast or with all. */
export const ERASED_PARTS_MAX = 1_000;

type Category = (typeof USERS_CATEGORIES)[number];

/**
 * The streams from which each scope is erased, in this order: privacy goes last, so that nothing is ever seen because a setting that hid
 * it went first.
 */
export const ERASED_CATEGORIES: Readonly<Record<ErasureScope, readonly Category[]>> = {
  account: ['subscriptions', 'playlists', 'listening', 'privacy'],
  history: ['subscriptions', 'playlists', 'listening'],
  podcast: ['subscriptions', 'playlists', 'listening'],
  episode: ['playlists', 'listening'],
};

export const WHOLE_ACCOUNT: ErasureTarget = { scope: 'account', feedId: null, episodeId: null };
export const WHOLE_HISTORY: ErasureTarget = { scope: 'history', feedId: null, episodeId: null };
/** A podcast, or with an item (`<guid>,<enclosure>`) one episode of it. */
export const partOf = (feed: string, item: string | null): ErasureTarget =>
  item === null
    ? { scope: 'podcast', feedId: feedId(feed), episodeId: null }
    : { scope: 'episode', feedId: feedId(feed), episodeId: episodeId(feed, item) };

/** Whether all of a listener's stream is erased, not a podcast or an episode alone. */
export const isWhole = ({ feedId }: ErasureTarget): boolean => feedId === null;

/** Whether the one erases all that the other does. */
export const covers = (wide: ErasureTarget, narrow: ErasureTarget): boolean =>
  isWhole(wide) || (wide.feedId === narrow.feedId && (wide.episodeId === null || wide.episodeId === narrow.episodeId));

/** What an entry of a stream is about, if it is about a podcast at all, and about an episode. */
export interface Subject {
  feed?: string | null;
  item?: string | null;
}

/** Whether an erasure takes what is about this; slow, since ids are hashes. */
export function concerns(target: ErasureTarget, { feed, item }: Subject): boolean {
  if (isWhole(target)) return true;
  if (typeof feed !== 'string') return false;
  if (target.episodeId === null) return target.feedId === feedId(feed);
  return typeof item === 'string' && target.episodeId === episodeId(feed, item);
}
