import { isPassingDatabaseError } from '@balados/platform-stores';
import { DataSource } from 'typeorm';
import {
  arrangeTimeline,
  createSiteProjector,
  drift,
  recomputePopularity,
  SitePolicy,
  storeDefaultPrivacy,
} from './index';
import { emptySite, History, openSite, uuidOf } from './testing';

const ADA = uuidOf('ada');
const FEED = 'https://example.org/feed.xml';
const itemOf = (n: number): string => `guid-${n},https://cdn.example.org/${n}.mp3`;
const policy: SitePolicy = { publicMinListeners: 1 };
const APRIL = Date.parse('2026-04-15T12:00:00.000Z');
/** Of the month before it, too, all is in the timeline that lies in the partition of its oldest day. */
const RECENT = ['2026-03-01T00:00:00.000Z', '2026-03-31T23:59:59.999Z', '2026-04-01T00:00:00.000Z'];
const OLD = ['0001-01-01T00:00:00.000Z', '2026-01-31T12:00:00.000Z', '2026-02-28T23:59:59.999Z'];
const AHEAD = [
  '2026-06-30T23:59:59.999Z',
  '2026-07-01T00:00:00.000Z',
  '2026-08-15T00:00:00.000Z',
  '9999-12-31T23:59:59.999Z',
];

let site: DataSource;
let close: () => Promise<void>;
let history: History;

const project = (...events: Parameters<ReturnType<typeof createSiteProjector>['project']>[1]) =>
  site.transaction((transaction) => createSiteProjector(policy).project(transaction, events));
const playedAt = (times: readonly string[]) =>
  project(...times.map((time, n) => history.played(ADA, FEED, itemOf(n), time)));
const shown = async (): Promise<string[]> =>
  (await site.query('SELECT recorded_at FROM site.public_events ORDER BY recorded_at')).map(
    ({ recorded_at }: { recorded_at: Date }) => recorded_at.toISOString(),
  );
const partitions = async (): Promise<Record<string, number>> =>
  Object.fromEntries(
    (
      await site.query(
        `SELECT relname AS name, (xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM site_private.%I', relname),
           false, true, '')))[1]::text::integer AS rows
         FROM pg_class WHERE relispartition AND relkind = 'r' AND relname LIKE 'public\\_events%' ORDER BY 1`,
      )
    ).map(({ name, rows }: { name: string; rows: number }) => [name, rows]),
  );

beforeAll(async () => ({ site, close } = await openSite()));
afterAll(() => close());
beforeEach(async () => {
  await emptySite(site);
  await storeDefaultPrivacy(site, 'public');
  history = new History();
});

it('drops months that are no longer read, makes those to come, and has a place for every other time', async () => {
  const all = [...OLD, ...RECENT, ...AHEAD];
  await playedAt(all);
  expect(await shown()).toEqual(all);
  await arrangeTimeline(site, { now: APRIL });
  expect(await partitions()).toEqual({
    public_events_2026_03: 2,
    public_events_2026_04: 1,
    public_events_2026_05: 0,
    public_events_2026_06: 1,
    public_events_before_2026_03: 0,
    public_events_from_2026_07: 3,
  });
  expect(await shown()).toEqual([...RECENT, ...AHEAD]);
  expect(await drift(site, policy)).toBe(0);
  expect(await recomputePopularity(site, policy)).toBe(0);
  expect(await arrangeTimeline(site, { now: APRIL })).toEqual([]);

  // Nobody came for months: what lay ahead finds its place.
  expect(await arrangeTimeline(site, { now: Date.parse('2026-08-02T00:00:00.000Z') })).toEqual([
    'public_events_2026_03',
    'public_events_2026_04',
    'public_events_2026_05',
    'public_events_2026_06',
    'public_events_before_2026_03',
    'public_events_from_2026_07',
  ]);
  expect(await partitions()).toEqual({
    public_events_2026_07: 1,
    public_events_2026_08: 1,
    public_events_2026_09: 0,
    public_events_2026_10: 0,
    public_events_before_2026_07: 0,
    public_events_from_2026_11: 1,
  });
  expect(await drift(site, policy)).toBe(0);
});

it('counts what is older, and puts it into the timeline by no way', async () => {
  await playedAt(RECENT);
  await arrangeTimeline(site, { now: APRIL });
  // As from a log that is read again from its start.
  await project(...OLD.map((time, n) => history.saved(ADA, FEED, itemOf(n), time)));
  await project(history.madePrivacy(ADA, 'private', RECENT[0]!));
  expect(await shown()).toEqual([]);
  await project(history.madePrivacy(ADA, 'public', RECENT[0]!));
  expect(await shown()).toEqual(RECENT);
  expect(await site.query('SELECT plays, likes FROM site.podcast_popularity')).toEqual([{ plays: 3, likes: 3 }]);
  expect(await drift(site, policy)).toBe(0);
  expect(await recomputePopularity(site, policy)).toBe(0);
});

it('makes partitions for whoever owns the timeline, who is to drop them later', async () => {
  await site.query('ALTER TABLE site.public_events OWNER TO balados_site_reader');
  try {
    await arrangeTimeline(site, { now: Date.parse('2027-02-15T00:00:00.000Z') });
    expect(
      await site.query(
        `SELECT DISTINCT relowner::regrole::text AS owner FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
         WHERE inhparent = 'site.public_events'::regclass`,
      ),
    ).toEqual([{ owner: 'balados_site_reader' }]);
  } finally {
    await site.query('ALTER TABLE site.public_events OWNER TO CURRENT_USER');
  }
});

it('keeps nobody waiting for one who reads or writes for long, and changes nothing then', async () => {
  await playedAt([...OLD, ...RECENT]);
  const before = [await partitions(), await shown()];
  for (const begin of ['SELECT count(*) FROM site.public_events', 'SELECT pg_advisory_xact_lock_shared(0x73697465)']) {
    const runner = site.createQueryRunner();
    await runner.startTransaction();
    try {
      await runner.query(begin);
      const error = await arrangeTimeline(site, { now: Date.parse('2026-09-15T00:00:00.000Z') }).catch(
        (reason: unknown) => reason,
      );
      expect(isPassingDatabaseError(error)).toBe(true);
      expect([await partitions(), await shown()]).toEqual(before);
      await project(history.shared(ADA, FEED, itemOf(0), RECENT[0]!));
      before[1] = await shown();
      before[0] = await partitions();
    } finally {
      await runner.rollbackTransaction();
      await runner.release();
    }
  }
});

it('shows again what a clock that was a year ahead took out of the timeline, once it is right', async () => {
  await playedAt([...OLD, ...RECENT]);
  await arrangeTimeline(site, { now: APRIL });
  const before = await partitions();
  await arrangeTimeline(site, { now: APRIL + 365 * 86_400_000 });
  expect(await shown()).toEqual([]);
  await project(history.played(ADA, FEED, itemOf(7), '2026-04-15T12:30:00.000Z'));
  await arrangeTimeline(site, { now: APRIL });
  expect(await shown()).toEqual([...RECENT, '2026-04-15T12:30:00.000Z']);
  expect(await partitions()).toEqual({ ...before, public_events_2026_04: before['public_events_2026_04']! + 1 });
  expect(await drift(site, policy)).toBe(0);
  expect(await arrangeTimeline(site, { now: APRIL })).toEqual([]);
});
