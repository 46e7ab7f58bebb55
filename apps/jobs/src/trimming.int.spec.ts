import { randomUUID } from 'node:crypto';
import { CHECKPOINT, EventStore, StoredEvent, StoreUnavailable, streamOf } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { migrate, openPostgres, runProjector, RunningProjector } from '@balados/platform-stores';
import { createSiteProjector, DEFAULT_SITE_POLICY } from '@balados/site-projections';
import { siteContext } from '@balados/site-schema';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { usersEvents, WHOLE_HISTORY } from '@balados/users-contracts';
import { allPlays } from '@balados/users-domain';
import { usersProjector } from '@balados/users-projections';
import { LONG_STREAM_EVENTS, usersContext } from '@balados/users-schema';
import { openListenerStreams } from '@balados/users-write';
import { DataSource } from 'typeorm';
import { mortal } from './mortal.fixture';
import { SETTINGS } from './settings.fixture';
import { cutStreams, streamsToCut, takeCheckpoints } from './trimming';

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

const projected = (userId: string, category = 'listening'): Promise<unknown> =>
  waitFor(
    async () => {
      const head = await store.head(streamOf(category, userId));
      const [row] = await users.query(
        'SELECT revision::int FROM users.listener_revisions WHERE user_id = $1 AND category = $2',
        [userId, category],
      );
      return row?.revision === head;
    },
    { what: 'the projections' },
  );

async function shown(userId: string, category = 'listening'): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of store.read(streamOf(category, userId))) types.push(type);
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

it('draws together and cuts the others when one stream cannot be read', async () => {
  const [unreadable, ...others] = await Promise.all(
    [0, 1, 2, 3].map(() => listen(NOW - 46 * DAY_MS, { episodes: 1, moves: 2 })),
  );
  expect(await trimWith(store)).toEqual({ checkpoints: 4, cut: 0 });
  for (const userId of [unreadable!, ...others]) await projected(userId);
  await waitFor(
    async () =>
      (await users.query('SELECT FROM users.listener_revisions WHERE oldest_at < $1', [new Date(NOW)])).length === 0,
    { what: 'the projections' },
  );
  const broken = { id: randomUUID(), type: CHECKPOINT, data: {}, metadata: {} };
  await store.append(streamOf('listening', unreadable!), 2, [broken]);
  // One by one, as the projections come by.
  let cut = 0;
  await waitFor(async () => (cut += (await trimWith(store)).cut) === 3, { what: 'the cuts' });
  for (const userId of others) expect(await shown(userId)).toEqual([CHECKPOINT]);
  await users.query('UPDATE users.listener_revisions SET oldest_at = $1', [new Date(0)]);
  expect(await trimWith(store)).toEqual({ checkpoints: 3, cut: 0, failed: 1 });
});

it('looks no more at a stream whose checkpoint an erasure has taken away', async () => {
  const userId = await listen(NOW - 46 * DAY_MS, { episodes: 1, moves: 2 });
  await trimWith(store);
  await projected(userId);
  const metadata = { recordedAt: new Date(NOW).toISOString(), correlationId: 'test' };
  const erase = { type: 'EraseHistory', data: { ...WHOLE_HISTORY, requestedAt: NOW } } as const;
  await openListenerStreams(store, 0).listening.handle(userId, erase, metadata, () => undefined);
  await store.truncateBefore(streamOf('listening', userId), await store.head(streamOf('listening', userId)));
  await projected(userId);
  const waiting = async () =>
    (await users.query('SELECT FROM users.listener_revisions WHERE checkpointed > cut')).length;
  expect(await waiting()).toBe(1);
  await trimWith(store);
  expect(await waiting()).toBe(0);
});

it('drops the content of what ended when its time has come, once, and leaves the idle stream alone', async () => {
  const userId = randomUUID();
  const { subscriptions } = openListenerStreams(store, 1_024);
  for (const [type, days] of [
    ['Subscribe', 100],
    ['Unsubscribe', 40],
  ] as const) {
    const now = NOW - days * DAY_MS;
    const metadata = { recordedAt: new Date(now).toISOString(), correlationId: 'test' };
    const data = { feed: FEED, sourceId: '7', now };
    await subscriptions.handle(userId, { type, data }, metadata, () => undefined);
  }
  const held = async () =>
    openListenerStreams(store, 0).subscriptions.query(userId, ({ state }) => state.feeds.get(FEED));
  const row = async () => (await users.query('SELECT source_id, unsubscribed_at FROM users.subscriptions'))[0];
  const bothAt = async (now: number): Promise<void> => {
    await projected(userId, 'subscriptions');
    expect(await trimWith(store, now)).toEqual({ checkpoints: 1, cut: 0 });
    await projected(userId, 'subscriptions');
    await waitFor(async () => (await trimWith(store, now)).cut === 1, { what: 'the cut' });
    expect(await shown(userId, 'subscriptions')).toEqual(['CheckpointTaken']);
  };
  await bothAt(NOW);
  const unsubscribed = { unsubscribed_at: new Date(NOW - 40 * DAY_MS) };
  expect(await row()).toEqual({ source_id: '7', ...unsubscribed });
  expect(await trimWith(store, NOW + 4 * DAY_MS)).toEqual({ checkpoints: 0, cut: 0 });
  await bothAt(NOW + 6 * DAY_MS);
  expect(await row()).toEqual({ source_id: null, ...unsubscribed });
  expect(await held()).toMatchObject({ sourceId: null, unsubscribedAt: NOW - 40 * DAY_MS });
  expect(await trimWith(store, NOW + 800 * DAY_MS)).toEqual({ checkpoints: 0, cut: 0 });
  expect(await shown(userId, 'subscriptions')).toEqual(['CheckpointTaken']);
});

it('draws a library of 20,000 episodes together in parts, also when it is killed between them', async () => {
  const userId = randomUUID();
  const now = NOW - 46 * DAY_MS;
  const metadata = { recordedAt: new Date(now).toISOString(), correlationId: 'test' };
  // Positions: site has nothing to count of them.
  const events = Array.from({ length: 20_000 }, (_, n) => {
    const item = `${n}-${'x'.repeat(150)},https://media.example/${n}/${'y'.repeat(100)}.mp3`;
    const data = { feed: FEED, item, position: n, played: n % 2 === 0, updatedAt: metadata.recordedAt };
    return usersEvents.encode({ type: 'PositionUpdated', data }, metadata, randomUUID());
  });
  await store.append(streamOf('listening', userId), -1, events);
  await projected(userId);
  const [before, heldBefore] = [await plays(userId), await rows(userId)];
  expect([before.length, JSON.stringify(before).length > 6_000_000]).toEqual([20_000, true]);
  const parts = async (): Promise<number> => (await shown(userId)).filter((type) => type === CHECKPOINT).length;
  for (const steps of [2, 6, 12]) {
    const begun = await parts();
    const { store: dying } = mortal(store, steps, steps % 4 === 0);
    await expect(trimWith(dying)).rejects.toThrow(StoreUnavailable);
    if (steps > 2) expect(await parts()).toBeGreaterThan(begun);
  }
  await waitFor(async () => (await trimWith(store)).checkpoints === 1, { what: 'the checkpoint' });
  await projected(userId);
  await waitFor(async () => (await trimWith(store)).cut === 1, { what: 'the cut' });
  const left: StoredEvent[] = [];
  for await (const event of store.read(streamOf('listening', userId))) left.push(event);
  expect(new Set(left.map(({ type }) => type))).toEqual(new Set([CHECKPOINT]));
  expect(left.length).toBeGreaterThan(15);
  expect(await plays(userId)).toEqual(before);
  expect(await rows(userId)).toEqual(heldBefore);
  // Idle from now on.
  expect(await trimWith(store, NOW + 400 * DAY_MS)).toEqual({ checkpoints: 0, cut: 0 });

  // And projected anew.
  await users.transaction(async (sql) => {
    await sql.query('TRUNCATE users.play_statuses, users.listener_revisions');
    for (const part of left) await usersProjector.project(sql, [part]);
  });
  expect(await rows(userId)).toEqual(heldBefore);
}, 120_000);

it('comes back no more to a stream whose checkpoint went with an erased history', async () => {
  const userId = await listen(NOW - 46 * DAY_MS, { episodes: 2, moves: 6 });
  expect((await trimWith(store)).checkpoints).toBe(1);
  await projected(userId);
  const { listening } = openListenerStreams(store, 1_024);
  const metadata = { recordedAt: new Date(NOW).toISOString(), correlationId: 'test' };
  const command = { type: 'EraseHistory', data: { ...WHOLE_HISTORY, requestedAt: NOW } } as const;
  const marker = await listening.handle(userId, command, metadata, ({ revision }) => revision);
  await store.truncateBefore(streamOf('listening', userId), marker);
  await projected(userId);
  // As when it was cut, and then the tables were made anew: the log says nothing of that.
  expect(await streamsToCut({ users, trimBatch: 10 })).toHaveLength(1);
  expect((await trimWith(store)).cut).toBe(0);
  expect(await streamsToCut({ users, trimBatch: 10 })).toEqual([]);
  expect(await shown(userId)).toEqual(['HistoryErased']);
});
