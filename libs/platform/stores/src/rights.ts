import { Context, Sql } from './postgres';

/**
 * What roles may do in a context's schemas, beside the owner of its tables: role → table (`schema.name`) → privileges as GRANT takes them,
 * `SELECT, DELETE` or `SELECT (id, name)`. What is not listed, a role may not do.
 */
export type Rights = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

const schemaOf = (table: string): string => table.split('.')[0]!;

/** SQL: what these roles may do in these schemas, a line each, such as `role SELECT users.accounts (user_id)`. */
const HELD = `
  SELECT concat_ws(' ', pg_get_userbyid(grantee), privilege_type, what) AS line
  FROM (SELECT oid AS schema, nspacl AS acl, nspname::text AS what FROM pg_namespace
        UNION ALL SELECT relnamespace, relacl, relnamespace::regnamespace::text || '.' || relname FROM pg_class
        UNION ALL SELECT relnamespace, attacl, format('%s.%s (%s)', relnamespace::regnamespace, relname, attname)
          FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE NOT attisdropped) AS held, aclexplode(acl)
  WHERE schema IN (SELECT oid FROM pg_namespace WHERE nspname = ANY ($1::text[])) AND pg_get_userbyid(grantee) = ANY ($2::text[])
  ORDER BY 1`;

/** What stands in the list, as the database would say it. */
export function linesOf(rights: Rights): string[] {
  const lines = new Set<string>();
  for (const [role, tables] of Object.entries(rights))
    for (const [table, privileges] of Object.entries(tables)) {
      lines.add(`${role} USAGE ${schemaOf(table)}`);
      for (const privilege of privileges) {
        const [, kind, columns] = /^([A-Z]+)(?: \((.+)\))?$/.exec(privilege)!;
        if (!columns) lines.add(`${role} ${kind} ${table}`);
        else for (const column of columns.split(', ')) lines.add(`${role} ${kind} ${table} (${column})`);
      }
    }
  return [...lines].sort();
}

const schemasOf = ({ schema, searchPath = [schema] }: Context): readonly string[] => searchPath;

/** What the roles of a context's list may do in its schemas. */
export async function heldRights(sql: Sql, context: Context): Promise<string[]> {
  const roles = Object.keys(context.rights ?? {});
  const rows = await sql.query<{ line: string }[]>(HELD, [schemasOf(context), roles]);
  return rows.map(({ line }) => line).sort();
}

/** SQL: a role belongs to the whole cluster; another database of it may have made it, at this very moment too. Who may not make it is told who does. */
export const createRole = (name: string): string => `
  DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${name}') THEN
      CREATE ROLE ${name} NOLOGIN;
    END IF;
  EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
      RAISE insufficient_privilege
        USING MESSAGE = 'the role ${name} is missing, and this login may not make it: run deploy/postgres/logins.sh';
  END $$`;

/**
 * Makes the roles that are missing, and what they may do equal to the context's list. Where it is already, nothing is written. A newer
 * version than this one may have run: its tables and its rights are left alone.
 */
export async function grantRights(sql: Sql, context: Context): Promise<void> {
  const { rights = {}, schema, migrations } = context;
  const [{ newer }] = (await sql.query(
    `SELECT EXISTS (SELECT FROM "${schema}".migrations WHERE name <> ALL ($1::text[])) AS newer`,
    [migrations.map(({ name }) => name)],
  )) as [{ newer: boolean }];
  if (newer) return;
  for (const role of Object.keys(rights)) await sql.query(createRole(role));
  if ((await heldRights(sql, context)).join() === linesOf(rights).join()) return;
  const statements: string[] = [];
  for (const [role, tables] of Object.entries(rights)) {
    for (const name of schemasOf(context))
      statements.push(
        `REVOKE ALL ON ALL TABLES IN SCHEMA "${name}" FROM ${role}`,
        `REVOKE ALL ON SCHEMA "${name}" FROM ${role}`,
      );
    for (const name of new Set(Object.keys(tables).map(schemaOf)))
      statements.push(`GRANT USAGE ON SCHEMA "${name}" TO ${role}`);
    for (const [table, privileges] of Object.entries(tables))
      statements.push(`GRANT ${privileges.join(', ')} ON ${table} TO ${role}`);
  }
  // One text of several statements is one transaction: at no moment is a right missing.
  await sql.query(statements.join(';\n'));
}
