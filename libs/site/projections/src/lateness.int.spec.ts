import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { Projector, RunningProjector, runProjector, segmentOf, silent } from '@balados/platform-stores';
import { waitFor } from '@balados/testing';
import { usersEvents } from '@balados/users-contracts';
import { DataSource } from 'typeorm';
import { createSiteProjector } from './index';
import { emptySite, openSite, uuidOf } from './testing';

const SEGMENTS = 2;
/** One listener of each segment. */
const [ada, ben] = Array.from({ length: SEGMENTS }, (_, segment) =>
  ['ada', 'ben', 'cleo', 'dan', 'eve', 'fay'].map(uuidOf).find((id) => segmentOf(id, SEGMENTS) === segment),
) as [string, string];
const LONG_AGO = '2026-03-01T10:00:00.000Z';

let site: DataSource;
let close: () => Promise<void>;
let store: InMemoryEventStore;
let running: RunningProjector | undefined;

beforeAll(async () => ({ site, close } = await openSite()));
afterAll(() => close());
beforeEach(async () => {
  await emptySite(site);
  store = new InMemoryEventStore();
});
afterEach(async () => {
  await running?.close();
  running = undefined;
});

const run = (projector: Projector = createSiteProjector({ publicMinListeners: 2 })): void => {
  running = runProjector({
    projector,
    store,
    dataSource: site,
    owner: 'test',
    segments: SEGMENTS,
    leaseMs: 400,
    log: silent,
  });
};
const caughtUpAt = async (): Promise<Date | null> =>
  (await site.query('SELECT caught_up_at FROM site.projection'))[0].caught_up_at;
const databaseTime = async (): Promise<Date> => (await site.query('SELECT clock_timestamp() AS now'))[0].now;

const subscribe = (n: number, recordedAt: string) => {
  const data = { feed: `https://example.org/${n}.xml`, sourceId: null, subscribedAt: LONG_AGO, unsubscribedAt: null };
  const id = uuidOf(`subscription ${n}`);
  return usersEvents.encode({ type: 'PodcastSubscribed', data }, { recordedAt, correlationId: 'test' }, id);
};
const later = (moment: Date) => async () => ((await caughtUpAt()) ?? new Date(0)) > moment;

it('is unknown before the first look at the log, and now when there is nothing to apply', async () => {
  expect(await caughtUpAt()).toBeNull();
  const before = await databaseTime();
  run();
  await waitFor(later(before), { what: 'an empty log to be applied' });
  const then = await databaseTime();
  await waitFor(later(then), { what: 'another look' });
});

it('is as long ago as the first event that is not applied, until the head is reached', async () => {
  const past = Array.from({ length: 20 }, (_, n) => subscribe(n, LONG_AGO));
  for (const listener of [ada, ben]) await store.append(`subscriptions-${listener}`, -1, past);
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const projector = createSiteProjector({ publicMinListeners: 2 });
  run({
    ...projector,
    async project(transaction, events) {
      await held;
      await projector.project(transaction, events);
    },
  });
  await waitFor(async () => (await caughtUpAt()) !== null, { what: 'a look at the log' });
  expect((await caughtUpAt())!.getTime()).toBeLessThan(Date.parse(LONG_AGO) + 60_000);
  const before = await databaseTime();
  release();
  await waitFor(later(before), { what: 'the log to be applied' });
  expect(await site.query('SELECT count(*)::int FROM site_private.contributions')).toEqual([{ count: 40 }]);
});

it('stands still with a segment that an event stopped', async () => {
  run();
  const start = await databaseTime();
  await waitFor(later(start), { what: 'an empty log to be applied' });
  const poison = { id: uuidOf('poison'), type: 'Unheard', data: {}, metadata: { version: 1, recordedAt: LONG_AGO } };
  await store.append(`subscriptions-${ada}`, -1, [poison as never]);
  await waitFor(async () => running!.status().some(({ failed }) => failed), { what: 'the segment to stop' });
  await store.append(`subscriptions-${ben}`, -1, [subscribe(1, LONG_AGO)]);
  const latest = async () =>
    (await site.query('SELECT max(caught_up_at) AS latest FROM site_private.segments_caught_up'))[0].latest;
  const then = await databaseTime();
  await waitFor(async () => (await latest()) > then, { what: 'the other segment to go on' });
  expect((await caughtUpAt())!.getTime()).toBeLessThan(then.getTime());
});
