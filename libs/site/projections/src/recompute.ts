import { Sql } from '@balados/platform-stores';
import { Derived, hidden, shown } from './expected';
import { CORRECT, mistaken, storeDefaultPrivacy } from './privacy';
import { SitePolicy } from './site-projector';
import { Database, takeWindow } from './window';
import { Privacy } from '@balados/users-contracts';

const ALL = 'SELECT * FROM contributions';

type Policy = Pick<SitePolicy, 'publicMinListeners'>;

/**
 * How many rows differ from what the contributions say, over all tables that are derived from them, and how many contributions are seen
 * otherwise than their listeners want; 0 unless something is broken, or `publicMinListeners` was changed. Reads in one statement, so projectors may go on meanwhile.
 */
export async function drift(sql: Sql, { publicMinListeners }: Policy): Promise<number> {
  const differing = [...hidden(publicMinListeners), ...shown('all')].map(
    ({ table, key, columns, select }) => `
      SELECT count(*) AS rows FROM (${select}) expected
      FULL JOIN (SELECT ${columns.join(', ')} FROM ${table}) held USING (${key.join(', ')})
      WHERE (${columns.map((column) => `expected.${column}`).join(', ')})
        IS DISTINCT FROM (${columns.map((column) => `held.${column}`).join(', ')})`,
  );
  differing.push(`SELECT count(*) AS rows FROM (${mistaken(ALL)}) mistaken`);
  const [row] = await sql.query<{ rows: number }[]>(
    `SELECT sum(rows)::integer AS rows FROM (${differing.join(' UNION ALL ')}) tables`,
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
    return repairAll(sql, publicMinListeners);
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
    return repairAll(sql, publicMinListeners);
  });

async function repairAll(sql: Sql, minListeners: number): Promise<number> {
  const [, corrected] = await sql.query<[unknown, number]>(`WITH mistaken AS (${mistaken(ALL)}) ${CORRECT}`);
  let rows = corrected;
  for (const derived of hidden(minListeners)) rows += await repair(sql, derived);
  for (const derived of shown('all')) rows += await repair(sql, derived);
  return rows;
}

async function repair(sql: Sql, derived: Derived): Promise<number> {
  const { table, key, columns, select } = derived;
  const [, removed] = await sql.query<[unknown, number]>(
    `DELETE FROM ${table} held WHERE NOT EXISTS (
       SELECT FROM (${select}) expected WHERE ${key.map((column) => `expected.${column} = held.${column}`).join(' AND ')})`,
  );
  const values = columns.filter((column) => !key.includes(column));
  const written = await sql.query<unknown[]>(
    `INSERT INTO ${table} AS held (${columns.join(', ')}) ${select}
     ON CONFLICT (${key.join(', ')}) DO UPDATE
       SET ${values.map((column) => `${column} = EXCLUDED.${column}`).join(', ')}
       WHERE (${values.map((column) => `held.${column}`).join(', ')})
         IS DISTINCT FROM (${values.map((column) => `EXCLUDED.${column}`).join(', ')})
     RETURNING 1`,
  );
  return removed + written.length;
}
