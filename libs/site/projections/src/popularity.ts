import { Sql } from '@balados/platform-stores';
import { Change } from './changes';
import { COUNTS, lastItemOf, peopleOf } from './expected';

type Counts = Record<(typeof COUNTS)[number], number>;

const none = (): Counts => ({
  score: 0,
  score_previous: 0,
  plays: 0,
  plays_previous: 0,
  likes: 0,
  likes_previous: 0,
});

function count(into: Counts, { sign, points, kind, previous }: Change): void {
  const [plays, likes] = [kind === 'play' ? sign : 0, kind === 'save' ? sign : 0];
  into.score += sign * points;
  into.plays += plays;
  into.likes += likes;
  if (!previous) return;
  into.score_previous += sign * points;
  into.plays_previous += plays;
  into.likes_previous += likes;
}

/** Adds what changed to the counts of published podcasts and their episodes. */
export async function addToPopularity(sql: Sql, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return;
  const podcasts = new Map<string, Counts>();
  const episodes = new Map<string, { change: Change; counts: Counts }>();
  const counted = changes.filter(({ stays }) => !stays);
  for (const change of counted) {
    const podcast = podcasts.get(change.feed_id) ?? none();
    podcasts.set(change.feed_id, podcast);
    count(podcast, change);
    if (change.episode_id === null) continue;
    const episode = episodes.get(change.episode_id) ?? { change, counts: none() };
    episodes.set(change.episode_id, episode);
    count(episode.counts, change);
  }
  if (podcasts.size > 0) await addToPodcasts(sql, podcasts);
  const undone = counted.filter(({ sign, episode_id }) => sign === -1 && episode_id !== null);
  await dropForgottenEpisodes(sql, new Set(undone.map(({ episode_id }) => episode_id!)));
  if (episodes.size > 0) await addToEpisodes(sql, [...episodes.values()]);

  const inPublic = changes.filter(({ sign, visibility }) => sign !== 0 && visibility === 'public');
  if (inPublic.length > 0) {
    await listPeople(sql, 'podcast_popularity', 'feed_id', new Set(inPublic.map(({ feed_id }) => feed_id)));
    const heard = inPublic.flatMap(({ episode_id }) => episode_id ?? []);
    await listPeople(sql, 'episode_popularity', 'episode_id', new Set(heard));
  }
}

const INTEGERS = COUNTS.map((name) => `${name} integer`).join(', ');
const added = (table: string, row: string): string =>
  COUNTS.map((name) => `${name} = ${table}.${name} + ${row}.${name}`).join(', ');

async function addToPodcasts(sql: Sql, podcasts: ReadonlyMap<string, Counts>): Promise<void> {
  await sql.query(
    `UPDATE podcast_popularity p SET ${added('p', 't')}
     FROM json_to_recordset($1::json) AS t (feed_id uuid, ${INTEGERS})
     WHERE p.feed_id = t.feed_id`,
    [JSON.stringify([...podcasts].map(([feed_id, counts]) => ({ feed_id, ...counts })))],
  );
}

/** An episode of which nothing stands any more is not public. */
async function dropForgottenEpisodes(sql: Sql, episodes: ReadonlySet<string>): Promise<void> {
  if (episodes.size === 0) return;
  await sql.query(
    `DELETE FROM episode_popularity e
     WHERE episode_id = ANY($1::uuid[]) AND ${lastItemOf('e.feed_id', 'e.episode_id')} IS NULL`,
    [[...episodes]],
  );
}

async function addToEpisodes(sql: Sql, episodes: readonly { change: Change; counts: Counts }[]): Promise<void> {
  await sql.query(
    `INSERT INTO episode_popularity AS e (episode_id, feed_id, item_key, item, ${COUNTS.join(', ')})
     SELECT episode_id, feed_id, item_key, item, ${COUNTS.join(', ')}
     FROM (
       SELECT t.*, ${lastItemOf('t.feed_id', 't.episode_id')} AS item
       FROM json_to_recordset($1::json) AS t (episode_id uuid, feed_id uuid, item_key uuid,
         ${INTEGERS})
     ) standing WHERE item IS NOT NULL
     ON CONFLICT (episode_id) DO UPDATE SET item = EXCLUDED.item, ${added('e', 'EXCLUDED')}`,
    [
      JSON.stringify(
        episodes.map(({ change: { episode_id, feed_id, item_key }, counts }) => ({
          ...counts,
          episode_id,
          feed_id,
          item_key,
        })),
      ),
    ],
  );
}

async function listPeople(sql: Sql, table: string, key: string, scopes: ReadonlySet<string>): Promise<void> {
  await sql.query(
    `UPDATE ${table} t SET plays_people = ${peopleOf(`t.${key}`, 'play')},
       likes_people = ${peopleOf(`t.${key}`, 'save')}
     WHERE t.${key} = ANY($1::uuid[])`,
    [[...scopes]],
  );
}
