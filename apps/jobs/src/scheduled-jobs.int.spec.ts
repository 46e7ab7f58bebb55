import { AddressInfo, createServer } from 'node:net';
import { openFeedsClient } from '@balados/feeds-client';
import { migrate, openPostgres } from '@balados/platform-stores';
import { siteContext, timelinePartitions } from '@balados/site-schema';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { Privacy } from '@balados/users-contracts';
import { openListenerStreams } from '@balados/users-write';
import { SchedulerRegistry } from '@nestjs/schedule';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { JOBS } from './jobs';
import { ScheduledJobs } from './scheduled-jobs';
import { SETTINGS } from './settings.fixture';

const metadata = JOBS.find(({ name }) => name === 'metadata')!;

let database: TestDatabase;
let site: DataSource;

beforeAll(async () => {
  database = await createDatabase();
  site = await openPostgres(database.url, siteContext, { service: 'test', poolSize: 4 });
});
afterAll(async () => {
  await site.destroy();
  await database.drop();
});

const copyWith = (defaultPrivacy: Privacy, feeds = openFeedsClient('tcp://127.0.0.1:1')): ScheduledJobs =>
  new ScheduledJobs(
    {
      ...SETTINGS,
      users: site,
      site,
      streams: openListenerStreams(new InMemoryEventStore(), 1_024),
      defaultPrivacy,
      feeds,
    },
    { ran: (job, outcome) => void ran.push(`${job} ${outcome}`) },
    new SchedulerRegistry(),
  );
const ran: string[] = [];
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

it('moves the start of the timeline, and does the rest also while somebody reads it for long', async () => {
  const startsAt = async () =>
    (await site.query(`SELECT timeline_starts_at::text AS "startsAt" FROM site_private.popularity_window`))[0].startsAt;
  const windowAt = async () =>
    (await site.query('SELECT starts_at::text FROM site_private.popularity_window'))[0].starts_at;
  const reader = new Client({ connectionString: database.url });
  await reader.connect();
  await reader.query('BEGIN; SELECT count(*) FROM site.public_events');
  await copyWith('private').round();
  expect([await startsAt(), await windowAt()]).toEqual(['-infinity', expect.not.stringContaining('infinity')]);
  await reader.end();
  await copyWith('private').round();
  expect(new Date(await startsAt())).toEqual(timelinePartitions(Date.now()).startsAt);
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

it('stops while rss-proxy is slow to answer, and puts no feed off for that', async () => {
  await site.query(
    `INSERT INTO site_private.feeds (feed_id, feed) VALUES (gen_random_uuid(), 'https://feeds.example/a')`,
  );
  let asked = false;
  const silent = createServer((socket) => void socket.on('data', () => (asked = true)).on('error', () => undefined));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const feeds = openFeedsClient(`tcp://127.0.0.1:${(silent.address() as AddressInfo).port}`);
  const copy = copyWith('anonymous', feeds);
  const run = copy.run(metadata);
  await waitFor(() => asked, { what: 'rss-proxy to be asked' });
  copy.beforeApplicationShutdown();
  feeds.close();
  await run;
  // Nor is anything begun any more.
  await copy.run(metadata);
  expect(
    await site.query('SELECT metadata_due_at < now() AS due, metadata_failures AS failures FROM site_private.feeds'),
  ).toEqual([{ due: true, failures: 0 }]);
  silent.close();
});
