import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { createRegistry } from '@balados/platform-service';
import { migrate, openPostgres } from '@balados/platform-stores';
import { siteContext } from '@balados/site-schema';
import { createDatabase, TestDatabase } from '@balados/testing';
import { openListenerStreams } from '@balados/users-write';
import { SchedulerRegistry } from '@nestjs/schedule';
import { DataSource } from 'typeorm';
import { keepRun } from './job-runs';
import { createMetrics } from './metrics';
import { SCAVENGE_AGAIN_AFTER_MS } from './scavenge';
import { ScheduledJobs } from './scheduled-jobs';
import { SETTINGS } from './settings.fixture';

let database: TestDatabase;
let site: DataSource;
beforeAll(async () => {
  database = await createDatabase();
  site = await openPostgres(database.url, siteContext, { service: 'test', poolSize: 4 });
  await migrate(site, siteContext);
});
afterAll(async () => {
  await site?.destroy();
  await database?.drop();
});
beforeEach(() => site.query('TRUNCATE site_private.job_runs'));

const HOUR_MS = 3_600_000;
const ran: string[] = [];

/** What a round of a replica of its own makes of the scavenge. */
async function round(scavengeEveryMs = 24 * HOUR_MS): Promise<string[]> {
  ran.length = 0;
  const streams = openListenerStreams(new InMemoryEventStore(), 1_024);
  const dependencies = { ...SETTINGS, users: site, site, streams, feeds: undefined, scavengeEveryMs };
  const metrics = {
    ran: (job: string, outcome: string) => void (job === 'scavenge' && ran.push(outcome)),
  };
  await new ScheduledJobs(dependencies, metrics, new SchedulerRegistry()).round();
  return ran;
}

/** That it was asked for so long ago. */
const asked = (agoMs: number, outcome: 'done' | 'failed'): Promise<void> =>
  keepRun(site, {
    job: 'scavenge',
    beganAt: new Date(Date.now() - agoMs),
    seconds: 1,
    outcome,
    figures: {},
    error: null,
  });

it('asks for a scavenge once a day, whichever replica, and however often it starts', async () => {
  expect(await round()).toEqual(['done']);
  expect(await round()).toEqual([]);
});

it.each<[what: string, agoMs: number, outcome: 'done' | 'failed', expected: string[]]>([
  ['one of yesterday', 25 * HOUR_MS, 'done', ['done']],
  ['one of today', 23 * HOUR_MS, 'done', []],
  ['one that failed just now', SCAVENGE_AGAIN_AFTER_MS / 2, 'failed', []],
  ['one that failed a while ago', SCAVENGE_AGAIN_AFTER_MS * 2, 'failed', ['done']],
])('after %s', async (_what, agoMs, outcome, expected) => {
  await asked(agoMs, outcome);
  expect(await round()).toEqual(expected);
});

it('tells Prometheus when it was last done, by whichever replica, and how often it is to be', async () => {
  await asked(2 * HOUR_MS, 'done');
  const registry = createRegistry('jobs');
  createMetrics(registry, { ...SETTINGS, users: site, site });
  const text = await registry.metrics();
  const told = (name: string) => Number(new RegExp(`^${name}{job_name="scavenge".*} (.*)$`, 'm').exec(text)?.[1]);
  expect(told('jobs_interval_seconds')).toBe(86_400);
  expect(Math.abs(Date.now() / 1_000 - 7_200 - told('jobs_last_success_timestamp_seconds'))).toBeLessThan(60);
});

it('never asks where its operator wants none', async () => {
  expect(await round(0)).toEqual([]);
});
