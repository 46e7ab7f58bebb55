import { migrate, openPostgres } from '@balados/platform-stores';
import { siteContext } from '@balados/site-schema';
import { createDatabase, TestDatabase } from '@balados/testing';
import { QueryFailedError, type DataSource } from 'typeorm';
import { keepRun, kindOf, lastRunOfEach, lastRuns, RUNS_KEPT } from './job-runs';
import { Job, JobParts, JOBS } from './jobs';
import { runJob } from './run-job';
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

const jobOf = (name: string, run: Job['run']): Job => ({ ...JOBS.find((job) => job.name === name)!, run });
const ran = (job: Job): Promise<unknown> =>
  runJob(job, { ...SETTINGS, users: site, site } as JobParts, { ran: () => undefined });

it('keeps runs that were done and that failed, with what they did and the kind of error alone', async () => {
  const before = Date.now();
  await ran(jobOf('trim', async () => ({ cut: 3 })));
  await ran(jobOf('trim', () => site.query('SELECT 1 / 0')));
  await ran(jobOf('drift', () => Promise.reject(new Error('stream listening-5d1f is no longer ours'))));
  const runs = await lastRuns(site, 10);
  expect(runs.map(({ job, outcome, figures, error }) => [job, outcome, figures, error])).toEqual([
    ['drift', 'failed', {}, 'Error'],
    ['trim', 'failed', {}, 'QueryFailedError 22012'],
    ['trim', 'done', { cut: 3 }, null],
  ]);
  expect(runs[0]!.beganAt.getTime()).toBeGreaterThanOrEqual(before);
  expect(runs[0]!.replica).toContain(String(process.pid));
  const each = await lastRunOfEach(site, ['trim', 'drift', 'sessions']);
  expect(each.map(({ job, outcome }) => `${job} ${outcome}`).sort()).toEqual(['drift failed', 'trim failed']);
});

it('keeps of an urgent job what it did, and not that there was nothing to do; nor that another replica was at it', async () => {
  await ran(jobOf('erasures', async () => ({ erased: 0 })));
  const other = site.createQueryRunner();
  await other.startTransaction();
  await other.query(`SELECT pg_advisory_xact_lock(${jobOf('windows', async () => ({})).lock})`);
  await ran(jobOf('windows', async () => ({ moved: 1 })));
  await other.rollbackTransaction();
  await other.release();
  expect(await lastRuns(site, 10)).toEqual([]);
  await ran(jobOf('erasures', async () => ({ erased: 2 })));
  await ran(jobOf('windows', async () => ({})));
  expect((await lastRuns(site, 10)).map(({ job }) => job)).toEqual(['windows', 'erasures']);
});

it('forgets the oldest runs of a job beyond its limit, and none of another', async () => {
  const run = { beganAt: new Date(), seconds: 1, outcome: 'done' as const, figures: {}, error: null };
  await keepRun(site, { ...run, job: 'drift' });
  await site.query(
    `INSERT INTO site_private.job_runs (job, began_at, seconds, outcome, figures, replica)
     SELECT 'trim', now(), n, 'done', '{}', 'here' FROM generate_series(1, $1) AS n`,
    [RUNS_KEPT],
  );
  await keepRun(site, { ...run, job: 'trim', seconds: RUNS_KEPT + 1 });
  const [{ count, first }] = await site.query(
    `SELECT count(*)::int AS count, min(seconds) AS first FROM site_private.job_runs WHERE job = 'trim'`,
  );
  expect([count, first]).toEqual([RUNS_KEPT, 2]);
  expect(await lastRunOfEach(site, ['drift'])).toHaveLength(1);
});

it('runs a job also where its run cannot be kept', async () => {
  await site.query('ALTER TABLE site_private.job_runs RENAME TO elsewhere');
  expect(await ran(jobOf('trim', async () => ({ cut: 1 })))).toMatchObject({ outcome: 'done' });
  await site.query('ALTER TABLE site_private.elsewhere RENAME TO job_runs');
});

it('tells of an error its kind', () => {
  const query = new QueryFailedError('SELECT', [], Object.assign(new Error('no'), { code: '57P01' }));
  expect([kindOf(query), kindOf(new RangeError('x')), kindOf('text')]).toEqual([
    'QueryFailedError 57P01',
    'RangeError',
    'string',
  ]);
  expect(kindOf(Object.assign(new Error('x'), { code: 'https://feeds.example/?secret' }))).toBe('Error');
});
