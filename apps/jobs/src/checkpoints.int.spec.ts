import { CHECKPOINT, findCheckpoint, Refusal, StoredEvent, streamOf, takeCheckpoint } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { migrate, openPostgres, Projector, Sql } from '@balados/platform-stores';
import { createSiteProjector, storeDefaultPrivacy } from '@balados/site-projections';
import { siteContext } from '@balados/site-schema';
import { createDatabase, TestDatabase } from '@balados/testing';
import { compaction, partOf, PRIVACIES, USERS_CATEGORIES, usersEvents, WHOLE_HISTORY } from '@balados/users-contracts';
import { usersProjector } from '@balados/users-projections';
import { usersContext } from '@balados/users-schema';
import { ListenerStreams, openListenerStreams } from '@balados/users-write';
import fc from 'fast-check';
import { DataSource } from 'typeorm';

const LONG = process.env.LONG_TESTS === '1';
const RUNS = LONG ? 2_000 : 100;
const TIME_LIMIT_MS = LONG ? 1_800_000 : 120_000;

const LISTENERS = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'];
const PLAYLISTS = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'];
const START = Date.UTC(2026, 2, 1, 20);
const HOUR_MS = 3_600_000;

let database: TestDatabase;
let sql: DataSource;
beforeAll(async () => {
  database = await createDatabase();
  sql = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 2 });
  const site = await openPostgres(database.url, siteContext, { service: 'test', poolSize: 1 });
  await migrate(sql, usersContext);
  await migrate(site, siteContext);
  await site.destroy();
});
afterAll(async () => {
  await sql?.destroy();
  await database?.drop();
});

const feed = fc.constantFrom('https://feeds.example/a', 'https://feeds.example/b');
const item = fc.constantFrom('g,https://m.example/1', 'g,https://n.example/1', ',https://m.example/2');
const playlistId = fc.constantFrom(...PLAYLISTS);
const position = fc.constantFrom(0, 1.5);
type Streams = Omit<ListenerStreams, 'store' | 'cache'>;
type Said = { [Category in keyof Streams]: [Category, object] }[keyof Streams];
const said = <Category extends keyof Streams>(
  category: Category,
  type: string,
  data: Record<string, fc.Arbitrary<unknown>>,
) => fc.record(data).map((drawn): Said => [category, { type, data: drawn }] as Said);
const nothing = fc.constant(null);
const command = fc.oneof(
  said('subscriptions', 'Subscribe', { feed, sourceId: nothing }),
  said('subscriptions', 'Unsubscribe', { feed }),
  said('listening', 'RecordPlay', { feed, item, position, played: fc.boolean() }),
  said('listening', 'RecordListen', { feed, item, lateHours: fc.constantFrom(0, 5, 30) }),
  said('listening', 'UpdatePosition', { feed, item, position }),
  said('listening', 'SaveEpisode', { feed, item }),
  said('listening', 'UnsaveEpisode', { feed, item }),
  said('listening', 'ShareEpisode', { feed, item }),
  said('playlists', 'CreatePlaylist', { playlistId, name: fc.constantFrom('x', 'y'), description: nothing }),
  said('playlists', 'ChangePlaylist', { playlistId, name: fc.constantFrom('x', 'z') }),
  said('playlists', 'DeletePlaylist', { playlistId }),
  said('playlists', 'AddPlaylistItem', { playlistId, feed, item, itemTitle: nothing, feedTitle: nothing }),
  said('privacy', 'ChangePrivacy', { feed: fc.option(feed), item: nothing, privacy: fc.constantFrom(...PRIVACIES) }),
  said('privacy', 'ResetPrivacy', { feed: fc.option(feed), item: nothing }),
);
const step = fc.record({
  listener: fc.constantFrom(...LISTENERS),
  hoursLater: fc.constantFrom(0, 1, 9),
  does: fc.oneof(
    { weight: 12, arbitrary: command },
    { weight: 1, arbitrary: fc.constant('checkpoint' as const) },
    {
      weight: 1,
      arbitrary: fc.oneof(
        fc.constant({ erases: WHOLE_HISTORY }),
        fc.tuple(feed, fc.option(item)).map(([of, one]) => ({ erases: partOf(of, one) })),
      ),
    },
  ),
});

/** What the listeners' streams hold after all that, whatever was refused. */
async function logOf(steps: readonly (typeof step extends fc.Arbitrary<infer Step> ? Step : never)[]) {
  const store = new InMemoryEventStore(() => Promise.resolve());
  const streams = openListenerStreams(store, 1_048_576);
  let now = START;
  for (const { listener, hoursLater, does } of steps) {
    now += hoursLater * HOUR_MS + 1;
    const metadataAt = (time: number) => ({ recordedAt: new Date(time).toISOString(), correlationId: 'test' });
    const metadata = metadataAt(now);
    const run = async ([category, { type, data }]: [keyof Streams, { type: string; data: { lateHours?: number } }]) => {
      const heardAt = now - (data.lateHours ?? 0) * HOUR_MS;
      return streams[category]
        .handle(listener, { type, data: { ...data, now, heardAt } } as never, metadataAt(heardAt), () => undefined)
        .catch((error: unknown) => {
          if (!(error instanceof Refusal)) throw error;
        });
    };
    if (does === 'checkpoint') {
      for (const category of USERS_CATEGORIES)
        await takeCheckpoint(store, streamOf(category, listener), {
          codec: usersEvents,
          compaction: compaction(),
          metadata,
        });
    } else if ('erases' in does) {
      for (const category of ['subscriptions', 'playlists', 'listening'] as const)
        await run([category, { type: 'EraseHistory', data: { ...does.erases, requestedAt: now } as object }]);
    } else await run(does as never);
  }
  const starts = new Map<string, number>();
  for (const listener of LISTENERS)
    for (const category of USERS_CATEGORIES) {
      const stream = streamOf(category, listener);
      starts.set(stream, (await findCheckpoint(store, stream))?.first ?? 0);
    }
  return { whole: store.log, cut: store.log.filter(({ stream, revision }) => revision >= starts.get(stream)!) };
}

/** Of each where its tables are. */
const PROJECTORS: readonly [Projector, path: string][] = [
  [createSiteProjector({ publicMinListeners: 1 }), 'site_private, site'],
  [usersProjector, 'users'],
];

/** Every row that the projectors make of these events, without the random ids of the timeline. */
async function rowsAfter(events: readonly StoredEvent[], batchSize: number): Promise<Record<string, string[]>> {
  const runner = sql.createQueryRunner();
  await runner.startTransaction();
  try {
    await runner.query('SET LOCAL search_path = site_private');
    await storeDefaultPrivacy(runner.manager, 'anonymous');
    for (const [projector, path] of PROJECTORS) {
      await runner.query(`SET LOCAL search_path = ${path}`);
      for (let next = 0; next < events.length; next += batchSize) {
        const batch = events.slice(next, next + batchSize);
        const taken = batch.filter(({ stream }) => projector.prefixes.some((prefix) => stream.startsWith(prefix)));
        await projector.project(runner.manager, taken);
      }
    }
    return await rowsOf(runner.manager);
  } finally {
    await runner.rollbackTransaction();
    await runner.release();
  }
}

const TABLES = [
  ...['subscriptions', 'play_statuses', 'saved_episodes', 'shared_episodes', 'playlists', 'playlist_items'],
  ...['user_privacy', 'listener_revisions'],
].map((table) => `users.${table}`);
const SITE_TABLES = [
  ...['site.podcast_popularity', 'site.episode_popularity', 'site.public_events', 'site_private.contributions'],
  ...['site_private.feeds', 'site_private.feed_listeners', 'site_private.people', 'site_private.privacy_settings'],
];
async function rowsOf(transaction: Sql): Promise<Record<string, string[]>> {
  const rows: Record<string, string[]> = {};
  for (const table of [...TABLES, ...SITE_TABLES]) {
    const found = await transaction.query<{ row: string }[]>(
      `SELECT (to_jsonb(t) - 'id' - 'public_id')::text AS row FROM ${table} t ORDER BY 1`,
    );
    rows[table] = found.map(({ row }) => row);
  }
  return rows;
}

it(
  'every row is the same, made of the whole log or of one that was cut before its checkpoints',
  async () => {
    let checkpoints = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }),
        fc.integer({ min: 1, max: 20 }),
        async (steps, batchSize) => {
          const { whole, cut } = await logOf(steps);
          checkpoints += whole.filter(({ type }) => type === CHECKPOINT).length;
          expect(await rowsAfter(cut, batchSize)).toEqual(await rowsAfter(whole, batchSize));
        },
      ),
      { numRuns: RUNS, interruptAfterTimeLimit: 0.75 * TIME_LIMIT_MS, markInterruptAsFailure: true },
    );
    expect(checkpoints).toBeGreaterThan(RUNS);
  },
  TIME_LIMIT_MS,
);
