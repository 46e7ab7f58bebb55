import { randomUUID } from 'node:crypto';
import { EventStore, StoreUnavailable, streamOf } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { migrate, openPostgres, runProjector, RunningProjector } from '@balados/platform-stores';
import { createSiteProjector, DEFAULT_SITE_POLICY } from '@balados/site-projections';
import { siteContext } from '@balados/site-schema';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { allPlays } from '@balados/users-domain';
import { usersProjector } from '@balados/users-projections';
import { LONG_STREAM_EVENTS, usersContext } from '@balados/users-schema';
import { openListenerStreams } from '@balados/users-write';
import { DataSource } from 'typeorm';
import { mortal } from './mortal.fixture';
import { SETTINGS } from './settings.fixture';
import { cutStreams, takeCheckpoints } from './trimming';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);
const FEED = 'https://feeds.example/a.xml';
const itemOf = (n: number): string => `guid-${n},https://media.example/${n}.mp3`;

let database: TestDatabase;
let users: DataSource;
let site: DataSource;
let store: InMemoryEventStore;
let projectors: RunningProjector[];
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

beforeEach(async () => {
  store = new InMemoryEventStore(() => Promise.resolve());
  database = await createDatabase();
  users = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 4 });
  site = await openPostgres(database.url, siteContext, { service: 'test', poolSize: 4 });
  await migrate(users, usersContext);
  await migrate(site, siteContext);
  const run = { store, owner: 'test', segments: 1, log };
  projectors = [
    runProjector({ ...run, projector: usersProjector, dataSource: users }),
    runProjector({ ...run, projector: createSiteProjector(DEFAULT_SITE_POLICY), dataSource: site }),
  ];
});
afterEach(async () => {
  for (const projector of projectors ?? []) await projector.close();
  await users?.destroy();
  await site?.destroy();
  await database?.drop();
});

/** Both jobs, one after the other. */
async function trimWith(own: EventStore, now = NOW): Promise<{ checkpoints: number; cut: number }> {
  const parts = {
    ...SETTINGS,
    streams: openListenerStreams(own, 1_024),
    users,
    site,
    feeds: undefined,
    now: () => now,
  };
  return { ...(await takeCheckpoints(parts)), ...(await cutStreams(parts)) };
}

/** A listener who moved in so many episodes, as often, from that time on. */
async function listen(recordedAt: number, { episodes, moves }: { episodes: number; moves: number }): Promise<string> {
  const userId = randomUUID();
  const { listening } = openListenerStreams(store, 10_000_000);
  for (let move = 0; move < moves; move += 1) {
    const now = recordedAt + move;
    const data = { feed: FEED, item: itemOf(move % episodes), position: move, now };
    const metadata = { recordedAt: new Date(now).toISOString(), correlationId: 'test' };
    await listening.handle(userId, { type: 'UpdatePosition', data }, metadata, () => undefined);
  }
  await projected(userId);
  return userId;
}

const projected = (userId: string): Promise<unknown> =>
  waitFor(
    async () => {
      const head = await store.head(streamOf('listening', userId));
      const [row] = await users.query('SELECT revision::int FROM users.listener_revisions WHERE user_id = $1', [
        userId,
      ]);
      return row?.revision === head;
    },
    { what: 'the projections' },
  );

async function shown(userId: string): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of store.read(streamOf('listening', userId))) types.push(type);
  return types;
}
const plays = async (userId: string) =>
  openListenerStreams(store, 1_024).listening.query(userId, ({ state }) =>
    [...allPlays(state)].sort((one, other) => (one.item < other.item ? -1 : 1)),
  );
const rows = async (userId: string) =>
  users.query(
    'SELECT item, position, played, revision::int FROM users.play_statuses WHERE user_id = $1 ORDER BY item',
    [userId],
  );

it('draws together what is old, cuts it away, and leaves alone what is idle or young', async () => {
  const old = await listen(NOW - 46 * DAY_MS, { episodes: 2, moves: 6 });
  const young = await listen(NOW - 44 * DAY_MS, { episodes: 2, moves: 6 });
  const [before, heldBefore] = [await plays(old), await rows(old)];
  expect(await trimWith(store)).toEqual({ checkpoints: 1, cut: 0 });
  await projected(old);
  // Every projector has passed it: the next run cuts.
  await waitFor(async () => (await trimWith(store)).cut === 1, { what: 'the cut' });
  expect(await shown(old)).toEqual(['CheckpointTaken']);
  expect(await plays(old)).toEqual(before);
  expect(await rows(old)).toEqual(heldBefore);
  expect(await shown(young)).toHaveLength(6);
  // It says nothing new, and is not drawn together again, however old it gets.
  expect(await trimWith(store, NOW + 400 * DAY_MS)).toEqual({ checkpoints: 1, cut: 0 });
  expect(await shown(old)).toEqual(['CheckpointTaken']);
  await projected(young);
  await waitFor(async () => (await trimWith(store, NOW + 400 * DAY_MS)).cut === 1, { what: 'the cut of the other' });
  expect(await trimWith(store, NOW + 800 * DAY_MS)).toEqual({ checkpoints: 0, cut: 0 });
});

it('draws together what is long, and again when as much has come since as it repeats', async () => {
  const chatty = await listen(NOW, { episodes: 3, moves: LONG_STREAM_EVENTS });
  expect(await trimWith(store)).toEqual({ checkpoints: 0, cut: 0 });
  const streams = openListenerStreams(store, 10_000_000);
  const metadata = { recordedAt: new Date(NOW).toISOString(), correlationId: 'test' };
  const data = { feed: FEED, item: itemOf(0), position: 0.5, now: NOW + DAY_MS };
  await streams.listening.handle(chatty, { type: 'UpdatePosition', data }, metadata, () => undefined);
  await projected(chatty);
  const before = await plays(chatty);
  expect(await trimWith(store)).toEqual({ checkpoints: 1, cut: 0 });
  await projected(chatty);
  await waitFor(async () => (await trimWith(store)).cut === 1, { what: 'the cut' });
  expect(await shown(chatty)).toEqual(['CheckpointTaken']);
  expect(await plays(chatty)).toEqual(before);
  expect(await trimWith(store)).toEqual({ checkpoints: 0, cut: 0 });
});

it('goes on wherever whoever is at it dies', async () => {
  for (let steps = 1, died = true; died; steps += 1) {
    expect(steps).toBeLessThan(100);
    const userId = await listen(NOW - 46 * DAY_MS, { episodes: 2, moves: 5 });
    const before = await plays(userId);
    const { store: dying, asked } = mortal(store, steps, steps % 2 === 0);
    for (let runs = 0; runs < 3 && asked() < steps; runs += 1) {
      await trimWith(dying).catch((error: unknown) => expect(error).toBeInstanceOf(StoreUnavailable));
      await projected(userId);
    }
    died = asked() >= steps;
    await waitFor(async () => (await trimWith(store), (await shown(userId)).length === 1), { what: 'the cut' });
    expect(await plays(userId)).toEqual(before);
  }
});

it('cuts nothing that a projector has not passed', async () => {
  const userId = await listen(NOW - 46 * DAY_MS, { episodes: 2, moves: 5 });
  const held = site.createQueryRunner();
  await held.startTransaction();
  await held.query(`SELECT FROM site_private.projector_segments FOR UPDATE`);
  expect((await trimWith(store)).checkpoints).toBe(1);
  await projected(userId);
  for (let times = 0; times < 3; times += 1) expect((await trimWith(store)).cut).toBe(0);
  expect((await shown(userId)).length).toBe(6);
  await held.rollbackTransaction();
  await held.release();
  await waitFor(async () => (await trimWith(store)).cut === 1, { what: 'the cut' });
});
