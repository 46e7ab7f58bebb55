import { encodeBase64, episodeId, feedId, itemKey } from '@balados/feeds-ids';
import { Sql } from '@balados/platform-stores';

/** Where the pictures of a podcast are, as `<img>` takes them. */
export interface Cover {
  src: string;
  srcset: string | null;
}

interface Counts {
  score: number;
  score_previous: number;
  plays: number;
  plays_previous: number;
  /** User ids, the most recent first. */
  plays_people: string[];
  likes: number;
  likes_previous: number;
  likes_people: string[];
}

/** A podcast as the wire shows it. */
export interface PodcastPopularity extends Counts {
  rss_source_feed: string;
  feed_title: string | null;
  feed_author: string | null;
  feed_cover: Cover | null;
}

/** An episode as the wire shows it. */
export interface EpisodePopularity extends PodcastPopularity {
  rss_source_item: string;
}

/** Of an item without a feed at most this many podcasts are named. */
export const CANDIDATES_MAX = 100;

type PodcastRow = Omit<PodcastPopularity, 'rss_source_feed'> & { feed: string };
type EpisodeRow = PodcastRow & { item: string };

const COUNTS = [
  'score',
  'score_previous',
  'plays',
  'plays_previous',
  'plays_people',
  'likes',
  'likes_previous',
  'likes_people',
];
const PODCAST = ['feed', 'feed_title', 'feed_author', 'feed_cover', ...COUNTS].join(', ');
const EPISODE = `p.feed, e.item, p.feed_title, p.feed_author, p.feed_cover, ${COUNTS.map((name) => `e.${name}`).join(', ')}`;
/** An episode is published with its podcast: the row of that is always there. */
const WITH_PODCAST = 'CROSS JOIN LATERAL (SELECT * FROM site.podcast_popularity f WHERE f.feed_id = e.feed_id) p';

const podcastOf = ({ feed, ...row }: PodcastRow): PodcastPopularity => ({
  rss_source_feed: encodeBase64(feed),
  ...row,
});
const episodeOf = ({ feed, item, ...row }: EpisodeRow): EpisodePopularity => ({
  rss_source_feed: encodeBase64(feed),
  rss_source_item: encodeBase64(item),
  ...row,
});

/** The podcasts that grew most over the trending window; among equals the most popular first. */
export async function trendingPodcasts(sql: Sql, { limit }: { limit: number }): Promise<PodcastPopularity[]> {
  const rows = await sql.query<PodcastRow[]>(
    `SELECT ${PODCAST} FROM site.podcast_popularity ORDER BY growth DESC, score DESC, feed_id LIMIT $1`,
    [limit],
  );
  return rows.map(podcastOf);
}

/** The episodes that grew most over the trending window, of all podcasts or of `feed` (canonical URL). */
export async function trendingEpisodes(
  sql: Sql,
  { limit, feed }: { limit: number; feed?: string },
): Promise<EpisodePopularity[]> {
  const rows = await sql.query<EpisodeRow[]>(
    `SELECT ${EPISODE} FROM (
       SELECT * FROM site.episode_popularity ${feed === undefined ? '' : 'WHERE feed_id = $2'}
       ORDER BY growth DESC, score DESC, episode_id LIMIT $1
     ) e ${WITH_PODCAST} ORDER BY e.growth DESC, e.score DESC, e.episode_id`,
    feed === undefined ? [limit] : [limit, feedId(feed)],
  );
  return rows.map(episodeOf);
}

/** @param feed canonical URL; undefined when nothing of it is public */
export async function podcastPopularity(sql: Sql, feed: string): Promise<PodcastPopularity | undefined> {
  const [row] = await sql.query<PodcastRow[]>(`SELECT ${PODCAST} FROM site.podcast_popularity WHERE feed_id = $1`, [
    feedId(feed),
  ]);
  return row && podcastOf(row);
}

/**
 * @param item `<guid>,<enclosure>`
 * @param feed canonical URL; without one the item is looked up in all published podcasts
 * @returns undefined when nothing of it is public; the canonical URLs of the podcasts when several hold the item and `feed` names none
 */
export async function episodePopularity(
  sql: Sql,
  item: string,
  feed?: string,
): Promise<EpisodePopularity | { candidates: string[] } | undefined> {
  const rows = await sql.query<EpisodeRow[]>(
    `SELECT ${EPISODE} FROM site.episode_popularity e ${WITH_PODCAST}
     WHERE ${feed === undefined ? 'e.item_key' : 'e.episode_id'} = $1 ORDER BY p.feed LIMIT ${CANDIDATES_MAX}`,
    [feed === undefined ? itemKey(item) : episodeId(feed, item)],
  );
  if (rows.length > 1) return { candidates: rows.map((row) => row.feed) };
  return rows[0] && episodeOf(rows[0]);
}
