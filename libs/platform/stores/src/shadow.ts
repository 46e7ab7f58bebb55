import { Sql } from './postgres';

/** A table, `<schema>.<name>`. Ours are of small letters and underscores, and so stand in SQL as they are. */
export type TableName = `${string}.${string}`;

const SHADOW = '_rebuild';
/** Where the tables of a schema are made anew, before they take the place of those that are read. */
export const shadowSchema = (schema: string): string => schema + SHADOW;

const split = (table: TableName): [schema: string, name: string] => table.split('.') as [string, string];

/** The table that is being made in place of this one. */
export function shadowTable(table: TableName): TableName {
  const [schema, name] = split(table);
  return `${shadowSchema(schema)}.${name}`;
}

export const schemasOf = (tables: readonly TableName[]): string[] => [
  ...new Set(tables.map((table) => split(table)[0])),
];

interface Catalogued {
  partitionedBy: string | null;
  options: string | null;
  owner: string;
  constraints: string[];
  indexes: string[];
}

const OF = `FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`;
const HAS_INDEX_OF_ITS_OWN = `NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)`;

async function catalogued(sql: Sql, table: TableName): Promise<Catalogued> {
  const [found] = await sql.query<Catalogued[]>(
    `SELECT CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS "partitionedBy",
       array_to_string(c.reloptions, ', ') AS options, quote_ident(pg_get_userbyid(c.relowner)) AS owner,
       ARRAY(SELECT format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
             WHERE conrelid = c.oid AND contype IN ('p', 'u', 'x')) AS constraints,
       ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index i WHERE indrelid = c.oid AND ${HAS_INDEX_OF_ITS_OWN}) AS indexes
     ${OF} WHERE n.nspname = $1 AND c.relname = $2`,
    split(table),
  );
  if (!found) throw new Error(`there is no table ${table}`);
  return found;
}

/**
 * Makes empty tables like these in their shadow schemas, which must not be there yet: indexes and constraints under the same names,
 * partitions too. `copied` are made with their rows; the indexes `later` by `completeShadow`.
 */
export async function makeShadow(
  sql: Sql,
  {
    tables,
    copied,
    later = [],
  }: { tables: readonly TableName[]; copied: readonly TableName[]; later?: readonly string[] },
): Promise<void> {
  for (const schema of schemasOf([...tables, ...copied])) await sql.query(`CREATE SCHEMA ${shadowSchema(schema)}`);
  for (const table of [...tables, ...copied]) {
    const { partitionedBy, options, owner, constraints, indexes } = await catalogued(sql, table);
    const shadow = shadowTable(table);
    await sql.query(
      `CREATE TABLE ${shadow} (LIKE ${table} INCLUDING ALL EXCLUDING INDEXES)
       ${partitionedBy ? `PARTITION BY ${partitionedBy}` : ''} ${options ? `WITH (${options})` : ''}`,
    );
    await sql.query(`ALTER TABLE ${shadow} OWNER TO ${owner}`);
    for (const constraint of constraints) await sql.query(`ALTER TABLE ${shadow} ADD ${constraint}`);
    for (const index of indexes) if (!later.includes(nameOfIndex(index))) await sql.query(onTable(index, shadow));
  }
  await alignPartitions(sql, tables);
  for (const table of copied) await sql.query(`INSERT INTO ${shadowTable(table)} SELECT * FROM ${table}`);
}

const nameOfIndex = (definition: string): string => / INDEX (\S+) ON /.exec(definition)![1]!;
const onTable = (definition: string, table: TableName): string =>
  definition.replace(/ ON (ONLY )?\S+ USING /, ` ON ${table} USING `);

/** Makes the indexes that the tables have and their shadows have not yet. */
export async function completeShadow(sql: Sql, tables: readonly TableName[]): Promise<void> {
  for (const table of tables) {
    const { indexes } = await catalogued(sql, table);
    const made = (await catalogued(sql, shadowTable(table))).indexes.map(nameOfIndex);
    for (const index of indexes)
      if (!made.includes(nameOfIndex(index))) await sql.query(onTable(index, shadowTable(table)));
  }
}

interface Partition {
  parent: TableName;
  partition: TableName;
  bounds: string;
  /** Of the parent. */
  owner: string;
}

const partitionsOf = (sql: Sql, parents: readonly TableName[]): Promise<Partition[]> =>
  sql.query<Partition[]>(
    `SELECT n.nspname || '.' || parent.relname AS parent, own.nspname || '.' || c.relname AS partition,
       pg_get_expr(c.relpartbound, c.oid) AS bounds, quote_ident(pg_get_userbyid(parent.relowner)) AS owner
     FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_namespace own ON own.oid = c.relnamespace
     JOIN pg_class parent ON parent.oid = inhparent JOIN pg_namespace n ON n.oid = parent.relnamespace
     WHERE parent.relkind = 'p' AND n.nspname || '.' || parent.relname = ANY ($1)`,
    [parents],
  );

/** Gives the shadows of these tables the very partitions that the tables have by now, each in the shadow of its own schema. */
export async function alignPartitions(sql: Sql, tables: readonly TableName[]): Promise<void> {
  const wanted = (await partitionsOf(sql, tables)).map(({ parent, partition, ...rest }) => ({
    parent: shadowTable(parent),
    partition: shadowTable(partition),
    ...rest,
  }));
  const made = await partitionsOf(sql, tables.map(shadowTable));
  const isAmong = (all: readonly Partition[], { partition, bounds }: Partition): boolean =>
    all.some((one) => one.partition === partition && one.bounds === bounds);
  const leaving = made.filter((each) => !isAmong(wanted, each));
  const coming = wanted.filter((each) => !isAmong(made, each));
  for (const { parent, partition } of leaving) {
    await sql.query(`ALTER TABLE ${parent} DETACH PARTITION ${partition}`);
    await sql.query(`ALTER TABLE ${partition} RENAME TO ${split(partition)[1]}_old`);
  }
  for (const { parent, partition, bounds, owner } of coming) {
    await sql.query(`CREATE TABLE ${partition} PARTITION OF ${parent} ${bounds}`);
    await sql.query(`ALTER TABLE ${partition} OWNER TO ${owner}`);
  }
  for (const { parent, partition } of leaving) {
    await sql.query(`INSERT INTO ${parent} SELECT * FROM ${partition}_old`);
    await sql.query(`DROP TABLE ${partition}_old`);
  }
}

export async function dropShadow(sql: Sql, schemas: readonly string[]): Promise<void> {
  for (const schema of schemas) await sql.query(`DROP SCHEMA IF EXISTS ${shadowSchema(schema)} CASCADE`);
}

/** Whether the shadows have the columns, constraints and indexes that the tables have now; the indexes `later` aside. */
export async function isShadowCurrent(
  sql: Sql,
  tables: readonly TableName[],
  later: readonly string[] = [],
): Promise<boolean> {
  const rows = await sql.query<{ name: TableName; structure: string }[]>(
    `SELECT n.nspname || '.' || c.relname AS name, jsonb_build_array(c.relkind, pg_get_partkeydef(c.oid),
       ARRAY(SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull, attgenerated, pg_get_expr(adbin, adrelid))
             FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
             WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attname),
       ARRAY(SELECT concat_ws(' ', conname, pg_get_constraintdef(oid)) FROM pg_constraint
             WHERE conrelid = c.oid ORDER BY conname),
       ARRAY(SELECT regexp_replace(pg_get_indexdef(indexrelid), ' ON (ONLY )?\\S+ USING ', ' ON USING ')
             FROM pg_index JOIN pg_class named ON named.oid = indexrelid
             WHERE indrelid = c.oid AND named.relname <> ALL ($2) ORDER BY 1))::text AS structure
     ${OF} WHERE n.nspname || '.' || c.relname = ANY ($1)`,
    [[...tables, ...tables.map(shadowTable)], later],
  );
  const structures = new Map(rows.map(({ name, structure }) => [name, structure]));
  return tables.every((table) => structures.get(table) === structures.get(shadowTable(table)));
}

/** Has Postgres look at what stands in the shadows, so that who reads them from the first moment on does it by the right indexes. */
export async function analyzeShadow(sql: Sql, tables: readonly TableName[]): Promise<void> {
  await sql.query(`ANALYZE ${tables.map(shadowTable).join(', ')}`);
}

/**
 * Drops the tables, puts their shadows in their places, with the rights that were given on them, and drops what is left of the shadow
 * schemas; from then until the transaction ends nobody reads. What depends on a table that is not one of ours, such as a view, keeps this
 * from happening.
 */
export async function takePlaces(sql: Sql, tables: readonly TableName[], schemas: readonly string[]): Promise<void> {
  const rights = await rightsOn(sql, tables);
  await alignPartitions(sql, tables);
  const moved = await sql.query<{ shadow: string; schema: string }[]>(
    `SELECT format('%s.%s', n.nspname, c.relname) AS shadow, left(n.nspname, -length($2)) AS schema
     FROM unnest($1::text[]) AS shadows (name), pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = shadows.name::regclass OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = shadows.name::regclass)`,
    [tables.map(shadowTable), SHADOW],
  );
  // All at once: nobody waits for what goes back and forth.
  const statements = [
    `LOCK TABLE ${tables.join(', ')} IN ACCESS EXCLUSIVE MODE`,
    `DROP TABLE ${tables.join(', ')}`,
    ...moved.map(({ shadow, schema }) => `ALTER TABLE ${shadow} SET SCHEMA ${schema}`),
    ...rights,
    ...schemas.map((schema) => `DROP SCHEMA ${shadowSchema(schema)} CASCADE`),
  ];
  await sql.query(statements.join('; '));
}

/** What was granted on tables and on their columns, as statements that grant it again. */
async function rightsOn(sql: Sql, tables: readonly TableName[]): Promise<string[]> {
  const rows = await sql.query<{ statement: string }[]>(
    `SELECT format('GRANT %s%s ON %s TO %s%s', privilege_type, ' (' || quote_ident(attname) || ')', name,
       CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
       CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END) AS statement
     FROM unnest($1::text[]) AS name, LATERAL (
       SELECT relacl AS acl, NULL AS attname FROM pg_class WHERE oid = name::regclass
       UNION ALL SELECT attacl, attname FROM pg_attribute WHERE attrelid = name::regclass AND NOT attisdropped
     ) held, aclexplode(acl)`,
    [tables],
  );
  return rows.map(({ statement }) => statement);
}
