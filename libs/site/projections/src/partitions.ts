import { Sql } from '@balados/platform-stores';
import { IS_RECENT, SEE } from './timeline-rows';
import { makePartition, timelinePartitions } from '@balados/site-schema';
import { Database, takeWindow } from './window';

/** Readers and projectors wait at most so long for a change of the timeline's partitions to begin, in milliseconds. */
export const PARTITIONS_LOCK_MS = 500;

/** What is to be done so that the timeline has the partitions that it should have: names of those that go, and those that are to be made. */
export async function timelineChanges(sql: Sql, { now }: { now: number }) {
  const { startsAt, partitions } = timelinePartitions(now);
  const [row] = await sql.query<{ moves: boolean; ahead: boolean; there: string[] }[]>(
    `SELECT timeline_starts_at < $1 AS moves, timeline_starts_at > $1 AS ahead, ARRAY(
       SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
       WHERE inhparent = 'site.public_events'::regclass ORDER BY relname) AS there
     FROM site_private.popularity_window`,
    [startsAt],
  );
  const { moves, ahead, there } = row!;
  // What is too old may already lie in the one partition that stays.
  const stays = (name: string): boolean =>
    partitions.some((wanted) => wanted.name === name && !(moves && wanted.from === 'MINVALUE'));
  return {
    startsAt,
    /** A clock that was ahead has moved the start: what lies between is missing. */
    isAhead: ahead,
    leaving: there.filter((name) => !stays(name)),
    coming: partitions.filter(({ name }) => !there.includes(name) || !stays(name)),
  };
}

/**
 * Gives the timeline the partitions that it should have at `now` (epoch milliseconds), and drops those of months that are no longer
 * read. Needs no more than a look where nothing is to be done.
 * @returns names of the partitions that it dropped or made anew, without their rows that are too old
 * @throws a passing database error when somebody else needs longer than PARTITIONS_LOCK_MS: its next turn is soon enough
 */
export async function arrangeTimeline(database: Database & Sql, { now }: { now: number }): Promise<string[]> {
  const { startsAt, isAhead, leaving, coming } = await timelineChanges(database, { now });
  if (coming.length === 0 && leaving.length === 0 && !isAhead) return [];

  await database.transaction(async (sql) => {
    await sql.query(`SET LOCAL lock_timeout = ${PARTITIONS_LOCK_MS}`);
    // Whoever reads where the timeline starts writes there before it starts elsewhere.
    await takeWindow(sql);
    const [{ before }] = await sql.query<[{ before: string }]>(
      'SELECT timeline_starts_at::text AS before FROM site_private.popularity_window',
    );
    await sql.query('UPDATE site_private.popularity_window SET timeline_starts_at = $1', [startsAt]);
    for (const name of leaving) {
      await sql.query(`ALTER TABLE site.public_events DETACH PARTITION site_private.${name}`);
      await sql.query(`ALTER TABLE site_private.${name} RENAME TO ${name}_old`);
    }
    const owner = await ownerOfTimeline(sql);
    for (const partition of coming) {
      await sql.query(makePartition(partition));
      // Whoever runs this by hand may be somebody else, and the next one could not drop it.
      await sql.query(`ALTER TABLE site_private.${partition.name} OWNER TO ${owner}`);
    }
    for (const name of leaving) {
      await sql.query(
        `INSERT INTO site.public_events SELECT * FROM site_private.${name}_old
         WHERE recorded_at >= (SELECT timeline_starts_at FROM site_private.popularity_window)`,
      );
      await sql.query(`DROP TABLE site_private.${name}_old`);
    }
    // Nothing where it moves on.
    await sql.query(
      `${SEE} FROM contributions JOIN feeds USING (feed_id)
       WHERE published AND visibility <> 'private' AND ${IS_RECENT} AND recorded_at < $1`,
      [before],
    );
  });
  return leaving;
}

/** As an identifier. */
async function ownerOfTimeline(sql: Sql): Promise<string> {
  const [row] = await sql.query<{ owner: string }[]>(
    `SELECT quote_ident(pg_get_userbyid(relowner)) AS owner FROM pg_class WHERE oid = 'site.public_events'::regclass`,
  );
  return row!.owner;
}
