import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { createRegistry } from '@balados/platform-service';
import { migrate, openPostgres } from '@balados/platform-stores';
import { siteContext } from '@balados/site-schema';
import { createDatabase, TestDatabase } from '@balados/testing';
import { usersContext } from '@balados/users-schema';
import { openListenerStreams } from '@balados/users-write';
import { Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { Job, JobParts, JOBS } from './jobs';
import { createMetrics, Metrics } from './metrics';
import { runJob } from './run-job';
import { SETTINGS } from './settings.fixture';

let database: TestDatabase;
let users: DataSource;
let site: DataSource;
let parts: JobParts;
let registry: Registry;
let metrics: Metrics;

beforeAll(async () => {
  database = await createDatabase();
  users = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 4 });
  site = await openPostgres(database.url, siteContext, { service: 'test', poolSize: 4 });
  await migrate(users, usersContext);
  await migrate(site, siteContext);
  const streams = openListenerStreams(new InMemoryEventStore(), 0);
  parts = { ...SETTINGS, users, site, streams, feeds: undefined };
  registry = createRegistry('jobs');
  metrics = createMetrics(registry, parts);
});
afterAll(async () => {
  await users?.destroy();
  await site?.destroy();
  await database?.drop();
});

const jobOf = (name: string): Job => JOBS.find((job) => job.name === name)!;
/** Of `name{label="value"}`; all have the label of their service beside. */
async function figure(name: string): Promise<number | undefined> {
  const lines = (await registry.metrics())
    .replaceAll(/,?service="jobs",?/g, '')
    .replaceAll('{}', '')
    .split('\n');
  const line = lines.find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
}

it('counts runs by what came of them, and tells when one was done last', async () => {
  const before = Date.now() / 1_000;
  expect(await runJob(jobOf('sessions'), parts, metrics)).toMatchObject({ outcome: 'done' });
  expect(await figure('jobs_runs_total{job_name="sessions",outcome="done"}')).toBe(1);
  expect(await figure('jobs_last_success_timestamp_seconds{job_name="sessions"}')).toBeGreaterThanOrEqual(before);
  expect(await figure('jobs_run_seconds_count{job_name="sessions"}')).toBe(1);

  const other = users.createQueryRunner();
  await other.startTransaction();
  await other.query(`SELECT pg_advisory_xact_lock(${jobOf('trim').lock})`);
  expect(await runJob(jobOf('trim'), parts, metrics)).toEqual({ outcome: 'standby' });
  await other.rollbackTransaction();
  await other.release();
  expect(await figure('jobs_runs_total{job_name="trim",outcome="standby"}')).toBe(1);
  expect(await figure('jobs_last_success_timestamp_seconds{job_name="trim"}')).toBeUndefined();

  const failing: Job = { ...jobOf('windows'), run: () => Promise.reject(new Error('no')) };
  expect(await runJob(failing, parts, metrics)).toMatchObject({ outcome: 'failed' });
  expect(await figure('jobs_runs_total{job_name="windows",outcome="failed"}')).toBe(1);
});

it('does nothing while the clock is far from that of Postgres, but what is wanted erased', async () => {
  await users.query(
    `INSERT INTO users.idempotency_keys (key_hash, user_id, request_hash, salt) VALUES ('\\x00', gen_random_uuid(), '\\x00', '\\x00')`,
  );
  for (const apart of [365 * 86_400_000, -365 * 86_400_000]) {
    const ahead = { ...parts, now: () => Date.now() + apart };
    for (const job of JOBS) {
      const { outcome, error } = await runJob(job, ahead, { ran: () => undefined });
      expect([job.name, outcome]).toEqual([job.name, job.name === 'erasures' ? 'done' : 'failed']);
      if (outcome === 'failed') expect(String(error)).toMatch(/clocks .* 525600 minutes apart/);
    }
  }
  expect(await users.query('SELECT FROM users.idempotency_keys')).toHaveLength(1);
});

it('tells the drift that was found and repaired, and that there is none any more', async () => {
  await site.query(
    `INSERT INTO site_private.feeds (feed_id, feed, listeners) VALUES (gen_random_uuid(), 'https://a.example/', 3)`,
  );
  expect(await runJob(jobOf('drift'), parts, metrics)).toMatchObject({ figures: { podcasts: 1, differing: 1 } });
  expect(await figure('popularity_drift')).toBe(1);
  await runJob(jobOf('drift'), parts, metrics);
  expect(await figure('popularity_drift')).toBe(0);
});

it('tells what waits, as it is now', async () => {
  expect([await figure('streams_due'), await figure('erasures_pending')]).toEqual([0, 0]);
  await users.query(
    `INSERT INTO users.listener_revisions (user_id, category, revision, oldest_at, ended_at)
     VALUES (gen_random_uuid(), 'listening', 1, now() - interval '46 days', NULL),
       (gen_random_uuid(), 'playlists', 1, NULL, now() - interval '46 days'),
       (gen_random_uuid(), 'playlists', 1, now() - interval '44 days', now() - interval '44 days')`,
  );
  await users.query(
    `INSERT INTO users.erasures (id, user_id, user_hash, scope, requested_at)
     VALUES (gen_random_uuid(), gen_random_uuid(), '\\x00', 'history', now() - interval '1 hour')`,
  );
  expect([await figure('streams_due'), await figure('erasures_pending')]).toEqual([2, 1]);
  const age = await figure('erasures_oldest_seconds');
  expect([age! >= 3_600, age! < 3_700]).toEqual([true, true]);
});

it('tells how often each job is to run, and how far the clocks are apart', async () => {
  expect(await figure('jobs_interval_seconds{job_name="erasures"}')).toBe(2);
  expect(await figure('jobs_interval_seconds{job_name="drift"}')).toBe(SETTINGS.everyMs / 1_000);
  expect(await figure('clocks_apart_seconds')).toBeLessThan(60);
});
