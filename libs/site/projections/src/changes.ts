import { Sql } from '@balados/platform-stores';
import { Contribution, Kind, POINTS, Privacy, TakenBack } from './contributions';

/** What really changed: one contribution made (`sign` 1), taken back (-1), or only sent again with another item (0). */
export interface Change {
  sign: 1 | -1 | 0;
  listener: string;
  feed_id: string;
  episode_id: string | null;
  item_key: string | null;
  kind: Kind;
  points: number;
  visibility: Privacy;
  recorded_at: Date;
  /** Made before the trending window. */
  previous: boolean;
}

const CHANGE = `listener, feed_id, episode_id, item_key, kind, points, visibility, recorded_at,
  recorded_at < (SELECT starts_at FROM site_private.popularity_window) AS previous`;

/** Deletes what was taken back, and its rows of the timeline. */
export async function takeBackContributions(sql: Sql, takenBack: readonly TakenBack[]): Promise<Change[]> {
  if (takenBack.length === 0) return [];
  return sql.query<Change[]>(
    `WITH gone AS (
       DELETE FROM site_private.contributions c
       USING unnest($1::uuid[], $2::uuid[], $3::text[]) AS t (listener, subject_id, kind)
       WHERE c.listener = t.listener AND c.subject_id = t.subject_id AND c.kind = t.kind AND c.day = 0
       RETURNING c.*
     ), unseen AS (
       DELETE FROM site.public_events e USING gone WHERE e.recorded_at = gone.recorded_at AND e.id = gone.public_id
     )
     SELECT -1 AS sign, ${CHANGE} FROM gone`,
    [
      takenBack.map(({ listener }) => listener),
      takenBack.map(({ subjectId }) => subjectId),
      takenBack.map(({ kind }) => kind),
    ],
  );
}

/** Inserts what is not there yet; what is of a published podcast goes into the timeline. */
export async function makeContributions(
  sql: Sql,
  made: readonly Contribution[],
  visibility: Privacy,
): Promise<Change[]> {
  if (made.length === 0) return [];
  // A row that this statement inserted has no xmax; one that it updated has.
  return sql.query<Change[]>(
    `WITH stated AS (
       INSERT INTO site_private.contributions AS c (listener, feed_id, episode_id, subject_id, kind, day, points,
         item, item_key, occurred_at, recorded_at, visibility)
       SELECT listener, "feedId", "episodeId", coalesce("episodeId", "feedId"), kind, day, ($2::json ->> kind)::integer,
         item, "itemKey", "occurredAt", "recordedAt", $3
       FROM json_to_recordset($1::json) AS t (listener uuid, "feedId" uuid, "episodeId" uuid, kind text, day integer,
         item text, "itemKey" uuid, "occurredAt" timestamptz, "recordedAt" timestamptz)
       ON CONFLICT (listener, subject_id, kind, day)
         DO UPDATE SET item = EXCLUDED.item WHERE c.item IS DISTINCT FROM EXCLUDED.item
       RETURNING c.*, (c.xmax = 0)::integer AS sign
     ), seen AS (
       INSERT INTO site.public_events (id, event_type, user_id, feed_id, episode_id, occurred_at, recorded_at)
       SELECT public_id, kind, CASE WHEN visibility = 'public' THEN listener END, feed_id, episode_id,
         occurred_at, recorded_at
       FROM stated JOIN site_private.feeds USING (feed_id)
       WHERE sign = 1 AND published AND visibility <> 'private'
     )
     SELECT sign, ${CHANGE} FROM stated`,
    [JSON.stringify(made), JSON.stringify(POINTS), visibility],
  );
}
