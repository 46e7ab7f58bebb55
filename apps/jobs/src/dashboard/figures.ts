import type { Sql } from '@balados/platform-stores';
import { ACTIVITY_STEP_MS } from '@balados/users-projections';

/** What was counted is told again for this long, in milliseconds: with 100,000 listeners it takes Postgres a tenth of a second. */
export const COUNTED_FOR_MS = 5_000;
/** Listeners are counted that were active in the last hour, and in the last 24. */
export const WINDOWS = { '1h': 3_600_000, '24h': 86_400_000 } as const;

export interface Figures {
  /** Events of listeners' streams, as far as the users' projector knows: all that were recorded, and those that are not cut away. */
  recorded: number;
  kept: number;
  /** What the stand-in's tables take, in bytes; null where it is not in this database, for EventStoreDB's client tells no such thing. */
  logBytes: number | null;
  /** What the tables of users and site take, in bytes, as far as they are in this database. */
  tablesBytes: number;
  /** Listeners who did something, to five minutes. */
  active: Record<keyof typeof WINDOWS, number>;
}

/** The schema in which the stand-in for the event store keeps its tables. */
const STAND_IN = 'events';

const bytesOf = (schemas: string): string =>
  `(SELECT sum(pg_total_relation_size(c.oid))::float8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN (${schemas}) AND c.relkind IN ('r', 'm'))`;

/** Counts; what is asked for again within COUNTED_FOR_MS is told as it was. */
export function countFigures(users: Sql, clock: () => number = () => performance.now()): () => Promise<Figures> {
  let counted: { at: number; figures: Promise<Figures> } | undefined;
  return () => {
    if (!counted || clock() - counted.at > COUNTED_FOR_MS) {
      const figures = count(users);
      const fresh = { at: clock(), figures };
      counted = fresh;
      // What failed is asked for anew by the next one.
      figures.catch(() => counted === fresh && (counted = undefined));
    }
    return counted.figures;
  };
}

async function count(users: Sql): Promise<Figures> {
  const [events] = await users.query<[{ recorded: number; kept: number }]>(
    // Before `cut`, a checkpoint of one event or a few, nothing is left.
    `SELECT coalesce(sum(revision + 1), 0)::float8 AS recorded,
       coalesce(sum(CASE WHEN cut < 0 THEN revision + 1 ELSE revision - cut + 1 END), 0)::float8 AS kept
     FROM users.listener_revisions`,
  );
  const [bytes] = await users.query<[{ logBytes: number | null; tablesBytes: number }]>(
    `SELECT ${bytesOf(`'${STAND_IN}'`)} AS "logBytes", coalesce(${bytesOf(`'users', 'site', 'site_private'`)}, 0) AS "tablesBytes"`,
  );
  return { ...events, ...bytes, active: await countActive(users) };
}

/**
 * Listeners who did something in each window. Times are rounded down, so a window begins a step earlier; what a clock that was wrong
 * dated later than now counts for nothing.
 */
export async function countActive(users: Sql): Promise<Figures['active']> {
  const since = (window: keyof typeof WINDOWS): string =>
    `now() - ${WINDOWS[window] + ACTIVITY_STEP_MS} * interval '1 ms'`;
  const [row] = await users.query<[Figures['active']]>(
    `SELECT count(DISTINCT user_id) FILTER (WHERE active_at > ${since('1h')})::int AS "1h", count(DISTINCT user_id)::int AS "24h"
     FROM users.listener_revisions WHERE active_at > ${since('24h')} AND active_at <= now() + ${ACTIVITY_STEP_MS} * interval '1 ms'`,
  );
  return row;
}
