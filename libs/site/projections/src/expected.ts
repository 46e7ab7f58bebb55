import { IS_RECENT, SEEN, SEEN_VALUES } from './timeline-rows';

/**
 * What the tables must hold, computed from the contributions alone. A podcast that becomes public is filled in from here, the drift is
 * measured against it, and a repair writes it.
 */
export interface Derived {
  table: string;
  key: readonly string[];
  columns: readonly string[];
  /** SELECT of `columns`, in their order. */
  select: string;
  /** FROM clause of the rows that are there instead, as `held`. */
  held: string;
}

/** SQL: a condition on the `feed_id` of a table: which podcasts are meant. */
export type Feeds = (table: string) => string;
export const ALL_FEEDS: Feeds = () => 'true';
/** Those whose ids are the parameter $1. */
export const THESE_FEEDS: Feeds = (table) => `${table}.feed_id = ANY($1::uuid[])`;
/** Those after the id $1, up to $2. */
export const FEEDS_BETWEEN: Feeds = (table) => `${table}.feed_id > $1::uuid AND ${table}.feed_id <= $2::uuid`;

/** Lists of people hold at most this many listeners. */
export const PEOPLE_MAX = 10;

/** SQL: the most recent distinct public listeners of a podcast or episode as a JSON array of user ids. */
export const peopleOf = (scope: string, kind: 'play' | 'save'): string => `(
  SELECT coalesce(jsonb_agg(listener ORDER BY recorded_at DESC, listener), '[]')
  FROM (
    SELECT listener, recorded_at FROM people
    WHERE scope_id = ${scope} AND kind = '${kind}'
    ORDER BY recorded_at DESC, listener LIMIT ${PEOPLE_MAX}
  ) recent)`;

/** SQL: the item of an episode as it was sent last, of what is not private. */
export const lastItemOf = (feed: string, episode: string): string => `(
  SELECT last.item FROM contributions last
  WHERE last.feed_id = ${feed} AND last.episode_id = ${episode} AND last.visibility <> 'private'
  ORDER BY last.recorded_at DESC, last.listener DESC, last.kind DESC LIMIT 1)`;

const previous = 'c.recorded_at < (SELECT starts_at FROM popularity_window)';
const counts = `
  sum(c.points)::integer AS score,
  coalesce(sum(c.points) FILTER (WHERE ${previous}), 0)::integer AS score_previous,
  (count(*) FILTER (WHERE c.kind = 'play'))::integer AS plays,
  (count(*) FILTER (WHERE c.kind = 'play' AND ${previous}))::integer AS plays_previous,
  (count(*) FILTER (WHERE c.kind = 'save'))::integer AS likes,
  (count(*) FILTER (WHERE c.kind = 'save' AND ${previous}))::integer AS likes_previous`;
export const COUNTS = ['score', 'score_previous', 'plays', 'plays_previous', 'likes', 'likes_previous'] as const;

const published = `contributions c JOIN feeds f USING (feed_id)
  WHERE f.published AND c.visibility <> 'private'`;

/** What only projectors see; in the order in which one rests on the other. */
export const hidden = (minListeners: number, feeds: Feeds): Derived[] => [
  {
    table: 'feed_listeners',
    key: ['feed_id', 'listener'],
    columns: ['feed_id', 'listener', 'contributions'],
    select: `SELECT feed_id, listener, count(*)::integer AS contributions
      FROM contributions c WHERE visibility <> 'private' AND ${feeds('c')} GROUP BY feed_id, listener`,
    held: `feed_listeners held WHERE ${feeds('held')}`,
  },
  {
    table: 'people',
    key: ['scope_id', 'kind', 'listener'],
    columns: ['scope_id', 'kind', 'listener', 'recorded_at'],
    select: `SELECT scope_id, kind, listener, max(recorded_at) AS recorded_at
      FROM contributions c CROSS JOIN LATERAL (VALUES (feed_id), (episode_id)) AS scopes (scope_id)
      WHERE visibility = 'public' AND kind IN ('play', 'save') AND scope_id IS NOT NULL AND ${feeds('c')}
      GROUP BY scope_id, kind, listener`,
    held:
      feeds === ALL_FEEDS
        ? 'people held WHERE true'
        : `(SELECT DISTINCT scope_id FROM contributions c
              CROSS JOIN LATERAL (VALUES (feed_id), (episode_id)) AS scopes (scope_id) WHERE ${feeds('c')}) scopes
           JOIN people held USING (scope_id) WHERE true`,
  },
  {
    table: 'feeds',
    key: ['feed_id'],
    columns: ['feed_id', 'feed', 'listeners', 'explicit', 'published'],
    select: `SELECT f.feed_id, f.feed, coalesce(l.listeners, 0) AS listeners, coalesce(e.explicit, 0) AS explicit,
        (coalesce(l.listeners, 0) >= ${Number(minListeners)} OR coalesce(e.explicit, 0) > 0) AND NOT f.blocked AS published
      FROM feeds f
      LEFT JOIN (SELECT feed_id, count(*)::integer AS listeners FROM feed_listeners l WHERE ${feeds('l')}
                 GROUP BY feed_id) l USING (feed_id)
      LEFT JOIN (SELECT feed_id, count(*)::integer AS explicit FROM contributions c
                 WHERE explicit AND ${feeds('c')} GROUP BY feed_id) e USING (feed_id)
      WHERE ${feeds('f')}`,
    held: `feeds held WHERE ${feeds('held')}`,
  },
];

/** What the public reads, of published podcasts. */
export const shown = (feeds: Feeds): Derived[] => {
  // Said of both: Postgres does not draw the one from the other, and would read all contributions.
  const from = `${published} AND ${feeds('f')} AND ${feeds('c')}`;
  const held = (table: string): string => `${table} held WHERE ${feeds('held')}`;
  return [
    {
      table: 'podcast_popularity',
      key: ['feed_id'],
      columns: [
        'feed_id',
        'feed',
        'feed_title',
        'feed_author',
        'feed_cover',
        ...COUNTS,
        'plays_people',
        'likes_people',
      ],
      select: `SELECT f.feed_id, f.feed, f.feed_title, f.feed_author, f.feed_cover, ${counts},
          ${peopleOf('f.feed_id', 'play')} AS plays_people, ${peopleOf('f.feed_id', 'save')} AS likes_people
        FROM ${from} GROUP BY f.feed_id`,
      held: held('podcast_popularity'),
    },
    {
      table: 'episode_popularity',
      key: ['episode_id'],
      columns: ['episode_id', 'feed_id', 'item', 'item_key', ...COUNTS, 'plays_people', 'likes_people'],
      select: `SELECT c.episode_id, c.feed_id, ${lastItemOf('c.feed_id', 'c.episode_id')} AS item,
          c.item_key, ${counts},
          ${peopleOf('c.episode_id', 'play')} AS plays_people, ${peopleOf('c.episode_id', 'save')} AS likes_people
        FROM ${from} AND c.episode_id IS NOT NULL GROUP BY c.episode_id, c.feed_id, c.item_key`,
      held: held('episode_popularity'),
    },
    {
      table: 'public_events',
      key: ['recorded_at', 'id'],
      columns: SEEN,
      select: `SELECT ${SEEN_VALUES} FROM ${from} AND ${IS_RECENT}`,
      held: held('public_events'),
    },
  ];
};
