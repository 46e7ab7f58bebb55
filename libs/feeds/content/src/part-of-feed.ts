import { distinctEpisodes, FeedItem, OpenFeed } from './feed';

const newest = new WeakMap<OpenFeed, readonly FeedItem[]>();

/** The episodes of a feed, the newest first and those without a date last; sorted once for as long as the feed is held. */
export function newestFirst(open: OpenFeed): readonly FeedItem[] {
  let sorted = newest.get(open);
  if (!sorted) newest.set(open, (sorted = distinctEpisodes(open.items).sort(byDate)));
  return sorted;
}

/** Of two without a date neither is first. */
export const byDate = (a: FeedItem, b: FeedItem): number =>
  (b.publishedAt ?? -Infinity) - (a.publishedAt ?? -Infinity) || 0;

/**
 * A feed that holds these of its items alone, to be merged, in memory of its own: who holds parts of many feeds does not hold their
 * documents. Its text is no document.
 */
export function partOfFeed({ text, root, feed }: OpenFeed, items: readonly FeedItem[]): OpenFeed {
  let length = 0;
  const moved = items.map((item) => {
    const start = length;
    length += item.end - item.start;
    return { ...item, start, end: length };
  });
  const sources = items.map(({ start, end }) => text.slice(start, end)).join('');
  // A slice of a string keeps all of it; a copy does not.
  const copied = structuredClone({ root, feed, items: moved });
  return { ...copied, text: Buffer.from(sources, 'utf16le').toString('utf16le'), pieces: [], weight: length * 2 };
}
