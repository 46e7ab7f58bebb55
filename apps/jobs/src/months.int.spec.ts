import { CHECKPOINT, Refusal, StoredEvent, streamOf, takeCheckpoint } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { Context, migrate, openPostgres, Projector, Sql } from '@balados/platform-stores';
import { createSiteProjector, drift, movePopularityWindows, storeDefaultPrivacy } from '@balados/site-projections';
import { siteContext } from '@balados/site-schema';
import { createDatabase, TestDatabase } from '@balados/testing';
import { compaction, isWhole, USERS_CATEGORIES, usersEvents } from '@balados/users-contracts';
import { Erasures } from '@balados/users-domain';
import { usersProjector } from '@balados/users-projections';
import { usersContext } from '@balados/users-schema';
import { openListenerStreams } from '@balados/users-write';
import fc from 'fast-check';
import { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { DAY_MS, LISTENERS, Said, seen, someSteps, Step, WithoutJobs } from './months.fixture';
import { SETTINGS } from './settings.fixture';
import { cutStreams, takeCheckpoints } from './trimming';

const LONG = process.env.LONG_TESTS === '1';
const RUNS = LONG ? 500 : 30;
const TIME_LIMIT_MS = LONG ? 3_600_000 : 200_000;

const START = Date.UTC(2026, 2, 1, 20);
const SITE = createSiteProjector({ publicMinListeners: 1 });
const PROJECTORS: readonly Projector[] = [usersProjector, SITE];
/** Contexts take turns on one connection: each looks for its tables in its own schemas, what jobs do in those of site. */
const lookIn = (sql: Sql, { searchPath }: Context): Promise<unknown> =>
  sql.query(`SET LOCAL search_path = ${searchPath!.join(', ')}`);

/** One for what runs with jobs, one for what runs without. */
const databases: TestDatabase[] = [];
const sources: DataSource[] = [];
beforeAll(async () => {
  for (let nth = 0; nth < 2; nth += 1) {
    const database = await createDatabase();
    databases.push(database);
    const users = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 2 });
    const site = await openPostgres(database.url, siteContext, { service: 'test', poolSize: 1 });
    await migrate(users, usersContext);
    await migrate(site, siteContext);
    await site.destroy();
    sources.push(users);
  }
});
afterAll(async () => {
  for (const source of sources) await source.destroy();
  for (const database of databases) await database.drop();
});

/** Everything that is done in it is gone again. */
async function undone<Result>(source: DataSource, work: (sql: EntityManager) => Promise<Result>): Promise<Result> {
  const runner: QueryRunner = source.createQueryRunner();
  await runner.startTransaction();
  try {
    await lookIn(runner.manager, siteContext);
    await storeDefaultPrivacy(runner.manager, 'anonymous');
    for (const { name, schema } of PROJECTORS)
      await runner.query(`INSERT INTO ${schema}.projector_segments (projector, segment, position) VALUES ($1, 0, 0)`, [
        name,
      ]);
    return await work(runner.manager as EntityManager);
  } finally {
    await runner.rollbackTransaction();
    await runner.release();
  }
}

async function project(sql: EntityManager, events: readonly StoredEvent[], batchSize: number): Promise<void> {
  for (const projector of PROJECTORS) {
    await lookIn(sql, projector === SITE ? siteContext : usersContext);
    for (let next = 0; next < events.length; next += batchSize) {
      const batch = events.slice(next, next + batchSize);
      const taken = batch.filter(({ stream }) => projector.prefixes.some((prefix) => stream.startsWith(prefix)));
      await projector.project(sql, taken);
    }
    if (events.length > 0)
      await sql.query(`UPDATE ${projector.schema}.projector_segments SET position = $1`, [
        String(events.at(-1)!.position),
      ]);
  }
}

const TABLES = [
  ...['subscriptions', 'play_statuses', 'saved_episodes', 'shared_episodes', 'playlists', 'playlist_items'].map(
    (table) => `users.${table}`,
  ),
  ...['users.user_privacy', 'site.podcast_popularity', 'site.episode_popularity', 'site.public_events'],
  ...['contributions', 'feeds', 'feed_listeners', 'people', 'privacy_settings', 'popularity_window'].map(
    (table) => `site_private.${table}`,
  ),
];
/** Without the random ids of the timeline, and without `but`. */
async function rowsOf(sql: Sql, tables: readonly string[], ...but: string[]): Promise<Record<string, string[]>> {
  const less = ['id', 'public_id', ...but].map((column) => `- '${column}'`).join(' ');
  const rows: Record<string, string[]> = {};
  for (const table of tables)
    rows[table] = (
      await sql.query<{ row: string }[]>(`SELECT (to_jsonb(t) ${less})::text AS row FROM ${table} t ORDER BY 1`)
    ).map(({ row }) => row);
  return rows;
}

interface Run {
  steps: readonly Step[];
  batchSize: number;
  warm: boolean;
  checkpointAfterDays: number;
  dropAfterDays: number;
}

let checkpoints = 0;
let drops = 0;

async function compare({ steps, batchSize, warm, checkpointAfterDays, dropAfterDays }: Run): Promise<void> {
  const store = new InMemoryEventStore(() => Promise.resolve());
  const streams = openListenerStreams(store, warm ? 1_048_576 : 0);
  // Another copy, which looks now and then, and holds what it saw.
  const bystander = openListenerStreams(store, 10_000_000);
  // Jobs are a process of their own.
  const ofJobs = openListenerStreams(store, 0);
  const reference = new WithoutJobs();
  let now = START;

  async function both(listener: string, { category, type, data }: Said): Promise<void> {
    const heardAt = now - (data.lateHours ?? 0) * 3_600_000;
    const metadata = { recordedAt: new Date(heardAt).toISOString(), correlationId: 'test' };
    const said = { category, type, data: type === 'EraseHistory' ? data : { ...data, now, heardAt } };
    reference.accept(listener, structuredClone(said), metadata);
    await streams[category]
      .handle(listener, said as never, metadata, () => undefined)
      .catch((error: unknown) => {
        if (!(error instanceof Refusal)) throw error;
      });
  }

  await undone(sources[0]!, (withJobs) =>
    undone(sources[1]!, async (without) => {
      const done = { withJobs: 0, without: 0 };
      const catchUp = async (): Promise<void> => {
        await project(withJobs, store.log.slice(done.withJobs), batchSize);
        await project(without, reference.log.slice(done.without), batchSize);
        [done.withJobs, done.without] = [store.log.length, reference.log.length];
      };
      const erased = async (listener: string, category: 'subscriptions' | 'playlists' | 'listening') =>
        streams[category].query(listener, ({ state }): Erasures => state.erasures);

      async function jobs(late: boolean): Promise<void> {
        await catchUp();
        const source = withJobs as unknown as DataSource;
        const ages = { checkpointAfterMs: checkpointAfterDays * DAY_MS, dropAfterMs: dropAfterDays * DAY_MS };
        const parts = { ...SETTINGS, ...ages, streams: ofJobs, users: source, site: source, now: () => now };
        await takeCheckpoints(parts);
        await reference.drop(without, now - ages.dropAfterMs);
        // As erasures are carried on: behind the marker of a part there is a checkpoint, the marker of all is one.
        for (const listener of LISTENERS)
          for (const category of ['subscriptions', 'playlists', 'listening'] as const) {
            const stream = streamOf(category, listener);
            const { all, parts: some } = await erased(listener, category);
            if (all) await store.truncateBefore(stream, all.revision);
            const metadata = { recordedAt: new Date(now).toISOString(), correlationId: 'test' };
            if (some.size > 0)
              await takeCheckpoint(store, stream, { codec: usersEvents, compaction: compaction(), metadata });
          }
        if (late) return;
        await catchUp();
        await cutStreams(parts);
        for (const sql of [withJobs, without]) await movePopularityWindows(sql, { now, windowMs: 7 * DAY_MS });
      }

      for (const { listener, later, does } of steps) {
        now += later + 1;
        if ('jobs' in does) await jobs(does.late);
        else if ('category' in does) await both(listener, does);
        else if ('erases' in does) {
          for (const category of ['subscriptions', 'playlists', 'listening'] as const)
            await both(listener, { category, type: 'EraseHistory', data: { ...does.erases, requestedAt: now } });
          if (isWhole(does.erases)) await catchUp();
        } else if ('tablet' in does) {
          if (does.tablet === 'holds') {
            reference.hold(listener);
            for (const category of USERS_CATEGORIES) await bystander[category].query(listener, () => undefined);
          } else for (const said of reference.told(listener, now, does.tablet)) await both(listener, said);
        } else {
          const { playlistId } = does;
          const ids = [
            ...(reference.state('playlists', listener).playlists.get(playlistId)?.items.keys() ?? []),
          ].sort();
          if ('reverses' in does)
            await both(listener, { category: 'playlists', type: 'ReorderPlaylist', data: { playlistId, items: ids } });
          else if (ids[does.removes] !== undefined) {
            const data = { playlistId, itemId: ids[does.removes] };
            await both(listener, { category: 'playlists', type: 'RemovePlaylistItem', data });
          }
        }
      }
      await jobs(false);

      // What deciders know, whoever reads it from what is left, and whoever has followed it.
      for (const listener of LISTENERS)
        for (const category of USERS_CATEGORIES) {
          const expected = seen(reference.state(category, listener));
          for (const reader of [openListenerStreams(store, 0), streams, bystander])
            expect(seen(await reader[category].query(listener, ({ state }) => state as unknown))).toEqual(expected);
        }
      // What is read, and counted.
      const rows = await rowsOf(withJobs, TABLES, 'revision', 'order_revision');
      expect(rows).toEqual(await rowsOf(without, TABLES, 'revision', 'order_revision'));
      expect(await drift(withJobs, { publicMinListeners: 1 })).toBe(0);

      // And made anew of what is left.
      const standing = await rowsOf(withJobs, TABLES);
      const revisions = 'SELECT user_id, category, revision FROM users.listener_revisions ORDER BY 1, 2';
      const known = await withJobs.query(revisions);
      await without.query(`TRUNCATE ${TABLES.filter((table) => !table.endsWith('_window')).join(', ')},
        users.listener_revisions, site_private.listener_revisions; UPDATE site_private.popularity_window SET starts_at = '-infinity'`);
      const left: StoredEvent[] = [];
      for (const stream of new Set(store.log.map((event) => event.stream)))
        for await (const event of store.read(stream)) left.push(event);
      left.sort((one, other) => Number(one.position - other.position));
      await project(without, left, batchSize);
      await movePopularityWindows(without, { now, windowMs: 7 * DAY_MS });
      expect(await rowsOf(without, TABLES)).toEqual(standing);
      expect(await without.query(revisions)).toEqual(known);

      checkpoints += store.log.filter(({ type }) => type === CHECKPOINT).length;
      drops += store.log.filter(({ type }) => type === 'ContentDropped').length;
    }),
  );
}

it(
  'with jobs and without, and made anew of what jobs leave of it, a history of months says the same, less what they drop',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc
          .record({
            steps: someSteps,
            batchSize: fc.integer({ min: 1, max: 20 }),
            warm: fc.boolean(),
            checkpointAfterDays: fc.constantFrom(4, 10, 45),
            more: fc.constantFrom(0, 0, 10),
          })
          .map(({ more, ...run }): Run => ({ ...run, dropAfterDays: run.checkpointAfterDays + more })),
        compare,
      ),
      { numRuns: RUNS, interruptAfterTimeLimit: 0.75 * TIME_LIMIT_MS, markInterruptAsFailure: true },
    );
    expect(checkpoints).toBeGreaterThan(2 * RUNS);
    expect(drops).toBeGreaterThan(RUNS / 4);
  },
  TIME_LIMIT_MS,
);
