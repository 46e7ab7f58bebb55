import { randomUUID } from 'node:crypto';
import { CHECKPOINT, EventStore, StoreUnavailable, streamOf, StreamGone } from '@balados/event-sourcing';
import { feedId } from '@balados/feeds-ids';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { migrate, openPostgres, runProjector, RunningProjector } from '@balados/platform-stores';
import { createSiteProjector, DEFAULT_SITE_POLICY } from '@balados/site-projections';
import { siteContext } from '@balados/site-schema';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { PendingErasure, requestErasure } from '@balados/users-accounts';
import { ErasureTarget, partOf, usersEvents, WHOLE_ACCOUNT } from '@balados/users-contracts';
import { allPlays } from '@balados/users-domain';
import { usersProjector } from '@balados/users-projections';
import { usersContext } from '@balados/users-schema';
import { openListenerStreams } from '@balados/users-write';
import { DataSource } from 'typeorm';
import { carryOn } from './erasures';
import { mortal } from './mortal.fixture';

let database: TestDatabase;
let users: DataSource;
let site: DataSource;
let projectors: RunningProjector[];
const store = new InMemoryEventStore();
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

beforeAll(async () => {
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
afterAll(async () => {
  for (const projector of projectors ?? []) await projector.close();
  await users?.destroy();
  await site?.destroy();
  await database?.drop();
});

const FEED = 'https://feeds.example/a.xml';
const OTHER_FEED = 'https://feeds.example/b.xml';
const ITEM = 'guid,https://media.example/1.mp3';

async function newListener(): Promise<string> {
  const userId = randomUUID();
  const streams = openListenerStreams(store, 1_024);
  const now = Date.now() - 1_000;
  const metadata = { recordedAt: new Date(now).toISOString(), correlationId: 'test' };
  const done = () => undefined;
  const subscribe = { type: 'Subscribe', data: { feed: FEED, sourceId: null, now } } as const;
  const play = { type: 'RecordPlay', data: { feed: FEED, item: ITEM, position: 1, played: false, now } } as const;
  const privacy = { type: 'ChangePrivacy', data: { feed: null, item: null, privacy: 'public', now } } as const;
  await streams.subscriptions.handle(userId, subscribe, metadata, done);
  await streams.listening.handle(userId, play, metadata, done);
  await streams.privacy.handle(userId, privacy, metadata, done);
  return userId;
}

const request = async (userId: string, target: ErasureTarget): Promise<PendingErasure> => ({
  ...(await requestErasure(users, userId, target)),
  userId,
});

const carryOnWith = (own: EventStore, erasure: PendingErasure) =>
  carryOn(erasure, { streams: openListenerStreams(own, 1_048_576), users, site });

/** Carries it on with a store that may die, until it does or all is done. */
const untilDead = (dying: EventStore, erasure: PendingErasure): Promise<unknown> =>
  waitFor(
    () =>
      carryOnWith(dying, erasure).catch((error: unknown) => {
        expect(error).toBeInstanceOf(StoreUnavailable);
        return true;
      }),
    { what: 'the end of the first who tries' },
  );

const untilDone = (erasure: PendingErasure): Promise<unknown> =>
  waitFor(() => carryOnWith(store, erasure), { what: 'the erasure' });

/** What the stream of a listener shows, without checkpoints and markers. */
async function shownIn(category: string, userId: string): Promise<string[]> {
  const shown: string[] = [];
  for await (const stored of store.read(streamOf(category, userId)))
    for (const { type, data } of usersEvents.decode(stored)) if ('feed' in data) shown.push(`${type} ${data.feed}`);
  return shown;
}

async function rowsOf(userId: string): Promise<number> {
  const tables = [
    ...['subscriptions', 'play_statuses', 'user_privacy', 'listener_revisions', 'erasures'].map((name) => [
      `users.${name}`,
      'user_id',
    ]),
    ['site_private.contributions', 'listener'],
    ['site_private.privacy_settings', 'listener'],
    ['site_private.listener_revisions', 'user_id'],
  ];
  const counts = tables.map(([table, column]) => `SELECT count(*)::int AS rows FROM ${table} WHERE ${column} = $1`);
  const [{ rows }] = await site.query(`SELECT sum(rows)::int AS rows FROM (${counts.join(' UNION ALL ')}) c`, [userId]);
  return rows;
}

/** The podcasts of which a listener has rows. */
async function podcastsOf(userId: string): Promise<string[]> {
  const rows = await site.query<{ row: string }[]>(
    `SELECT 'contributions ' || feed_id AS row FROM site_private.contributions WHERE listener = $1
     UNION ALL SELECT 'plays ' || feed_id FROM users.play_statuses WHERE user_id = $1
     UNION ALL SELECT 'subscriptions ' || feed_id FROM users.subscriptions WHERE user_id = $1 ORDER BY 1`,
    [userId],
  );
  return rows.map(({ row }) => row);
}

/** More things than an erasure asks of the store, unless it never ends. */
const STEPS_MAX = 200;

it('erases an account wherever whoever is at it dies', async () => {
  let steps = 0;
  for (let died = true; died && steps < STEPS_MAX;) {
    steps += 1;
    for (const isDone of [false, true]) {
      const userId = await newListener();
      const erasure = await request(userId, WHOLE_ACCOUNT);
      const { store: dying, asked } = mortal(store, steps, isDone);
      await untilDead(dying, erasure);
      died = asked() >= steps;
      if (died) await untilDone(erasure);
      expect(await rowsOf(userId)).toBe(0);
      for (const category of ['subscriptions', 'listening', 'playlists', 'privacy'])
        await expect(store.head(streamOf(category, userId))).rejects.toThrow(StreamGone);
    }
  }
  expect(steps).toBeGreaterThan(10);
  expect(steps).toBeLessThan(STEPS_MAX);
});

it('erases what was appended late, and refuses what comes later', async () => {
  const userId = await newListener();
  const erasure = await request(userId, WHOLE_ACCOUNT);
  const streams = openListenerStreams(store, 1_048_576);
  const late = () =>
    streams.listening.handle(
      userId,
      { type: 'SaveEpisode', data: { feed: FEED, item: ITEM, now: Date.now() } },
      { recordedAt: new Date().toISOString(), correlationId: 'late' },
      () => undefined,
    );
  await carryOn(erasure, { streams, users, site });
  await late();
  await untilDone(erasure);
  expect(await rowsOf(userId)).toBe(0);
  await expect(late()).rejects.toThrow(StreamGone);
});

it('erases a podcast wherever whoever is at it dies, and nothing else', async () => {
  let steps = 0;
  for (let died = true; died && steps < STEPS_MAX;) {
    steps += 1;
    const userId = await newListener();
    const streams = openListenerStreams(store, 1_048_576);
    const metadata = { recordedAt: new Date().toISOString(), correlationId: 'test' };
    const play = { feed: OTHER_FEED, item: ITEM, position: 7, played: false, now: Date.now() };
    await streams.listening.handle(userId, { type: 'RecordPlay', data: play }, metadata, () => undefined);
    const erasure = await request(userId, partOf(FEED, null));
    const { store: dying, asked } = mortal(store, steps, steps % 2 === 0);
    await untilDead(dying, erasure);
    died = asked() >= steps;
    if (died) await untilDone(erasure);
    expect(await podcastsOf(userId)).toEqual([`contributions ${feedId(OTHER_FEED)}`, `plays ${feedId(OTHER_FEED)}`]);
    expect(await shownIn('subscriptions', userId)).toEqual([]);
    expect(await shownIn('listening', userId)).toEqual([`PlayRecorded ${OTHER_FEED}`]);
    const [held] = await openListenerStreams(store, 1_024).listening.query(userId, ({ state }) => [...allPlays(state)]);
    expect(held).toMatchObject({ feed: OTHER_FEED, position: 7, revision: 1 });
  }
  expect(steps).toBeGreaterThan(10);
  expect(steps).toBeLessThan(STEPS_MAX);
});

it('does not let checkpoints pile up of who erases again before the last erasure is done', async () => {
  const userId = await newListener();
  const stream = streamOf('listening', userId);
  const taken = () => store.log.filter((event) => event.stream === stream && event.type === CHECKPOINT).length;
  for (let times = 1; times <= 4; times += 1) {
    const erasure = await request(userId, partOf(OTHER_FEED, null));
    const isTaken = async () => {
      await carryOnWith(store, erasure);
      return taken() === times;
    };
    await waitFor(isTaken, { what: `checkpoint ${times}` });
  }
  const left: string[] = [];
  for await (const { type } of store.read(stream)) left.push(type);
  expect(left).toEqual([CHECKPOINT, 'HistoryErased', CHECKPOINT]);
  expect(await shownIn('listening', userId)).toEqual([`PlayRecorded ${FEED}`, `PlayRecorded ${FEED}`]);
});

it('does not remove events before every projector has passed the markers', async () => {
  const userId = await newListener();
  const erasure = await request(userId, WHOLE_ACCOUNT);
  const held = users.createQueryRunner();
  await held.startTransaction();
  await held.query(`SELECT FROM users.projector_segments WHERE projector = 'users' FOR UPDATE`);
  for (let times = 0; times < 3; times += 1) expect(await carryOnWith(store, erasure)).toBe(false);
  expect(await store.head(streamOf('listening', userId))).toBe(1);
  await held.rollbackTransaction();
  await held.release();
  await untilDone(erasure);
});
