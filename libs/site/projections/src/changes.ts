import { Sql } from '@balados/platform-stores';
import { Privacy } from '@balados/users-contracts';
import { Contribution, ErasedKind, Kind, POINTS, TakenBack } from './contributions';
import {
  CONCERNED,
  CORRECT,
  EXPLICIT,
  mistaken,
  scopesOf,
  Setting,
  SETTINGS_OF_EACH,
  TOLD,
  VISIBILITY,
} from './privacy';
import { IS_RECENT, SEE, seenAt } from './timeline-rows';

/**
 * What really changed: one contribution made (`sign` 1), taken back (-1), or only sent again with another item (0). One that is seen
 * otherwise goes as it was, and comes as it is.
 */
export interface Change {
  sign: 1 | -1 | 0;
  listener: string;
  feed_id: string;
  episode_id: string | null;
  item_key: string | null;
  kind: Kind;
  points: number;
  visibility: Privacy;
  /** Public because of a setting for its podcast or episode. */
  explicit: boolean;
  recorded_at: Date;
  /** Made before the trending window. */
  previous: boolean;
  /** It was to be seen before, and is: only of whom it is, or why, differs. */
  stays?: boolean;
}

/** SQL: columns of a `Change`, but for its sign. */
export const CHANGE = `listener, feed_id, episode_id, item_key, kind, points, visibility, explicit, recorded_at,
  recorded_at < (SELECT starts_at FROM popularity_window) AS previous`;

/** SQL: the rows of `erasedKinds`. */
const ERASED = `SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[])
  AS t (listener, kind, of_feed, of_episode)`;
/** SQL: of a listener's contributions of a kind those that are to be erased: all, or those of one podcast or episode. */
const IS_ERASED = (contribution: string): string =>
  `(t.of_feed IS NULL OR t.of_feed = ${contribution}.feed_id)
   AND (t.of_episode IS NULL OR t.of_episode = ${contribution}.episode_id)`;
const erasedKinds = (erased: readonly ErasedKind[]) => [
  erased.map(({ listener }) => listener),
  erased.map(({ kind }) => kind),
  erased.map(({ feedId }) => feedId),
  erased.map(({ episodeId }) => episodeId),
];

/** Ids of the podcasts of which something is to be erased. */
export async function feedsOfErased(sql: Sql, erased: readonly ErasedKind[]): Promise<string[]> {
  if (erased.length === 0) return [];
  // As with settings: a listener may have done more than a statement's time is enough for.
  await sql.query('SET LOCAL statement_timeout = 0');
  const rows = await sql.query<{ feed_id: string }[]>(
    `SELECT DISTINCT feed_id FROM contributions
     JOIN (${ERASED}) t USING (listener, kind) WHERE ${IS_ERASED('contributions')}`,
    erasedKinds(erased),
  );
  return rows.map(({ feed_id }) => feed_id);
}

/** Deletes contributions of a listener's kind that were erased, and their rows of the timeline. */
export async function eraseContributions(sql: Sql, erased: readonly ErasedKind[]): Promise<Change[]> {
  if (erased.length === 0) return [];
  return sql.query<Change[]>(
    `WITH gone AS (
       DELETE FROM contributions c USING (${ERASED}) t
       WHERE c.listener = t.listener AND c.kind = t.kind AND ${IS_ERASED('c')}
       RETURNING c.*
     ), unseen AS (
       DELETE FROM public_events e USING gone
       WHERE e.recorded_at = ${seenAt('gone.visibility', 'gone.recorded_at')} AND e.id = gone.public_id
     )
     SELECT -1 AS sign, ${CHANGE} FROM gone`,
    erasedKinds(erased),
  );
}

/** Deletes what was taken back, and its rows of the timeline. */
export async function takeBackContributions(sql: Sql, takenBack: readonly TakenBack[]): Promise<Change[]> {
  if (takenBack.length === 0) return [];
  return sql.query<Change[]>(
    `WITH gone AS (
       DELETE FROM contributions c
       USING unnest($1::uuid[], $2::uuid[], $3::text[]) AS t (listener, subject_id, kind)
       WHERE c.listener = t.listener AND c.subject_id = t.subject_id AND c.kind = t.kind AND c.day = 0
       RETURNING c.*
     ), unseen AS (
       DELETE FROM public_events e USING gone
       WHERE e.recorded_at = ${seenAt('gone.visibility', 'gone.recorded_at')} AND e.id = gone.public_id
     )
     SELECT -1 AS sign, ${CHANGE} FROM gone`,
    [
      takenBack.map(({ listener }) => listener),
      takenBack.map(({ subjectId }) => subjectId),
      takenBack.map(({ kind }) => kind),
    ],
  );
}

/** Inserts what is not there yet, to be seen as its listener wants it; what is of a published podcast goes into the timeline. */
export async function makeContributions(sql: Sql, made: readonly Contribution[]): Promise<Change[]> {
  if (made.length === 0) return [];
  // A row that this statement inserted has no xmax; one that it updated has.
  return sql.query<Change[]>(
    `WITH told AS (
       SELECT listener, "feedId" AS feed_id, "episodeId" AS episode_id, coalesce("episodeId", "feedId") AS subject_id,
         kind, day, item, "itemKey" AS item_key, "occurredAt" AS occurred_at, "recordedAt" AS recorded_at
       FROM json_to_recordset($1::json) AS t (listener uuid, "feedId" uuid, "episodeId" uuid, kind text, day integer,
         item text, "itemKey" uuid, "occurredAt" timestamptz, "recordedAt" timestamptz)
     ), stated AS (
       INSERT INTO contributions AS c (listener, feed_id, episode_id, subject_id, kind, day, points,
         item, item_key, occurred_at, recorded_at, visibility, explicit)
       SELECT c.listener, feed_id, episode_id, subject_id, kind, day, ($2::json ->> kind)::integer,
         item, item_key, occurred_at, recorded_at, ${VISIBILITY}, ${EXPLICIT}
       FROM told c ${SETTINGS_OF_EACH}
       ON CONFLICT (listener, subject_id, kind, day)
         DO UPDATE SET item = EXCLUDED.item WHERE c.item IS DISTINCT FROM EXCLUDED.item
       RETURNING c.*, (c.xmax = 0)::integer AS sign
     ), seen AS (
       ${SEE} FROM stated JOIN feeds USING (feed_id)
       WHERE sign = 1 AND published AND visibility <> 'private' AND ${IS_RECENT}
     )
     SELECT sign, ${CHANGE} FROM stated`,
    [JSON.stringify(made), JSON.stringify(POINTS)],
  );
}

/** Shows what listeners did in the scopes of `settings` as they want it from now on, in the timeline too. */
export async function changeVisibility(sql: Sql, settings: readonly Setting[]): Promise<Change[]> {
  if (settings.length === 0) return [];
  const rows = await sql.query<(Change & { was: Privacy; was_explicit: boolean })[]>(
    `WITH told AS (${TOLD}), mistaken AS (${mistaken(CONCERNED)}), corrected AS (
       ${CORRECT} RETURNING c.*, m.was, m.was_explicit, m.was_id
     ), moved AS (
       SELECT * FROM corrected WHERE visibility <> was
     ), unseen AS (
       DELETE FROM public_events e USING moved
       WHERE e.recorded_at = ${seenAt('moved.was', 'moved.recorded_at')} AND e.id = moved.was_id
     ), seen AS (
       ${SEE} FROM moved JOIN feeds USING (feed_id)
       WHERE published AND visibility <> 'private' AND ${IS_RECENT}
     )
     SELECT was, was_explicit, ${CHANGE} FROM corrected`,
    scopesOf(settings),
  );
  return rows.flatMap(({ was, was_explicit, ...row }): Change[] => {
    const stays = was !== 'private' && row.visibility !== 'private';
    return [
      { ...row, stays, sign: -1, visibility: was, explicit: was_explicit },
      { ...row, stays, sign: 1 },
    ];
  });
}
