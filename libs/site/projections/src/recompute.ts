import { Sql } from '@balados/platform-stores';
import { Derived, hidden, shown } from './expected';
import { SitePolicy } from './site-projector';
import { Database, takeWindow } from './window';

type Policy = Pick<SitePolicy, 'publicMinListeners'>;

/**
 * How many rows differ from what the contributions say, over all tables that are derived from them; 0 unless something is broken, or
 * `publicMinListeners` was changed. Reads in one statement, so projectors may go on meanwhile.
 */
export async function drift(sql: Sql, { publicMinListeners }: Policy): Promise<number> {
  const differing = [...hidden(publicMinListeners), ...shown('all')].map(
    ({ table, key, columns, select }) => `
      SELECT count(*) AS rows FROM (${select}) expected
      FULL JOIN (SELECT ${columns.join(', ')} FROM ${table}) held USING (${key.join(', ')})
      WHERE (${columns.map((column) => `expected.${column}`).join(', ')})
        IS DISTINCT FROM (${columns.map((column) => `held.${column}`).join(', ')})`,
  );
  const [row] = await sql.query<{ rows: number }[]>(
    `SELECT sum(rows)::integer AS rows FROM (${differing.join(' UNION ALL ')}) tables`,
  );
  return row!.rows;
}

/**
 * Makes every derived table what the contributions say, while projectors wait.
 * @returns how many rows it had to write or remove
 */
export async function recomputePopularity(database: Database, { publicMinListeners }: Policy): Promise<number> {
  return database.transaction(async (sql) => {
    await takeWindow(sql);
    let rows = 0;
    for (const derived of hidden(publicMinListeners)) rows += await repair(sql, derived);
    for (const derived of shown('all')) rows += await repair(sql, derived);
    return rows;
  });
}

async function repair(sql: Sql, derived: Derived): Promise<number> {
  const { table, key, columns, select } = derived;
  const [, removed] = await sql.query<[unknown, number]>(
    `DELETE FROM ${table} WHERE (${key.join(', ')}) NOT IN (SELECT ${key.join(', ')} FROM (${select}) expected)`,
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
