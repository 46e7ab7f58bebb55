import { Sql } from '@balados/platform-stores';
import { Change } from './changes';
import { Batch } from './contributions';
import { shown, THESE_FEEDS } from './expected';

export interface FeedState {
  /** Distinct, with contributions that are not private. */
  listeners: number;
  /** Contributions that are public because a setting says so of the podcast or the episode. */
  explicit: number;
  /** Its publisher does not want it listed. */
  blocked: boolean;
  published: boolean;
}

/** Enough have to do with it, or one wants it seen, and its publisher does not mind. */
export const isPublic = (
  { listeners, explicit, blocked }: Omit<FeedState, 'published'>,
  minListeners: number,
): boolean => (listeners >= minListeners || explicit > 0) && !blocked;

/**
 * Locks the rows of a batch's podcasts (made where they are needed) and of the `others`, and gives what they hold. One that another
 * segment has just dropped is made again.
 */
export async function lockFeeds(
  sql: Sql,
  { feeds, takenBack }: Batch,
  others: readonly string[],
): Promise<Map<string, FeedState>> {
  const ids = [...feeds.keys(), ...takenBack.map(({ feedId }) => feedId), ...others];
  for (;;) {
    // Insert, then lock, each in key order: who waits for a row that is being inserted holds no lock that the inserter may want.
    await sql.query(
      `INSERT INTO feeds (feed_id, feed)
       SELECT * FROM unnest($1::uuid[], $2::text[]) AS t (feed_id, feed) ORDER BY feed_id ON CONFLICT DO NOTHING`,
      [[...feeds.keys()], [...feeds.values()]],
    );
    const rows = await sql.query<({ feed_id: string } & FeedState)[]>(
      `SELECT feed_id, listeners, explicit, blocked, published FROM feeds
       WHERE feed_id = ANY($1::uuid[]) ORDER BY feed_id FOR UPDATE`,
      [ids],
    );
    const locked = new Map(rows.map(({ feed_id, ...state }) => [feed_id, state]));
    if ([...feeds.keys()].every((feed) => locked.has(feed))) return locked;
  }
}

/** Drops locked rows of podcasts of which no contribution is left: their addresses would tell what somebody heard. */
export async function dropForgottenFeeds(sql: Sql, feeds: readonly string[]): Promise<void> {
  if (feeds.length === 0) return;
  await sql.query(
    `DELETE FROM feeds f WHERE feed_id = ANY($1::uuid[])
       AND NOT EXISTS (SELECT FROM contributions c WHERE c.feed_id = f.feed_id)`,
    [feeds],
  );
}

/**
 * Counts the distinct listeners of each podcast, and decides which podcasts are public.
 * @returns for every locked podcast whether it is public from now on
 */
export async function countListeners(
  sql: Sql,
  changes: readonly Change[],
  before: ReadonlyMap<string, FeedState>,
  minListeners: number,
): Promise<Map<string, boolean>> {
  const after = new Map([...before].map(([feed, state]) => [feed, { ...state }]));

  const deltas = new Map<string, { feed: string; listener: string; delta: number }>();
  for (const { feed_id: feed, listener, sign, explicit } of changes) {
    if (explicit) after.get(feed)!.explicit += sign;
    const key = `${feed} ${listener}`;
    deltas.set(key, { feed, listener, delta: (deltas.get(key)?.delta ?? 0) + sign });
  }
  const changed = [...deltas.values()].filter(({ delta }) => delta !== 0);
  if (changed.length > 0) {
    const counted = await sql.query<{ feed_id: string; listener: string; contributions: number; is_new: boolean }[]>(
      `INSERT INTO feed_listeners AS l (feed_id, listener, contributions)
       SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[])
       ON CONFLICT (feed_id, listener) DO UPDATE SET contributions = l.contributions + EXCLUDED.contributions
       RETURNING feed_id, listener, contributions, l.xmax = 0 AS is_new`,
      [changed.map(({ feed }) => feed), changed.map(({ listener }) => listener), changed.map(({ delta }) => delta)],
    );
    for (const { feed_id, is_new } of counted) if (is_new) after.get(feed_id)!.listeners += 1;
    const left = counted.filter(({ contributions }) => contributions === 0);
    for (const { feed_id } of left) after.get(feed_id)!.listeners -= 1;
    if (left.length > 0) {
      await sql.query(
        `DELETE FROM feed_listeners l USING unnest($1::uuid[], $2::uuid[]) AS t (feed_id, listener)
         WHERE l.feed_id = t.feed_id AND l.listener = t.listener`,
        [left.map(({ feed_id }) => feed_id), left.map(({ listener }) => listener)],
      );
    }
  }

  for (const state of after.values()) state.published = isPublic(state, minListeners);
  const differs = [...after].filter(([feed, is]) => {
    const was = before.get(feed)!;
    return was.listeners !== is.listeners || was.explicit !== is.explicit || was.published !== is.published;
  });
  if (differs.length > 0) {
    await sql.query(
      `UPDATE feeds f SET listeners = t.listeners, explicit = t.explicit, published = t.published
       FROM unnest($1::uuid[], $2::integer[], $3::integer[], $4::boolean[]) AS t (feed_id, listeners, explicit, published)
       WHERE f.feed_id = t.feed_id`,
      [
        differs.map(([feed]) => feed),
        differs.map(([, { listeners }]) => listeners),
        differs.map(([, { explicit }]) => explicit),
        differs.map(([, { published }]) => published),
      ],
    );
  }
  return new Map([...after].map(([feed, { published }]) => [feed, published]));
}

/** One listener may have heard a million episodes: tried again after a timeout, the same would take as long for ever. */
const takeTime = (sql: Sql): Promise<unknown> => sql.query('SET LOCAL statement_timeout = 0');

/** Fills in all that the public may read of podcasts that just became public. */
export async function publish(sql: Sql, feeds: readonly string[]): Promise<void> {
  if (feeds.length === 0) return;
  await takeTime(sql);
  for (const { table, columns, select } of shown(THESE_FEEDS))
    await sql.query(`INSERT INTO ${table} (${columns.join(', ')}) ${select}`, [feeds]);
}

/** Removes all that the public may read of podcasts. */
export async function withdraw(sql: Sql, feeds: readonly string[]): Promise<void> {
  if (feeds.length === 0) return;
  await takeTime(sql);
  for (const { table } of shown(THESE_FEEDS))
    await sql.query(`DELETE FROM ${table} WHERE feed_id = ANY($1::uuid[])`, [feeds]);
}
