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

/**
 * Ids are hashes, and slow: each is made once, for a whole library is gone through at each of its erasures. What they are kept for must
 * not change.
 */
const idsOf = new WeakMap<Subject, { feedId: string; episodeId?: string }>();

/** Whether an erasure takes what is about this. */
export function concerns(target: ErasureTarget, subject: Subject): boolean {
  if (isWhole(target)) return true;
  const { feed, item } = subject;
  if (typeof feed !== 'string') return false;
  let ids = idsOf.get(subject);
  if (!ids) {
    ids = { feedId: feedId(feed) };
    idsOf.set(subject, ids);
  }
  if (target.feedId !== ids.feedId) return false;
  if (target.episodeId === null) return true;
  return typeof item === 'string' && target.episodeId === (ids.episodeId ??= episodeId(feed, item));
}
