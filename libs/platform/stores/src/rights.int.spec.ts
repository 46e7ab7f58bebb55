import { randomBytes } from 'node:crypto';
import { createDatabase, TestDatabase } from '@balados/testing';
import { DataSource, MigrationInterface, QueryRunner } from 'typeorm';
import { Context, createRole, grantRights, heldRights, linesOf, migrate, openPostgres } from './index';

// Roles belong to the whole server, which other suites use as well.
const READER = `test_reader_${randomBytes(6).toString('hex')}`;

class Things1700000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE things.open (id int, secret text); CREATE TABLE things.shut (id int)');
  }
  async down(): Promise<void> {}
}
class Later1700000000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE things.later ()');
  }
  async down(): Promise<void> {}
}

const first: Context = {
  schema: 'things',
  entities: [],
  migrations: [Things1700000000001],
  rights: { [READER]: { 'things.open': ['SELECT (id)', 'DELETE'] } },
};
const second: Context = {
  ...first,
  migrations: [Things1700000000001, Later1700000000002],
  rights: { [READER]: { 'things.open': ['SELECT'], 'things.later': ['INSERT'] } },
};

let database: TestDatabase;
const opened: DataSource[] = [];
const as = async (context: Context, url = database.url): Promise<DataSource> => {
  const dataSource = await openPostgres(url, context, { service: 'test', poolSize: 1 });
  opened.push(dataSource);
  return dataSource;
};

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(async () => {
  for (const dataSource of opened) await dataSource.destroy();
  await database.drop();
});

it('grants what the list says, takes back what it does not, and leaves a newer list alone', async () => {
  const owner = await as(first);
  await migrate(owner, first);
  expect(await heldRights(owner, first)).toEqual([
    `${READER} DELETE things.open`,
    `${READER} SELECT things.open (id)`,
    `${READER} USAGE things`,
  ]);

  const url = new URL(database.url);
  url.searchParams.set('options', `-c role=${READER}`);
  const reader = await as({ ...first, migrations: [] }, url.href);
  expect(await reader.query('SELECT id FROM things.open')).toEqual([]);
  for (const statement of ['SELECT * FROM things.open', 'SELECT * FROM things.shut', 'CREATE TABLE things.own ()'])
    await expect(reader.query(statement)).rejects.toMatchObject({ driverError: { code: '42501' } });

  await owner.query(`GRANT ALL ON things.shut TO ${READER}; GRANT UPDATE (secret) ON things.open TO ${READER};
    GRANT CREATE ON SCHEMA things TO ${READER}; REVOKE DELETE ON things.open FROM ${READER}`);
  await migrate(owner, first);
  expect(await heldRights(owner, first)).toEqual(linesOf(first.rights!));

  const newer = await as(second);
  await migrate(newer, second);
  expect(await heldRights(newer, second)).toEqual(linesOf(second.rights!));
  await migrate(owner, first);
  await grantRights(owner, first);
  expect(await heldRights(newer, second)).toEqual(linesOf(second.rights!));
});

it('says who makes the roles, to a login that may not', async () => {
  const [owner, missing] = ['owner', 'missing'].map((name) => `test_${name}_${randomBytes(6).toString('hex')}`);
  const administrator = await as({ ...first, migrations: [] });
  await administrator.query(`CREATE ROLE ${owner}`);
  const url = new URL(database.url);
  url.searchParams.set('options', `-c role=${owner}`);
  await expect((await as(first, url.href)).query(createRole(missing!))).rejects.toThrow(
    `role ${missing} is missing, and this login may not make it: run deploy/postgres/logins.sh`,
  );
});
