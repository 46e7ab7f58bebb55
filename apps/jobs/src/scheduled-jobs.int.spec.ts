import { openFeedsClient } from '@balados/feeds-client';
import { createLogger } from '@balados/platform-service';
import { migrate, openPostgres } from '@balados/platform-stores';
import { siteContext } from '@balados/site-schema';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { createDatabase, TestDatabase } from '@balados/testing';
import { Privacy } from '@balados/users-contracts';
import { openListenerStreams } from '@balados/users-write';
import { DataSource } from 'typeorm';
import { ScheduledJobs } from './scheduled-jobs';

let database: TestDatabase;
let site: DataSource;

beforeAll(async () => {
  database = await createDatabase();
  site = await openPostgres(database.url, siteContext, { service: 'test', poolSize: 2 });
});
afterAll(async () => {
  await site.destroy();
  await database.drop();
});

const copyWith = (defaultPrivacy: Privacy): ScheduledJobs =>
  new ScheduledJobs({
    users: site,
    site,
    streams: openListenerStreams(new InMemoryEventStore(), 1_024),
    log: createLogger('test', 'silent'),
    trendingWindowMs: 1,
    defaultPrivacy,
    publicMinListeners: 2,
    feeds: openFeedsClient('tcp://127.0.0.1:1'),
  });
const stored = async () => (await site.query('SELECT privacy FROM site_private.default_privacy'))[0]?.privacy;

it('applies its default privacy once there are tables, and leaves alone what a later copy made of it', async () => {
  const [first, second] = [copyWith('public'), copyWith('private')];
  await first.applyDefault();
  await migrate(site, siteContext);
  expect(await stored()).toBeUndefined();
  await first.applyDefault();
  expect(await stored()).toBe('public');
  await second.applyDefault();
  expect(await stored()).toBe('private');
  await first.applyDefault();
  expect(await stored()).toBe('private');
});

it('leaves it to the copy that is at work, and does it later', async () => {
  const other = site.createQueryRunner();
  await other.startTransaction();
  const late = copyWith('anonymous');
  await other.query('SELECT pg_advisory_xact_lock(0x6a6f6273)');
  await late.applyDefault();
  expect(await stored()).toBe('private');
  await other.rollbackTransaction();
  await other.release();
  await late.applyDefault();
  expect(await stored()).toBe('anonymous');
});
