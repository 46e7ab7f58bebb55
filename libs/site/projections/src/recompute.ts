import { Sql } from '@balados/platform-stores';
import { ALL_FEEDS, Derived, Feeds, FEEDS_BETWEEN, hidden, shown, THESE_FEEDS } from './expected';
import { CORRECT, mistaken, storeDefaultPrivacy } from './privacy';
import { SitePolicy } from './site-projector';
import { Database, shareWindow, takeWindow } from './window';
import { Privacy } from '@balados/users-contracts';

const contributionsOf = (feeds: Feeds): string => `SELECT * FROM contributions c WHERE ${feeds('c')}`;

/** Podcasts that are compared at a time. */
export const COMPARED_FEEDS = 200;
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000';
const LAST = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

type Policy = Pick<SitePolicy, 'publicMinListeners'>;

/**
 * How many rows differ from what the contributions say, over all tables that are derived from them, and how many contributions are seen
 * otherwise than their listeners want; 0 unless something is broken, or `publicMinListeners` was changed. Reads in one statement, so projectors may go on meanwhile.
 */
export const drift = (sql: Sql, policy: Policy): Promise<number> => differing(sql, policy, ALL_FEEDS);

async function differing(
  sql: Sql,
  { publicMinListeners }: Policy,
  feeds: Feeds,
  parameters: readonly unknown[] = [],
): Promise<number> {
  const differing = [...hidden(publicMinListeners, feeds), ...shown(feeds)].map(
    ({ key, columns, select, held }) => `
      SELECT count(*) AS rows FROM (${select}) expected
      FULL JOIN (SELECT ${columns.map((column) => `held.${column}`).join(', ')} FROM ${held}) held USING (${key.join(', ')})
      WHERE (${columns.map((column) => `expected.${column}`).join(', ')})
        IS DISTINCT FROM (${columns.map((column) => `held.${column}`).join(', ')})`,
  );
  differing.push(`SELECT count(*) AS rows FROM (${mistaken(contributionsOf(feeds))}) mistaken`);
  const [row] = await sql.query<{ rows: number }[]>(
    `SELECT sum(rows)::integer AS rows FROM (${differing.join(' UNION ALL ')}) tables`,
    [...parameters],
  );
  return row!.rows;
}

/**
 * Makes every derived table what the contributions and the settings of privacy say, while projectors wait.
 * @returns how many rows it had to write or remove
 */
export const recomputePopularity = (database: Database, { publicMinListeners }: Policy): Promise<number> =>
  database.transaction(async (sql) => {
    await takeWindow(sql);
    return repairAll(sql, publicMinListeners, ALL_FEEDS);
  });

/**
 * From now on `defaultPrivacy` holds for listeners who set nothing, and for what they did before: in one transaction, so that nobody
 * ever sees a part of it, while projectors wait.
 * @returns how many rows it had to write or remove: 0 when that default was stored already
 */
export const applyDefaultPrivacy = (
  database: Database,
  { defaultPrivacy, publicMinListeners }: Policy & { defaultPrivacy: Privacy },
): Promise<number> =>
  database.transaction(async (sql) => {
    if ((await storeDefaultPrivacy(sql, defaultPrivacy)) === defaultPrivacy) return 0;
    await takeWindow(sql);
    await sql.query('UPDATE default_privacy SET privacy = $1', [defaultPrivacy]);
    return repairAll(sql, publicMinListeners, ALL_FEEDS);
  });

/** What a comparison of some podcasts has come to. */
export interface Compared {
  /** Id of the last podcast that was compared; undefined: it was the last of all. */
  upTo: string | undefined;
  podcasts: number;
  /** Rows that differed. */
  differing: number;
}

/**
 * Compares `feeds` podcasts after `after` (undefined: from the first on) with their contributions, in one statement while
 * projectors go on. `isRepaired`: where any differs, each is made anew under its own lock, as short as a projector holds it; should anything
 * be left that is of no podcast, it is removed while projectors wait.
 */
export async function comparePopularity(
  database: Database,
  policy: Policy,
  { after = BEFORE_ALL, feeds = COMPARED_FEEDS, isRepaired }: { after?: string; feeds?: number; isRepaired: boolean },
): Promise<Compared> {
  const { podcasts, upTo, between } = await database.transaction(async (sql) => {
    const found = await sql.query<{ feed_id: string }[]>(
      'SELECT feed_id FROM feeds WHERE feed_id > $1 ORDER BY feed_id LIMIT $2',
      [after, feeds],
    );
    const podcasts = found.map(({ feed_id }) => feed_id);
    const upTo = podcasts.length < feeds ? undefined : podcasts.at(-1);
    return { podcasts, upTo, between: [after, upTo ?? LAST] };
  });
  const differing = await differingBetween(database, between, policy);
  if (differing > 0 && isRepaired) {
    await repairBetween(database, podcasts, between, policy);
    if ((await differingBetween(database, between, policy)) > 0)
      await database.transaction(async (sql) => {
        await takeWindow(sql);
        await repairAll(sql, policy.publicMinListeners, FEEDS_BETWEEN, between);
        await sql.query(`DELETE FROM people p WHERE ${STRAY}`, between);
      });
  }
  return { upTo, podcasts: podcasts.length, differing };
}

/** Of some podcasts in the order of their ids, those that lie between these, the ones that differ: found by halves. */
async function repairBetween(
  database: Database,
  podcasts: readonly string[],
  [after, upTo]: string[],
  policy: Policy,
): Promise<void> {
  if (podcasts.length <= 1) {
    for (const podcast of podcasts) await repairPodcast(database, podcast, policy);
    return;
  }
  const half = Math.floor(podcasts.length / 2);
  const middle = podcasts[half - 1]!;
  for (const [part, between] of [
    [podcasts.slice(0, half), [after!, middle]],
    [podcasts.slice(half), [middle, upTo!]],
  ] as const)
    if ((await differingBetween(database, [...between], policy)) > 0)
      await repairBetween(database, part, [...between], policy);
}

/** SQL: of the people `p`, those of what nobody did anything with: of no podcast, so that nothing else comes upon them. */
const STRAY = `p.scope_id > $1::uuid AND p.scope_id <= $2::uuid
  AND NOT EXISTS (SELECT FROM contributions c WHERE c.feed_id = p.scope_id)
  AND NOT EXISTS (SELECT FROM contributions c
                  WHERE c.listener = p.listener AND c.subject_id = p.scope_id AND c.kind = p.kind)`;

const differingBetween = (database: Database, between: string[], policy: Policy): Promise<number> =>
  database.transaction(async (sql) => {
    await sql.query('SET LOCAL statement_timeout = 0');
    const [strays] = await sql.query<{ rows: number }[]>(
      `SELECT count(*)::integer AS rows FROM people p WHERE ${STRAY}`,
      between,
    );
    return strays!.rows + (await differing(sql, policy, FEEDS_BETWEEN, between));
  });

/** Id of the podcast up to which they were compared when somebody stopped; undefined: begin with the first. */
export async function comparedUpTo(sql: Sql): Promise<string | undefined> {
  const [row] = await sql.query<{ compared_up_to: string | null }[]>('SELECT compared_up_to FROM popularity_window');
  return row!.compared_up_to ?? undefined;
}

export const noteCompared = (sql: Sql, upTo: string | undefined): Promise<unknown> =>
  sql.query('UPDATE popularity_window SET compared_up_to = $1', [upTo ?? null]);

/** Projectors go on with all other podcasts, and with this one afterwards. */
const repairPodcast = (database: Database, feedId: string, { publicMinListeners }: Policy): Promise<number> =>
  database.transaction(async (sql) => {
    await sql.query('SET LOCAL statement_timeout = 0');
    await shareWindow(sql);
    await sql.query('SELECT FROM feeds WHERE feed_id = $1 FOR UPDATE', [feedId]);
    return repairAll(sql, publicMinListeners, THESE_FEEDS, [[feedId]]);
  });

async function repairAll(
  sql: Sql,
  minListeners: number,
  feeds: Feeds,
  parameters: readonly unknown[] = [],
): Promise<number> {
  const [, corrected] = await sql.query<[unknown, number]>(
    `WITH mistaken AS (${mistaken(contributionsOf(feeds))}) ${CORRECT}`,
    [...parameters],
  );
  let rows = corrected;
  for (const derived of hidden(minListeners, feeds)) rows += await repair(sql, derived, parameters);
  for (const derived of shown(feeds)) rows += await repair(sql, derived, parameters);
  return rows;
}

async function repair(sql: Sql, derived: Derived, parameters: readonly unknown[]): Promise<number> {
  const { table, key, columns, select, held } = derived;
  const [, removed] = await sql.query<[unknown, number]>(
    `WITH stale AS (
       SELECT ${key.map((column) => `held.${column}`).join(', ')} FROM ${held} AND NOT EXISTS (
         SELECT FROM (${select}) expected WHERE ${key.map((column) => `expected.${column} = held.${column}`).join(' AND ')}))
     DELETE FROM ${table} gone USING stale WHERE ${key.map((column) => `gone.${column} = stale.${column}`).join(' AND ')}`,
    [...parameters],
  );
  const values = columns.filter((column) => !key.includes(column));
  const written = await sql.query<unknown[]>(
    `INSERT INTO ${table} AS held (${columns.join(', ')}) ${select}
     ON CONFLICT (${key.join(', ')}) DO UPDATE
       SET ${values.map((column) => `${column} = EXCLUDED.${column}`).join(', ')}
       WHERE (${values.map((column) => `held.${column}`).join(', ')})
         IS DISTINCT FROM (${values.map((column) => `EXCLUDED.${column}`).join(', ')})
     RETURNING 1`,
    [...parameters],
  );
  return removed + written.length;
}
