import { createDatabase, TestDatabase } from '@balados/testing';
import { DataSource } from 'typeorm';
import { openPostgres } from './postgres';
import { completeShadow, isShadowCurrent, makeShadow, TableName, takePlaces } from './shadow';

const READER = 'balados_shadow_reader';
/** Who makes the shadows is somebody else. */
const OWNER = 'balados_shadow_owner';
const TABLES: readonly TableName[] = ['lived.plain', 'lived.by_month'];

let database: TestDatabase;
let sql: DataSource;

beforeEach(async () => {
  database = await createDatabase();
  sql = await openPostgres(database.url, { schema: 'lived', entities: [], migrations: [] }, { service: 'test' });
  await sql.query(`
    DO $$ BEGIN CREATE ROLE ${READER} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
    DO $$ BEGIN CREATE ROLE ${OWNER} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
    CREATE SCHEMA lived;
    CREATE TABLE lived.plain (
      id integer PRIMARY KEY, secret text, seen text NOT NULL DEFAULT 'yes' CHECK (seen <> ''),
      twice integer GENERATED ALWAYS AS (id * 2) STORED
    ) WITH (fillfactor = 80);
    CREATE INDEX plain_seen ON lived.plain (seen) WHERE secret IS NULL;
    CREATE TABLE lived.by_month (at date, id integer, CONSTRAINT by_month_key PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
    CREATE INDEX by_month_id ON lived.by_month (id);
    CREATE TABLE lived.by_month_1 PARTITION OF lived.by_month FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    ALTER TABLE lived.plain OWNER TO ${OWNER};
    ALTER TABLE lived.by_month OWNER TO ${OWNER};
    ALTER TABLE lived.by_month_1 OWNER TO ${OWNER};
    CREATE TABLE lived.settings (one integer);
    INSERT INTO lived.settings VALUES (7);
    INSERT INTO lived.plain (id) VALUES (1);
    INSERT INTO lived.by_month VALUES ('2026-01-05', 1);
    GRANT USAGE ON SCHEMA lived TO ${READER};
    GRANT SELECT (id, seen) ON lived.plain TO ${READER};
    GRANT SELECT ON lived.by_month TO ${READER} WITH GRANT OPTION;`);
});
afterEach(async () => {
  await sql.destroy();
  await database.drop();
});

/** All that the catalogue has of what is in the schema, but for numbers. */
const catalogue = (): Promise<object[]> =>
  sql.query(
    `SELECT c.relname, c.relkind, c.reloptions, c.relacl::text, c.relowner::regrole::text, pg_get_expr(c.relpartbound, c.oid) AS bounds,
       ARRAY(SELECT concat_ws(' ', attname, attnotnull, attgenerated, attacl, pg_get_expr(adbin, adrelid)) FROM pg_attribute
             LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = c.oid AND attnum > 0 ORDER BY 1) AS columns,
       ARRAY(SELECT concat_ws(' ', conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE conrelid = c.oid ORDER BY 1) AS constraints,
       CASE WHEN c.relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) END AS index
     FROM pg_class c WHERE c.relnamespace = 'lived'::regnamespace ORDER BY 1`,
  );

it('takes the place of tables with all that they are, partitions and rights included', async () => {
  const before = await catalogue();
  await sql.transaction((transaction) =>
    makeShadow(transaction, { tables: TABLES, copied: ['lived.settings'], later: ['plain_seen', 'by_month_id'] }),
  );
  expect(await isShadowCurrent(sql, TABLES)).toBe(false);
  expect(await isShadowCurrent(sql, TABLES, ['plain_seen', 'by_month_id'])).toBe(true);
  await completeShadow(sql, TABLES);
  expect(await isShadowCurrent(sql, TABLES)).toBe(true);
  expect(await sql.query('SELECT one FROM lived_rebuild.settings')).toEqual([{ one: 7 }]);
  await sql.query(`INSERT INTO lived_rebuild.plain (id) VALUES (2), (3);
    INSERT INTO lived_rebuild.by_month VALUES ('2026-01-06', 2)`);
  await sql.transaction((transaction) => takePlaces(transaction, TABLES, ['lived']));
  expect(await catalogue()).toEqual(before);
  expect(await sql.query('SELECT id, twice FROM lived.plain ORDER BY id')).toEqual([
    { id: 2, twice: 4 },
    { id: 3, twice: 6 },
  ]);
  expect(await sql.query('SELECT id FROM lived.by_month_1')).toEqual([{ id: 2 }]);
  expect(await sql.query(`SELECT FROM pg_namespace WHERE nspname = 'lived_rebuild'`)).toEqual([]);
});

it('makes the partitions that came meanwhile', async () => {
  await sql.transaction((transaction) => makeShadow(transaction, { tables: TABLES, copied: [] }));
  await sql.query(
    `CREATE TABLE lived.by_month_2 PARTITION OF lived.by_month FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')`,
  );
  expect(await isShadowCurrent(sql, TABLES)).toBe(true);
  await sql.transaction((transaction) => takePlaces(transaction, TABLES, ['lived']));
  await sql.query(`INSERT INTO lived.by_month VALUES ('2026-02-05', 1)`);
  expect(await sql.query('SELECT id FROM lived.by_month_2')).toEqual([{ id: 1 }]);
});

it.each([
  'ALTER TABLE lived.plain ADD COLUMN more text',
  'ALTER TABLE lived.plain ALTER COLUMN secret SET DEFAULT 1',
  'DROP INDEX lived.by_month_id',
  'ALTER TABLE lived.by_month ADD CHECK (id > 0)',
])('is no longer current after %s', async (change) => {
  await sql.transaction((transaction) => makeShadow(transaction, { tables: TABLES, copied: [] }));
  await sql.query(change);
  expect(await isShadowCurrent(sql, TABLES)).toBe(false);
});

it('does not take the place of a table that somebody has a view of', async () => {
  await sql.query('CREATE VIEW public.of_plain AS SELECT id FROM lived.plain');
  await sql.transaction((transaction) => makeShadow(transaction, { tables: TABLES, copied: [] }));
  await expect(sql.transaction((transaction) => takePlaces(transaction, TABLES, ['lived']))).rejects.toThrow(
    'other objects depend on',
  );
  expect(await sql.query('SELECT id FROM public.of_plain')).toEqual([{ id: 1 }]);
});
