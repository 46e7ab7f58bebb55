import { EventStore, streamOf } from '@balados/event-sourcing';
import { openListenerStreams } from '@balados/users-write';
import { DataSource } from 'typeorm';

/** How large everything is at some moment of the year. Bytes are those of tables with their indexes. */
export interface Sample {
  day: number;
  /** Events that were ever appended, checkpoints included. */
  appended: number;
  /** Events that are still read. */
  live: number;
  /** Events of the longest stream of them. */
  longest: number;
  storeBytes: number;
  usersBytes: number;
  siteBytes: number;
  /** Rows of the public timeline. */
  timeline: number;
  /** To fold the heaviest listener's plays when nothing of them is held, the median of some times, in milliseconds. */
  coldLoadMs: number;
  /** Rows that differ between popularity and what it is made of. */
  drift: number;
}

const COLD_LOADS = 7;
const STATE_BYTES = 64 * 1_048_576;

const BYTES = `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm') AND n.nspname = ANY ($1)`;

export async function sample(
  database: DataSource,
  store: EventStore,
  { heaviest, ...told }: { day: number; appended: number; drift: number; heaviest: string },
): Promise<Sample> {
  const [events] = await database.query<{ live: number; longest: number }[]>(
    `SELECT coalesce(sum(live), 0)::int AS live, coalesce(max(live), 0)::int AS longest FROM (
       SELECT count(*) AS live FROM events.events e JOIN events.streams s ON s.name = e.stream
       WHERE e.revision >= s.visible_from AND left(e.stream, 1) <> '$' GROUP BY e.stream) AS of_each`,
  );
  const [timeline] = await database.query<{ rows: number }[]>('SELECT count(*)::int AS rows FROM site.public_events');
  const bytes = async (...schemas: string[]): Promise<number> => {
    const [row] = await database.query<{ bytes: string }[]>(BYTES, [schemas]);
    return Number(row!.bytes);
  };
  return {
    ...told,
    ...events!,
    timeline: timeline!.rows,
    storeBytes: await bytes('events'),
    usersBytes: await bytes('users'),
    siteBytes: await bytes('site', 'site_private'),
    coldLoadMs: await coldLoad(store, heaviest),
  };
}

async function coldLoad(store: EventStore, userId: string): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < COLD_LOADS; n += 1) {
    const { listening } = openListenerStreams(store, STATE_BYTES);
    const begun = performance.now();
    const revision = await listening.query(userId, (folded) => folded.revision);
    times.push(performance.now() - begun);
    if (revision < 0) throw new Error(`nothing is in ${streamOf('listening', userId)}`);
  }
  return times.sort((one, two) => one - two)[Math.floor(COLD_LOADS / 2)]!;
}
