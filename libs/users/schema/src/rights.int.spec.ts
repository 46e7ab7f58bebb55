import { heldRights, linesOf, migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase } from '@balados/testing';
import { DataSource } from 'typeorm';
import { ACCOUNTS_WRITER, FEED_READER, TOKEN_READER, USERS_CLEANER, usersContext } from './index';

const SECRETS: readonly [string, string][] = [
  ['accounts', 'password_hash'],
  ['accounts', 'username'],
  ['api_tokens', 'secret_hash'],
  ['signing_keys', 'private_key'],
  ['listener_keys', 'public_key'],
  ['outside_listeners', 'subject'],
  ['idempotency_keys', 'salt'],
  ['app_settings', 'value'],
  ['login_flows', 'poll_hash'],
];
/** For whoever owns the tables: projections. */
const OF_THE_OWNER = ['users.projector_members'];

let database: TestDatabase;
let owner: DataSource;
beforeAll(async () => {
  database = await createDatabase();
  owner = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 2 });
  await migrate(owner, usersContext);
});
afterAll(async () => {
  await owner?.destroy();
  await database?.drop();
});

const tables = async (): Promise<string[]> => {
  const rows = await owner.query<{ name: string }[]>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'users' ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
};

it('gives each role what the list says, table by table, and nothing else', async () => {
  expect(await heldRights(owner, usersContext)).toEqual(linesOf(usersContext.rights!));
  const listed = new Set(Object.values(usersContext.rights!).flatMap(Object.keys));
  // A new table is somebody's to read, or is named here.
  expect((await tables()).filter((name) => !listed.has(name))).toEqual(OF_THE_OWNER);
});

/** Runs it as a role, and takes it back. */
async function as(role: string, statement: string): Promise<string | undefined> {
  const runner = owner.createQueryRunner();
  try {
    await runner.startTransaction();
    await runner.query(`SET LOCAL ROLE ${role}`);
    await runner.query(statement);
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  } finally {
    await runner.rollbackTransaction();
    await runner.release();
  }
}
const REFUSED = '42501';

it('shows jobs no secret, no hash of one and no name', async () => {
  for (const [table, column] of SECRETS)
    expect([table, await as(USERS_CLEANER, `SELECT ${column} FROM users.${table}`)]).toEqual([table, REFUSED]);
  expect(await as(USERS_CLEANER, 'SELECT user_id FROM users.accounts')).toBeUndefined();
  expect(await as(USERS_CLEANER, 'DELETE FROM users.accounts WHERE user_id = gen_random_uuid()')).toBeUndefined();
});

it('lets the listener’s API write no read model, and nobody who does not own them make or drop a table', async () => {
  for (const name of (await tables()).filter((table) =>
    /subscriptions|play|saved|shared|privacy|revisions|projector/.test(table),
  ))
    expect([name, await as(ACCOUNTS_WRITER, `DELETE FROM ${name}`)]).toEqual([name, REFUSED]);
  for (const role of [ACCOUNTS_WRITER, FEED_READER, TOKEN_READER, USERS_CLEANER]) {
    expect(await as(role, 'CREATE TABLE users.own ()')).toBe(REFUSED);
    expect(await as(role, 'DROP TABLE users.subscriptions')).toBe(REFUSED);
    expect(await as(role, 'CREATE SCHEMA own')).toBe(REFUSED);
    expect(await as(role, 'SELECT * FROM users.projector_members')).toBe(REFUSED);
  }
});
