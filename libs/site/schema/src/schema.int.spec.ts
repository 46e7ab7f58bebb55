import { isMigrated, migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase } from '@balados/testing';
import { DataSource } from 'typeorm';
import { SITE_READER, siteContext, siteReadContext } from './index';

const PUBLISHED = ['site.episode_popularity', 'site.podcast_popularity', 'site.public_events'];

describe('the schema of site', () => {
  let database: TestDatabase;
  let owner: DataSource;

  beforeAll(async () => {
    database = await createDatabase();
    owner = await openPostgres(database.url, siteContext, { service: 'test' });
    // Stands for the other context, which may share the database.
    await owner.query('CREATE SCHEMA users; CREATE TABLE users.accounts (user_id uuid); CREATE TABLE public.other ()');
    await migrate(owner, siteContext);
  });

  afterAll(async () => {
    await owner.destroy();
    await database.drop();
  });

  it('is made in a database whose cluster knows the role already, and unmade', async () => {
    const other = await createDatabase();
    const dataSource = await openPostgres(other.url, siteContext, { service: 'test' });
    try {
      await migrate(dataSource, siteContext);
      expect(await isMigrated(dataSource)).toBe(true);
      await dataSource.undoLastMigration();
      await migrate(dataSource, siteContext);
      expect(await isMigrated(dataSource)).toBe(true);
    } finally {
      await dataSource.destroy();
      await other.drop();
    }
  });

  describe('for the role that reads it', () => {
    let reader: DataSource;
    const relations = async (kinds: string): Promise<string[]> =>
      (
        await owner.query(
          `SELECT format('%I.%I', n.nspname, c.relname) AS name
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind::text = ANY($1) AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
           ORDER BY 1`,
          [kinds.split('')],
        )
      ).map(({ name }: { name: string }) => name);
    const refused = (statement: string) =>
      expect(reader.query(statement)).rejects.toMatchObject({ driverError: { code: '42501' } });

    beforeAll(async () => {
      const url = new URL(database.url);
      url.searchParams.set('options', `-c role=${SITE_READER}`);
      reader = await openPostgres(url.href, siteReadContext, { service: 'test' });
      expect(await reader.query('SELECT current_user')).toEqual([{ current_user: SITE_READER }]);
    });

    afterAll(() => reader.destroy());

    it('opens what is published', async () => {
      for (const table of PUBLISHED) await expect(reader.query(`SELECT * FROM ${table}`)).resolves.toEqual([]);
    });

    it('refuses every other relation of the database', async () => {
      const others = (await relations('rvmpf')).filter((name) => !PUBLISHED.includes(name));
      expect(others).toEqual(
        expect.arrayContaining([
          'public.other',
          'site_private.contributions',
          'site_private.migrations',
          'users.accounts',
        ]),
      );
      for (const name of others) {
        // public is open to all for looking up names, its tables are not
        await refused(`SELECT * FROM ${name}`);
        await refused(`SELECT count(*) FROM ${name}`);
      }
      for (const name of await relations('S')) await refused(`SELECT * FROM ${name}`);
    });

    it('refuses to write what it opens, and to make anything', async () => {
      for (const table of PUBLISHED) {
        await refused(`DELETE FROM ${table}`);
        await refused(`INSERT INTO ${table} DEFAULT VALUES`);
        await refused(`UPDATE ${table} SET feed_id = NULL`);
      }
      for (const schema of ['site', 'site_private', 'public', 'users'])
        await refused(`CREATE TABLE ${schema}.made_by_reader ()`);
    });
  });
});
