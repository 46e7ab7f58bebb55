import { isMigrated, migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase } from '@balados/testing';
import { DataSource } from 'typeorm';
import { PODCASTS_READER, SITE_READER, siteContext, siteReadContext, timelinePartitions } from './index';
import { TimelinePartitions1700000000360 } from './partitions-migration';

const COUNTS = ['score', 'score_previous', 'growth', 'plays', 'plays_previous', 'plays_people'];
const LIKES = ['likes', 'likes_previous', 'likes_people'];
/** All that the public reads: whoever adds a column here shows it to the world. */
const PUBLISHED: Record<string, readonly string[]> = {
  'site.episode_popularity': ['episode_id', 'feed_id', 'item', 'item_key', ...COUNTS, ...LIKES],
  'site.podcast_popularity': ['feed_id', 'feed', 'feed_title', 'feed_author', 'feed_cover', ...COUNTS, ...LIKES],
  'site.projection': ['caught_up_at'],
  'site.public_events': ['id', 'event_type', 'user_id', 'feed_id', 'episode_id', 'occurred_at', 'recorded_at'],
};

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

  it('keeps what stands in the timeline when that is partitioned, its indexes and who may read it, and so the other way', async () => {
    const other = await createDatabase();
    const dataSource = await openPostgres(other.url, siteContext, { service: 'test' });
    const partitioning = new TimelinePartitions1700000000360();
    const runner = dataSource.createQueryRunner();
    const everything = async () => ({
      rows: await dataSource.query('SELECT * FROM site.public_events ORDER BY recorded_at'),
      indexes: await dataSource.query(
        `SELECT indexname, regexp_replace(indexdef, '^.* USING ', '') FROM pg_indexes WHERE schemaname = 'site' ORDER BY 1`,
      ),
      columns: await dataSource.query(
        `SELECT column_name, data_type, is_nullable, datetime_precision FROM information_schema.columns
         WHERE table_schema = 'site' AND table_name = 'public_events' ORDER BY ordinal_position`,
      ),
      rights: await dataSource.query(
        `SELECT grantee, privilege_type FROM information_schema.table_privileges
         WHERE table_schema = 'site' AND table_name = 'public_events' ORDER BY 1, 2`,
      ),
    });
    try {
      await migrate(dataSource, siteContext);
      await partitioning.down(runner);
      await dataSource.query(
        `INSERT INTO site.public_events (id, event_type, feed_id, occurred_at, recorded_at)
         SELECT n, 'play', gen_random_uuid(), now(), now() + n * interval '17 days' FROM generate_series(-9, 9) AS n`,
      );
      const before = await everything();
      expect(before.rows).toHaveLength(19);
      await partitioning.up(runner);
      expect(await everything()).toEqual(before);
      await partitioning.down(runner);
      expect(await everything()).toEqual(before);
    } finally {
      await runner.release();
      await dataSource.destroy();
      await other.drop();
    }
  });

  it('lets a service that suggests podcasts read which are public, and nothing else', async () => {
    const url = new URL(database.url);
    url.searchParams.set('options', `-c role=${PODCASTS_READER}`);
    const reader = await openPostgres(url.href, siteReadContext, { service: 'test', poolSize: 2 });
    const refused = { driverError: { code: '42501' } };
    try {
      const columns = 'feed_id, feed, feed_title, feed_author, feed_cover, score';
      expect(await reader.query(`SELECT ${columns} FROM site.podcast_popularity`)).toEqual([]);
      for (const column of ['plays_people', 'likes_people', 'plays'])
        await expect(reader.query(`SELECT ${column} FROM site.podcast_popularity`)).rejects.toMatchObject(refused);
      for (const name of Object.keys(PUBLISHED).filter((name) => name !== 'site.podcast_popularity'))
        await expect(reader.query(`SELECT FROM ${name}`)).rejects.toMatchObject(refused);
      await expect(reader.query('SELECT FROM site_private.feeds')).rejects.toMatchObject(refused);
      await expect(reader.query('DELETE FROM site.podcast_popularity')).rejects.toMatchObject(refused);
    } finally {
      await reader.destroy();
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
    const NO_RIGHT = '42501';
    const NO_TABLE_TO_WRITE = '55000';
    const refused = (statement: string, code = NO_RIGHT) =>
      expect(reader.query(statement)).rejects.toMatchObject({ driverError: { code } });

    beforeAll(async () => {
      const url = new URL(database.url);
      url.searchParams.set('options', `-c role=${SITE_READER}`);
      reader = await openPostgres(url.href, siteReadContext, { service: 'test' });
      expect(await reader.query('SELECT current_user')).toEqual([{ current_user: SITE_READER }]);
    });

    afterAll(() => reader.destroy());

    it('opens these columns of these relations, and no others of the database', async () => {
      const readable: { name: string; columns: string[] }[] = await owner.query(
        `SELECT format('%I.%I', n.nspname, c.relname) AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind::text = ANY('{r,v,m,p,f,S}')
           AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
           AND has_schema_privilege($1, n.oid, 'USAGE') AND has_column_privilege($1, c.oid, a.attnum, 'SELECT')
         GROUP BY 1`,
        [SITE_READER],
      );
      expect(Object.fromEntries(readable.map(({ name, columns }) => [name, columns.sort()]))).toEqual(
        Object.fromEntries(Object.entries(PUBLISHED).map(([name, columns]) => [name, [...columns].sort()])),
      );
      for (const [name, columns] of Object.entries(PUBLISHED))
        await expect(reader.query(`SELECT ${columns.join(', ')} FROM ${name}`)).resolves.toBeInstanceOf(Array);
    });

    it('runs no function of ours', () => refused('SELECT site_private.random_id()'));

    it('refuses every other relation of the database', async () => {
      const others = (await relations('rvmpf')).filter((name) => !(name in PUBLISHED));
      expect(others).toEqual(
        expect.arrayContaining([
          'public.other',
          'site_private.contributions',
          'site_private.migrations',
          'site_private.privacy_settings',
          ...timelinePartitions(Date.now()).partitions.map(({ name }) => `site_private.${name}`),
          'site_private.segments_caught_up',
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
      for (const [name, [column]] of Object.entries(PUBLISHED)) {
        const code = name === 'site.projection' ? NO_TABLE_TO_WRITE : NO_RIGHT;
        await refused(`DELETE FROM ${name}`, code);
        await refused(`INSERT INTO ${name} DEFAULT VALUES`, code);
        await refused(`UPDATE ${name} SET ${column} = NULL`, code);
      }
      for (const schema of ['site', 'site_private', 'public', 'users'])
        await refused(`CREATE TABLE ${schema}.made_by_reader ()`);
    });
  });
});
