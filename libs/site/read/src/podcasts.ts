import { feedId } from '@balados/feeds-ids';
import { Sql } from '@balados/platform-stores';

/**
 * A search looks through so many podcasts, those most popular. An index of words would have to be written at every play, since that writes
 * the row anew, and one of letters wants an extension of Postgres; this costs some 30 ms of it at most, however many podcasts there are.
 */
export const SEARCHED_PODCASTS = 10_000;
/** Podcasts that a search finds at most. */
export const SEARCH_RESULTS_MAX = 50;
/** Longest text that is searched for, in characters. */
export const SEARCH_MAX_LENGTH = 100;
/** Words of it that are looked at. */
export const SEARCH_WORDS_MAX = 8;

/** What the public may know of a podcast beside its counts. */
export interface PublicPodcast {
  url: string;
  title: string | null;
  author: string | null;
  /** Address of its picture. */
  logo: string | null;
}

const SHOWN = `feed AS url, feed_title AS title, feed_author AS author, feed_cover ->> 'src' AS logo`;
const BY_POPULARITY = 'ORDER BY score DESC, feed_id';

/** The most popular podcasts, but for those of `except` (canonical URLs). */
export const popularPodcasts = (
  sql: Sql,
  { limit, except = [] }: { limit: number; except?: readonly string[] },
): Promise<PublicPodcast[]> =>
  sql.query<PublicPodcast[]>(
    `SELECT ${SHOWN} FROM site.podcast_popularity WHERE feed_id <> ALL ($2::uuid[]) ${BY_POPULARITY} LIMIT $1`,
    [limit, except.map(feedId)],
  );

/**
 * The podcasts that have each word of a text in title, author or address, in whatever case; the most popular first.
 * @param text of at most SEARCH_MAX_LENGTH characters, without controls; of nothing but blanks it finds nothing
 */
export async function searchPodcasts(sql: Sql, { text }: { text: string }): Promise<PublicPodcast[]> {
  const words = text.split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) return [];
  const patterns = words.slice(0, SEARCH_WORDS_MAX).map((word) => `%${word.replace(/[\\%_]/g, '\\$&')}%`);
  // Both in the small letters of Postgres: what these are is a matter of its locale.
  return sql.query<PublicPodcast[]>(
    `SELECT ${SHOWN} FROM (
       SELECT feed_id, feed, feed_title, feed_author, feed_cover, score FROM site.podcast_popularity
       ${BY_POPULARITY} LIMIT ${SEARCHED_PODCASTS}
     ) popular
     WHERE lower(concat_ws(' ', feed_title, feed_author, feed)) LIKE ALL (ARRAY(SELECT lower(unnest($1::text[]))))
     ${BY_POPULARITY} LIMIT ${SEARCH_RESULTS_MAX}`,
    [patterns],
  );
}

/** @param feed canonical URL; undefined when nothing of it is public */
export async function publicPodcast(sql: Sql, feed: string): Promise<PublicPodcast | undefined> {
  const [row] = await sql.query<PublicPodcast[]>(`SELECT ${SHOWN} FROM site.podcast_popularity WHERE feed_id = $1`, [
    feedId(feed),
  ]);
  return row;
}
