import { randomUUID } from 'node:crypto';
import { EventStore } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import {
  migrate,
  openPostgres,
  rebuild,
  Rebuildable,
  RebuildOptions,
  Rebuilt,
  runProjector,
  RunningProjector,
  silent,
} from '@balados/platform-stores';
import {
  createSiteProjector,
  createSiteRebuildable,
  DEFAULT_SITE_POLICY,
  storeDefaultPrivacy,
} from '@balados/site-projections';
import { siteContext } from '@balados/site-schema';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { usersProjector, usersRebuildable } from '@balados/users-projections';
import { usersContext } from '@balados/users-schema';
import { openListenerStreams } from '@balados/users-write';
import { DataSource } from 'typeorm';

const siteRebuildable = createSiteRebuildable(DEFAULT_SITE_POLICY);
const FEEDS = ['a', 'b', 'c'].map((name) => `https://feeds.example/${name}.xml`);
const itemOf = (n: number): string => `guid-${n},https://media.example/${n}.mp3`;
const LEASE_MS = 400;

let database: TestDatabase;
let users: DataSource;
let site: DataSource;
let store: InMemoryEventStore;
let projectors: RunningProjector[];

beforeEach(async () => {
  store = new InMemoryEventStore(() => Promise.resolve());
  database = await createDatabase();
  users = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 4 });
  site = await openPostgres(database.url, siteContext, { service: 'test', poolSize: 4 });
  await migrate(users, usersContext);
  await migrate(site, siteContext);
  await storeDefaultPrivacy(site, 'anonymous');
  projectors = [];
});
afterEach(async () => {
  for (const projector of projectors) await projector.close();
  await users.destroy();
  await site.destroy();
  await database.drop();
});

const runLive = (of: EventStore = store): void => {
  const run = { store: of, owner: randomUUID(), segments: 2, leaseMs: LEASE_MS, log: silent };
  projectors.push(
    runProjector({ ...run, projector: usersProjector, dataSource: users }),
    runProjector({ ...run, projector: createSiteProjector(DEFAULT_SITE_POLICY), dataSource: site }),
  );
};

const rebuildOf = (rebuildable: Rebuildable, options: Partial<RebuildOptions> = {}): Promise<Rebuilt> =>
  rebuild({
    rebuildable,
    store,
    live: rebuildable === usersRebuildable ? users : site,
    url: database.url,
    owner: randomUUID(),
    leaseMs: LEASE_MS,
    lookMs: 50,
    signal: new AbortController().signal,
    ...options,
  });

/** A listener who subscribed to all, and played some. */
async function listen(plays = 3): Promise<string> {
  const userId = randomUUID();
  const streams = openListenerStreams(store, 1_024);
  const now = Date.now() - 1_000;
  const metadata = { recordedAt: new Date(now).toISOString(), correlationId: 'test' };
  const done = () => undefined;
  for (const feed of FEEDS)
    await streams.subscriptions.handle(
      userId,
      { type: 'Subscribe', data: { feed, sourceId: null, now } },
      metadata,
      done,
    );
  for (let n = 0; n < plays; n += 1) {
    const data = { feed: FEEDS[n % 3]!, item: itemOf(n), position: n, played: false, now };
    await streams.listening.handle(userId, { type: 'RecordPlay', data }, metadata, done);
  }
  return userId;
}

/** All rows of all tables that are made, but for the columns that are made up or others', with the newest that applied. */
async function contents(sql: DataSource, { tables }: Rebuildable): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {};
  for (const table of tables) {
    const rows = await sql.query<{ row: string }[]>(
      `SELECT (to_jsonb(t) - '{public_id,id,cut,metadata_due_at}'::text[])::text AS row FROM ${table} t ORDER BY 1`,
    );
    all[table] = rows.map(({ row }) => row);
  }
  return all;
}

const applied = (): Promise<unknown> =>
  waitFor(
    async () => {
      const last = String(store.log.at(-1)!.position);
      const [{ ready }] = await users.query(
        `SELECT (SELECT min(position) FROM users.projector_segments) >= $1
           AND (SELECT min(position) FROM site_private.projector_segments) >= $1 AS ready`,
        [last],
      );
      return ready;
    },
    { what: 'everything to be applied' },
  );

it('makes the tables of both contexts anew as they were', async () => {
  runLive();
  for (let n = 0; n < 5; n += 1) await listen();
  await applied();
  const before = [await contents(users, usersRebuildable), await contents(site, siteRebuildable)];
  expect(before[0]!['users.play_statuses']).toHaveLength(15);
  expect(before[1]!['site.podcast_popularity']).toHaveLength(3);
  for (const rebuildable of [usersRebuildable, siteRebuildable]) console.log(await rebuildOf(rebuildable));
  expect([await contents(users, usersRebuildable), await contents(site, siteRebuildable)]).toEqual(before);
});
