import { episodeId } from '@balados/feeds-ids';

export interface Page {
  limit: number;
  offset: number;
}

/**
 * A page of episodes as Postgres would give it: the newest first, those of one time by episode; of one feed, if one is given.
 * `timeOf`: epoch milliseconds, null for what is not to be listed.
 */
export function pageOf<Entry extends { feed: string; item: string }>(
  entries: Iterable<Entry>,
  timeOf: (entry: Entry) => number | null,
  { limit, offset }: Page,
  feed: string | undefined,
): { entries: Entry[]; total: number } {
  const listed: Entry[] = [];
  for (const entry of entries)
    if (timeOf(entry) !== null && (feed === undefined || entry.feed === feed)) listed.push(entry);
  listed.sort((a, b) => timeOf(b)! - timeOf(a)! || (orderOf(a) < orderOf(b) ? -1 : 1));
  return { entries: listed.slice(offset, offset + limit), total: listed.length };
}

const orderOf = ({ feed, item }: { feed: string; item: string }): string => episodeId(feed, item);
