import { setTimeout as delay } from 'node:timers/promises';
import { FeedItem, MergePart, OpenFeed, partOfFeed } from '@balados/feeds-content';
import type { FeedCache } from '@balados/feeds-fetch';
import { feedProblem } from './problems';
import type { ServedFeed } from './served-feed';

/** Feeds of one personal feed that are asked for at a time; one that takes longer than this, in milliseconds, keeps none of these places. */
export const FEEDS_AT_A_TIME = 32;
export const GATHER_PATIENCE_MS = 200;
/** What is not there by then is left out, in milliseconds; it may be there the next time. */
export const GATHER_MS = 4_000;
/** Characters that the items of one personal feed take before the newest are chosen; the feeds beyond are left out. */
export const GATHER_MAX_CHARACTERS = 32 * 1_048_576;

export interface Gathered {
  parts: MergePart[];
  /** Hosts of the feeds that could not be had. */
  unavailable: string[];
}

/** Of many feeds the items that are wanted, side by side: a slow feed keeps no other waiting, and a dead one only itself out. `client`: for whom. */
export async function gather(
  cache: Pick<FeedCache<ServedFeed>, 'get'>,
  feeds: readonly string[],
  wanted: (feed: string, open: OpenFeed) => readonly FeedItem[],
  { client = '', deadlineMs = GATHER_MS, patienceMs = GATHER_PATIENCE_MS, maxCharacters = GATHER_MAX_CHARACTERS } = {},
): Promise<Gathered> {
  const found = new Map<string, OpenFeed>();
  const late = new AbortController();
  const queue = feeds.values();
  let characters = 0;
  const take = async (feed: string): Promise<void> => {
    try {
      const { open } = (await cache.get(feed, client)).document;
      const part = partOfFeed(open, wanted(feed, open));
      if (late.signal.aborted || characters + part.text.length > maxCharacters) return;
      characters += part.text.length;
      found.set(feed, part);
    } catch (error) {
      // It is named among those that could not be had; why is said where the feed itself is asked for.
      if (!feedProblem(error, feed)) throw error;
    }
  };
  const slow: Promise<void>[] = [];
  const work = async (): Promise<void> => {
    for (const feed of queue) {
      if (late.signal.aborted) return;
      const taken = take(feed);
      const isTaken = taken.then(() => true);
      // The slow ones are waited for at the end, all together.
      if (!(await Promise.race([isTaken, delay(patienceMs, false, { ref: false })]))) slow.push(taken);
    }
  };
  const timer = new AbortController();
  const all = Promise.all(Array.from({ length: FEEDS_AT_A_TIME }, work))
    .then(() => Promise.all(slow))
    .finally(() => timer.abort());
  await Promise.race([all, delay(deadlineMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
  late.abort();
  return {
    // In the order of the feeds, not of their arrival: the same feeds make the same text.
    parts: feeds.flatMap((url) => (found.has(url) ? [{ url, open: found.get(url)! }] : [])),
    unavailable: feeds.filter((feed) => !found.has(feed)).map((feed) => new URL(feed).host),
  };
}
