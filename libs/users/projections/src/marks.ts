import { Recorded } from '@balados/event-sourcing';
import { episodeId, feedId } from '@balados/feeds-ids';
import { Sql } from '@balados/platform-stores';
import { MarkEvent } from '@balados/users-contracts';

type OfListener<Event> = Event & { userId: string };
export type SaveEvent = OfListener<Recorded<Exclude<MarkEvent, { type: 'EpisodeShared' }>>>;
export type ShareEvent = OfListener<Recorded<Extract<MarkEvent, { type: 'EpisodeShared' }>>>;

/** At most one event of each listener's episode. */
export const writeSaves = (sql: Sql, events: readonly SaveEvent[]): Promise<void> =>
  write(
    sql,
    'saved',
    events,
    events.map((event) => (event.type === 'EpisodeSaved' ? event.data.savedAt : null)),
  );

/** At most one event of each listener's episode. */
export const writeShares = (sql: Sql, events: readonly ShareEvent[]): Promise<void> =>
  write(
    sql,
    'shared',
    events,
    events.map(({ data }) => data.sharedAt),
  );

async function write(
  sql: Sql,
  what: 'saved' | 'shared',
  events: readonly (SaveEvent | ShareEvent)[],
  times: readonly (string | null)[],
): Promise<void> {
  if (events.length === 0) return;
  await sql.query(
    `INSERT INTO ${what}_episodes AS held (user_id, episode_id, feed_id, feed, item, ${what}_at, revision)
     SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[])
     ON CONFLICT (user_id, episode_id) DO UPDATE SET item = excluded.item, ${what}_at = excluded.${what}_at,
       revision = excluded.revision
     WHERE held.revision < excluded.revision`,
    [
      events.map(({ userId }) => userId),
      events.map(({ data }) => episodeId(data.feed, data.item)),
      events.map(({ data }) => feedId(data.feed)),
      events.map(({ data }) => data.feed),
      events.map(({ data }) => data.item),
      times,
      events.map(({ revision }) => revision),
    ],
  );
}
