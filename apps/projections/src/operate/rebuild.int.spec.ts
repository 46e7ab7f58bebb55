import { randomUUID } from 'node:crypto';
import { EventStore, StoredEvent, StoreUnavailable, streamOf } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import {
  giveUpRebuild,
  hasPassed,
  interventionsOf,
  migrate,
  MIGRATION_LOCK,
  openPostgres,
  Projector,
  ProjectorStanding,
  rebuild,
  Rebuildable,
  RebuildOptions,
  RebuildProgress,
  Rebuilt,
  runProjector,
  RunningProjector,
  silent,
  skipEvent,
  Sql,
  standingsOf,
} from '@balados/platform-stores';
import {
  applyDefaultPrivacy,
  arrangeTimeline,
  createSiteProjector,
  createSiteRebuildable,
  DEFAULT_SITE_POLICY,
  describeFeed,
  drift,
  forgetEntirely,
  movePopularityWindows,
  storeDefaultPrivacy,
} from '@balados/site-projections';
import { SITE_READER, siteContext, siteReadContext } from '@balados/site-schema';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { finishErasure, requestErasure } from '@balados/users-accounts';
import { ERASED_CATEGORIES, ErasureTarget, partOf, WHOLE_ACCOUNT } from '@balados/users-contracts';
import { forgetReadModels, usersProjector, usersRebuildable } from '@balados/users-projections';
import { usersContext } from '@balados/users-schema';
import { openListenerStreams } from '@balados/users-write';
import { DataSource } from 'typeorm';
import { eraseAgain } from './erase-again';

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
  store = new InMemoryEventStore();
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
  const run = { store: of, owner: randomUUID(), segments: 1, leaseMs: LEASE_MS, log: silent };
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
        `SELECT (SELECT bool_and(coalesce(position >= $1, false)) FROM users.projector_segments WHERE projector = 'users')
           AND (SELECT bool_and(coalesce(position >= $1, false)) FROM site_private.projector_segments WHERE projector = 'site') AS ready`,
        [last],
      );
      return ready;
    },
    { what: 'everything to be applied' },
  );

const both = async () => ({ ...(await contents(users, usersRebuildable)), ...(await contents(site, siteRebuildable)) });

/** What the catalogue says of the tables: columns, indexes, rights. Where no right was ever given or taken, Postgres writes none down. */
const described = (): Promise<object[]> =>
  users.query(
    `SELECT n.nspname, c.relname, c.relkind, c.reloptions,
       CASE WHEN c.relkind IN ('r', 'p', 'v') THEN coalesce(c.relacl, acldefault('r', c.relowner))::text END AS rights, c.relowner::regrole::text,
       ARRAY(SELECT format('%s %s %s', attname, atttypid::regtype, attacl) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attname) AS columns,
       ARRAY(SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = c.oid ORDER BY 1) AS constraints,
       CASE WHEN c.relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) END AS index
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ('users', 'site', 'site_private') OR n.nspname LIKE '%rebuild' ORDER BY 1, 2`,
  );

it('makes the tables of both contexts anew as they were, and those who keep them go on by themselves', async () => {
  runLive();
  for (let n = 0; n < 5; n += 1) await listen();
  await applied();
  const [before, catalogue] = [await both(), await described()];
  expect(before['users.play_statuses']).toHaveLength(15);
  expect(before['site.podcast_popularity']).toHaveLength(3);
  for (const rebuildable of [usersRebuildable, siteRebuildable])
    expect(await rebuildOf(rebuildable)).toMatchObject({ how: 'switched over', events: 30 });
  expect(await both()).toEqual(before);
  expect(await described()).toEqual(catalogue);
  await listen();
  await applied();
  expect((await both())['users.play_statuses']).toHaveLength(18);
  expect(await drift(site, DEFAULT_SITE_POLICY)).toBe(0);
});

it('names every table that projectors write, so that none is left behind', async () => {
  const rows: { name: string }[] = await users.query(
    `SELECT format('%s.%s', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ('users', 'site', 'site_private') AND c.relkind IN ('r', 'p') AND NOT c.relispartition`,
  );
  const ofProjectors = [usersRebuildable, siteRebuildable].flatMap(({ tables, copied }) => [...tables, ...copied]);
  // What is not made of events: whoever adds a table decides.
  const others = [
    'accounts',
    'api_tokens',
    'app_settings',
    'devices',
    'feed_moves',
    'feed_names',
    'erasures',
    'idempotency_keys',
    'listener_keys',
    'login_flows',
    'outside_listeners',
    'signing_keys',
  ];
  const ofBoth = ['migrations', 'projector_interventions', 'projector_members', 'projector_segments'];
  expect(rows.map(({ name }) => name).sort()).toEqual(
    [
      ...ofProjectors,
      ...[...others, ...ofBoth].map((name) => `users.${name}`),
      ...[...ofBoth, 'job_runs', 'segments_caught_up'].map((name) => `site_private.${name}`),
    ].sort(),
  );
});

it('lets others write and read all through it, and nobody ever sees less than before', async () => {
  runLive();
  await listen();
  const reader = new URL(database.url);
  reader.searchParams.set('options', `-c role=${SITE_READER}`);
  const readers = await openPostgres(reader.href, siteReadContext, { service: 'test', poolSize: 4 });
  const over = new AbortController();
  let reads = 0;
  const reading = [
    {
      sql: users,
      query: 'SELECT count(*)::int AS count FROM users.play_statuses JOIN users.subscriptions USING (user_id, feed_id)',
    },
    {
      sql: readers,
      query: 'SELECT count(*)::int AS count FROM site.public_events JOIN site.podcast_popularity USING (feed_id)',
    },
    { sql: readers, query: 'SELECT count(*)::int AS count FROM site.episode_popularity' },
  ].map(async ({ sql, query }) => {
    for (let seen = 0; !over.signal.aborted; reads += 1) {
      const [{ count }] = await sql.query(query);
      expect(count).toBeGreaterThanOrEqual(seen);
      seen = count;
    }
  });
  const writing = (async () => {
    while (!over.signal.aborted) await listen();
  })();
  try {
    for (const rebuildable of [usersRebuildable, siteRebuildable])
      expect((await rebuildOf(rebuildable)).how).toBe('switched over');
  } finally {
    over.abort();
    await Promise.all([...reading, writing]);
    await readers.destroy();
  }
  expect(reads).toBeGreaterThan(20);
  await applied();
  const lived = await both();
  for (const rebuildable of [usersRebuildable, siteRebuildable]) await rebuildOf(rebuildable);
  expect(await both()).toEqual(lived);
  expect(await drift(site, DEFAULT_SITE_POLICY)).toBe(0);
});

it('is shared by those who call it at the same time', async () => {
  for (let n = 0; n < 20; n += 1) await listen();
  const made = await Promise.all([rebuildOf(siteRebuildable), rebuildOf(siteRebuildable), rebuildOf(siteRebuildable)]);
  expect(made.map(({ how }) => how).sort()).toEqual([
    'switched over',
    'switched over by another process',
    'switched over by another process',
  ]);
  expect(made.reduce((sum, { events }) => sum + events, 0)).toBeGreaterThanOrEqual(120);
  const shared = await both();
  await rebuildOf(siteRebuildable);
  expect(await both()).toEqual(shared);
  expect(await drift(site, DEFAULT_SITE_POLICY)).toBe(0);
});

const standing = (sql: DataSource, schema: string): Promise<{ failed_reason: string; failed_event: string }[]> =>
  sql.query(`SELECT failed_event, failed_reason FROM "${schema}".projector_segments WHERE failed_at IS NOT NULL`);

describe('an event that cannot be applied', () => {
  /** Once it was not declared; who lived then stands still at it. */
  const poison = { id: randomUUID(), type: 'SomethingElse', data: {}, metadata: { version: 1 } };
  const stream = `listening-${randomUUID()}`;

  it('holds a rebuild up as well, until it is skipped, and that is remembered', async () => {
    runLive();
    await listen();
    await store.append(stream, -1, [poison]);
    await waitFor(async () => (await standing(users, 'users')).length === 1, { what: 'users to stand still' });
    await expect(rebuildOf(usersRebuildable)).rejects.toThrow(`stands at event ${poison.id}`);
    expect((await standingsOf(users, store, usersProjector)).map(({ projector }) => projector)).toEqual([
      'users',
      'users-rebuild',
    ]);

    const skipped = await skipEvent(users, store, usersProjector, poison.id);
    expect(skipped.map(({ projector, event }) => [projector, event.stream])).toEqual([
      ['users', stream],
      ['users-rebuild', stream],
    ]);
    expect(await skipEvent(users, store, usersProjector, poison.id)).toEqual([]);
    // Site stands still at it on its own account.
    await waitFor(async () => (await standing(site, 'site_private')).length === 1, { what: 'site to stand still' });
    expect(await skipEvent(site, store, siteRebuildable.projector, poison.id)).toHaveLength(1);
    await listen();
    await applied();
    expect((await rebuildOf(usersRebuildable)).how).toBe('switched over');
    expect(await interventionsOf(users, 'users')).toMatchObject([
      { action: 'rebuilt', projector: 'users' },
      { action: 'event skipped', projector: 'users-rebuild', event: poison.id, stream, type: 'SomethingElse' },
      { action: 'event skipped', projector: 'users', event: poison.id, stream, who: expect.stringMatching(/.@./) },
    ]);
    await forgetReadModels(users, stream.replace('listening-', ''));
    expect((await interventionsOf(users, 'users')).map(({ stream: of, reason }) => [of, reason])).toEqual(
      Array.from({ length: 3 }, () => [null, null]),
    );
  });

  it('is behind those who stood still at it when code that can apply it has made the tables anew', async () => {
    const userId = await listen();
    const broken: Projector = {
      ...usersProjector,
      project: (transaction, events) =>
        events.some(({ type }) => type === 'PlayRecorded')
          ? Promise.reject(new Error('a defect'))
          : usersProjector.project(transaction, events),
    };
    const run = { store, owner: 'test', segments: 1, leaseMs: LEASE_MS, log: silent };
    projectors.push(runProjector({ ...run, projector: broken, dataSource: users }));
    await waitFor(async () => (await standing(users, 'users')).length === 1, { what: 'users to stand still' });
    expect((await rebuildOf(usersRebuildable)).how).toBe('switched over');
    expect(await users.query('SELECT FROM users.play_statuses WHERE user_id = $1', [userId])).toHaveLength(3);
    expect(await standing(users, 'users')).toEqual([]);
    const streams = openListenerStreams(store, 1_024);
    const now = Date.now();
    const metadata = { recordedAt: new Date(now).toISOString(), correlationId: 'test' };
    const data = { feed: 'https://feeds.example/new.xml', sourceId: null, now };
    await streams.subscriptions.handle(userId, { type: 'Subscribe', data }, metadata, () => undefined);
    await waitFor(async () => (await users.query('SELECT FROM users.subscriptions')).length === 4, {
      what: 'them to go on',
    });
  });
});

/** A copy of the log up to some event. It has the id of the other one, or its own. */
async function copyOf(events: readonly StoredEvent[], isSameId: boolean): Promise<InMemoryEventStore> {
  const copy = new InMemoryEventStore();
  for (const { stream, revision, ...event } of events)
    await copy.append(stream, revision - 1, [
      { ...event, data: event.data as object, metadata: event.metadata as object },
    ]);
  const id = await store.storeId();
  if (isSameId) copy.storeId = () => Promise.resolve(id);
  return copy;
}

describe.each([
  ['that was restored to an older state', true, /lies beyond the event store's head, .*: rebuild it/],
  ['that is another one', false, /its position is one of event store .*: rebuild it/],
])('a log %s', (_, isSameId, said) => {
  it('is noticed and said by everybody, and mended by making the tables anew', async () => {
    runLive();
    await listen();
    const kept = store.log.length;
    await listen();
    await applied();
    for (const projector of projectors.splice(0)) await projector.close();

    const copy = await copyOf(store.log.slice(0, kept), isSameId);
    runLive(copy);
    await waitFor(async () => (await standing(users, 'users')).length === 1, { what: 'users to stand still' });
    await waitFor(async () => (await standing(site, 'site_private')).length === 1, { what: 'site to stand still' });
    for (const row of [...(await standing(users, 'users')), ...(await standing(site, 'site_private'))])
      expect(row.failed_reason).toMatch(said);
    const [{ segments }] = (await standingsOf(users, copy, usersProjector)) as [ProjectorStanding];
    expect(segments.map(({ lagEvents }) => lagEvents)).toEqual([null]);

    for (const rebuildable of [usersRebuildable, siteRebuildable])
      expect((await rebuildOf(rebuildable, { store: copy })).how).toBe('switched over');
    expect(await users.query('SELECT FROM users.play_statuses')).toHaveLength(3);
    // One listener is too few to be seen.
    expect(await site.query('SELECT FROM site.podcast_popularity')).toEqual([]);
    store = copy;
    await listen();
    await applied();
    expect(await users.query('SELECT FROM users.play_statuses')).toHaveLength(6);
    expect(await site.query('SELECT FROM site.podcast_popularity')).toHaveLength(3);
  });
});

describe('what was erased', () => {
  const again = (rebuildable: Rebuildable, of: EventStore = store): Promise<Rebuilt> =>
    rebuildOf(rebuildable, {
      store: of,
      makeGood: eraseAgain({
        users,
        streams: openListenerStreams(of, 1_024),
        forget:
          rebuildable === usersRebuildable
            ? forgetReadModels
            : (sql, id) => forgetEntirely(sql, id, DEFAULT_SITE_POLICY),
      }),
    });
  const rowsWith = async (text: string): Promise<string[]> =>
    Object.entries(await both()).flatMap(([table, rows]) => (rows.some((row) => row.includes(text)) ? [table] : []));

  async function erase(userId: string, target: ErasureTarget): Promise<void> {
    await requestErasure(users, userId, target);
    const erasure = await waitFor(
      async () => (await users.query(`SELECT id, requested_at FROM users.erasures WHERE user_id = $1`, [userId]))[0],
      { what: 'it' },
    );
    const streams = openListenerStreams(store, 1_024);
    const command = { type: 'EraseHistory', data: { ...target, requestedAt: erasure.requested_at.getTime() } } as const;
    const metadata = { recordedAt: new Date().toISOString(), correlationId: erasure.id };
    for (const category of ERASED_CATEGORIES[target.scope]) {
      const head = await streams[category].handle(userId, command, metadata, ({ revision }) => revision);
      if (target.scope === 'account') await store.tombstone(streamOf(category, userId), head);
    }
    await finishErasure(users, { ...target, id: erasure.id, userId, requestedAt: erasure.requested_at });
  }

  it('does not come back with an older log: it is said again there, and jobs have it to carry out', async () => {
    const [stays, leaves, forgets] = [await listen(), await listen(), await listen()];
    const older = await copyOf(store.log, true);
    await erase(leaves, WHOLE_ACCOUNT);
    await erase(forgets, partOf(FEEDS[0]!, null));
    for (const rebuildable of [usersRebuildable, siteRebuildable]) await again(rebuildable, older);
    expect(
      (await users.query('SELECT user_id FROM users.erasures ORDER BY requested_at')).map(
        ({ user_id }: { user_id: string }) => user_id,
      ),
    ).toEqual([leaves, forgets]);
    // What is left of who left is how far the streams have come, until jobs take it away with them.
    expect((await rowsWith(leaves)).sort()).toEqual([
      'site_private.listener_revisions',
      'site_private.privacy_settings',
      'users.listener_revisions',
    ]);
    const feeds = await users.query('SELECT feed FROM users.subscriptions WHERE user_id = $1 ORDER BY feed', [forgets]);
    expect(feeds.map(({ feed }: { feed: string }) => feed)).toEqual(FEEDS.slice(1));
    expect(await site.query('SELECT FROM site_private.contributions WHERE listener = $1', [forgets])).toHaveLength(4);
    expect(await users.query('SELECT FROM users.subscriptions WHERE user_id = $1', [stays])).toHaveLength(3);
    expect(await drift(site, DEFAULT_SITE_POLICY)).toBe(0);
  });

  it('is opened again before it is said, so that it is carried out whoever dies in between', async () => {
    const leaves = await listen();
    const older = await copyOf(store.log, true);
    await erase(leaves, WHOLE_ACCOUNT);
    const gone = new Error('Postgres is gone');
    const dying: Sql = {
      query: (text, parameters) => (text.startsWith('UPDATE') ? Promise.reject(gone) : users.query(text, parameters)),
    };
    const forget = forgetReadModels;
    const makeGood = eraseAgain({ users: dying, streams: openListenerStreams(older, 1_024), forget });
    await expect(rebuildOf(usersRebuildable, { store: older, makeGood })).rejects.toBe(gone);
    await again(usersRebuildable, older);
    expect(await users.query('SELECT user_id FROM users.erasures')).toEqual([{ user_id: leaves }]);
  });

  it('does not come back when its streams went while the tables were being made', async () => {
    const [stays, leaves] = [await listen(), await listen()];
    await erase(leaves, WHOLE_ACCOUNT);
    // The rebuild has read the beginning, and then a scavenge took the rest away with the marker.
    const cut = await copyOf(
      store.log.filter(({ type }) => type !== 'HistoryErased'),
      true,
    );
    for (const category of ERASED_CATEGORIES.account)
      await cut.tombstone(streamOf(category, leaves), await cut.head(streamOf(category, leaves)));
    for (const rebuildable of [usersRebuildable, siteRebuildable]) await again(rebuildable, cut);
    expect(await rowsWith(leaves)).toEqual([]);
    expect(await rowsWith(stays)).not.toEqual([]);
    expect((await users.query('SELECT finished_at FROM users.erasures'))[0].finished_at).not.toBeNull();
    expect(await drift(site, DEFAULT_SITE_POLICY)).toBe(0);
  });

  it('waits for a rebuild, as for every projector, until it is over or given up', async () => {
    runLive();
    await listen();
    await applied();
    const { position } = store.log.at(-1)!;
    expect(await hasPassed(site, siteRebuildable.projector, position)).toBe(true);
    const stopping = new AbortController();
    stopping.abort();
    expect((await rebuildOf(siteRebuildable, { signal: stopping.signal })).how).toBe('stopped');
    expect(await hasPassed(site, siteRebuildable.projector, position)).toBe(false);
    expect(await giveUpRebuild(site, siteRebuildable)).toBe(true);
    expect(await hasPassed(site, siteRebuildable.projector, position)).toBe(true);
    expect(await giveUpRebuild(site, siteRebuildable)).toBe(false);
    expect(await described()).toEqual(
      expect.not.arrayContaining([expect.objectContaining({ nspname: expect.stringMatching(/rebuild/) })]),
    );
  });
});

it('takes over what jobs have written meanwhile', async () => {
  runLive();
  for (let n = 0; n < 3; n += 1) await listen();
  await applied();
  const feeds: { feed_id: string; feed: string }[] = await site.query(
    'SELECT feed_id, feed FROM site_private.feeds ORDER BY feed',
  );
  const describe = (nth: number, blocked: boolean) =>
    describeFeed(
      site,
      feeds[nth]!.feed_id,
      { title: `Title ${nth}`, author: null, cover: null, blocked },
      { publicMinListeners: 2, dueAt: new Date('2030-01-01T00:00:00.000Z') },
    );
  await describe(0, true);
  // At the last moment before the tables are switched over.
  const makeGood = async (): Promise<void> => {
    await describe(1, true);
    await describe(2, false);
    await movePopularityWindows(site, { now: Date.now() + 3_600_000, windowMs: 0 });
    await applyDefaultPrivacy(site, { defaultPrivacy: 'public', publicMinListeners: 2 });
  };
  expect((await rebuildOf(siteRebuildable, { makeGood })).how).toBe('switched over');
  const podcasts = await site.query('SELECT feed, feed_title, score, score_previous FROM site.podcast_popularity');
  expect(podcasts).toEqual([{ feed: feeds[2]!.feed, feed_title: 'Title 2', score: 45, score_previous: 45 }]);
  expect(await site.query('SELECT FROM site_private.contributions WHERE visibility <> $1', ['public'])).toEqual([]);
  expect(await site.query(`SELECT FROM site_private.feeds WHERE metadata_due_at = '2030-01-01'`)).toHaveLength(3);
  expect(await site.query('SELECT privacy FROM site_private.default_privacy')).toEqual([{ privacy: 'public' }]);
  expect(await drift(site, DEFAULT_SITE_POLICY)).toBe(0);
});

it('goes with the timeline when a month is over meanwhile', async () => {
  runLive();
  for (let n = 0; n < 3; n += 1) await listen();
  await applied();
  const partitions = () =>
    site.query(
      `SELECT c.oid::regclass::text, pg_get_expr(relpartbound, oid) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
       WHERE inhparent = 'site.public_events'::regclass ORDER BY 1`,
    );
  let arranged: unknown;
  const makeGood = async (): Promise<void> => {
    await arrangeTimeline(site, { now: Date.now() + 70 * 86_400_000 });
    arranged = await partitions();
  };
  const before = await partitions();
  expect(await site.query('SELECT FROM site.public_events')).not.toEqual([]);
  expect((await rebuildOf(siteRebuildable, { makeGood })).how).toBe('switched over');
  expect(await partitions()).toEqual(arranged);
  expect(arranged).not.toEqual(before);
  expect(await site.query('SELECT FROM site.public_events')).toEqual([]);
  expect(await drift(site, DEFAULT_SITE_POLICY)).toBe(0);
});

it('goes no further when the tables were changed since it began', async () => {
  await listen();
  const stopping = new AbortController();
  stopping.abort();
  await rebuildOf(usersRebuildable, { signal: stopping.signal });
  await users.query('ALTER TABLE users.subscriptions ADD COLUMN more text');
  await expect(rebuildOf(usersRebuildable)).rejects.toThrow('the tables were changed since the rebuild of users began');
  await giveUpRebuild(users, usersRebuildable);
  // While it runs as well.
  const changed = rebuildOf(usersRebuildable, {
    makeGood: () => users.query('ALTER TABLE users.playlists ADD COLUMN more text'),
  });
  await expect(changed).rejects.toThrow('the tables were changed since the rebuild of users began');
  expect(await users.query('SELECT FROM users.subscriptions')).toEqual([]);
});

it('does not switch over beside a migration, whose change would go with the old tables', async () => {
  await listen();
  const migrating = users.createQueryRunner();
  try {
    await migrating.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK}::bigint)`);
    const rebuilding = rebuildOf(usersRebuildable).catch((error: unknown) => error);
    await waitFor(
      async () =>
        (
          await users.query(
            `SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
             WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted`,
          )
        ).length > 0,
      { what: 'the switch-over to wait' },
    );
    await migrating.query('ALTER TABLE users.subscriptions ADD COLUMN more text');
    await migrating.query(`SELECT pg_advisory_unlock(${MIGRATION_LOCK}::bigint)`);
    expect(await rebuilding).toMatchObject({ message: expect.stringContaining('the tables were changed') });
    expect(await users.query('SELECT more FROM users.subscriptions')).toEqual([]);
  } finally {
    await migrating.release();
  }
});

it('waits for stores that are away for a while', async () => {
  await listen();
  let asked = 0;
  // Asked by who shows how far it is, by who reads the log, and by the switch-over.
  const headPosition = (): Promise<bigint | undefined> =>
    (asked += 1) <= 6 ? Promise.reject(new StoreUnavailable('a restart')) : store.headPosition();
  const away = Object.assign(Object.create(store) as EventStore, { headPosition });
  const troubles: (string | undefined)[] = [];
  const onProgress = ({ trouble }: RebuildProgress): number => troubles.push(trouble);
  expect((await rebuildOf(usersRebuildable, { store: away, onProgress })).how).toBe('switched over');
  expect(troubles).toContainEqual(expect.stringContaining('a restart'));
  // All connections end, as when Postgres restarts.
  let restarts = 0;
  const makeGood = async (): Promise<void> => {
    if ((restarts += 1) > 1) return;
    await users.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    throw Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' });
  };
  expect((await rebuildOf(usersRebuildable, { makeGood })).how).toBe('switched over');
  expect(restarts).toBeGreaterThan(1);
  expect(await users.query('SELECT FROM users.subscriptions')).toHaveLength(3);
});

it.each(['given up', 'given up and begun anew'])('is %s in the middle of its last steps', async (what) => {
  runLive();
  for (let n = 0; n < 3; n += 1) await listen();
  await applied();
  const before = await both();
  for (const rebuildable of [usersRebuildable, siteRebuildable]) {
    const live = rebuildable === usersRebuildable ? users : site;
    let again: Promise<Rebuilt> | undefined;
    const makeGood = async (): Promise<void> => {
      if (again) return;
      await giveUpRebuild(live, rebuildable);
      if (what !== 'given up') again = rebuildOf(rebuildable);
    };
    const first = await rebuildOf(rebuildable, { makeGood }).catch((error: unknown) => error);
    if (what === 'given up') expect(first).toMatchObject({ message: expect.stringContaining('was given up') });
    // Whoever was at the first one has a part in the second, or sees that the tables are gone.
    else expect((await again!).how).toContain('switched over');
    expect(await both()).toEqual(before);
  }
  expect(await described()).toEqual(
    expect.not.arrayContaining([expect.objectContaining({ nspname: expect.stringMatching(/rebuild/) })]),
  );
  expect(await drift(site, DEFAULT_SITE_POLICY)).toBe(0);
});
