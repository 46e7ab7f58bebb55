import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { StoredEvent } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { migrate, openPostgres, Projector } from '@balados/platform-stores';
import { comparePopularity, createSiteProjector, storeDefaultPrivacy } from '@balados/site-projections';
import {
  episodePopularity,
  EVENT_TYPES,
  isWithheld,
  podcastPopularity,
  popularPodcasts,
  publicPodcast,
  searchPodcasts,
  timeline,
  trendingEpisodes,
  trendingPodcasts,
} from '@balados/site-read';
import { siteContext } from '@balados/site-schema';
import { createDatabase, explaining, ReadsAll, TestDatabase } from '@balados/testing';
import {
  accountsConfig,
  createAccounts,
  PersonalTokens,
  endedLoginFlows,
  purgeIdempotencyKeys,
  purgeLoginFlows,
  purgeSessions,
} from '@balados/users-accounts';
import { usersEvents } from '@balados/users-contracts';
import { usersProjector } from '@balados/users-projections';
import {
  GetPlaylists,
  GetPlaylistsHandler,
  GetPlays,
  GetPlaysHandler,
  GetPrivacy,
  GetPrivacyHandler,
  GetSavedEpisodes,
  GetSavedEpisodesHandler,
  GetSubscriptions,
  GetSubscriptionsHandler,
} from '@balados/users-read';
import { usersContext } from '@balados/users-schema';
import { openListenerStreams } from '@balados/users-write';
import { DataSource, EntityManager } from 'typeorm';
import { feedUrl, itemOf } from '../bench/events';
import { historyOf } from './history';
import { Town } from './town';

const TOWN: Town = { listeners: 300, subscriptions: 8, plays: 16, feeds: 2_000, now: Date.now() };
/** Towns like that one beside it: enough for Postgres to prefer its indexes by itself. */
const TOWNS = 10;
/** What there is little of in each: so many times as much. */
const MORE_TOWNS = 150;
const OF_LISTENERS = [
  'users.subscriptions',
  'users.play_statuses',
  'users.saved_episodes',
  'users.shared_episodes',
  'users.playlists',
  'users.playlist_items',
  'users.listener_revisions',
  'site_private.listener_revisions',
  'site_private.contributions',
  'site_private.feed_listeners',
  'site_private.people',
];
const OF_PODCASTS = ['site_private.feeds', 'site.podcast_popularity'];
const BATCH = 1_000;
/** One row, as many as there are segments and processes, or as many as are let in. */
const SMALL = [
  'default_privacy',
  'popularity_window',
  'signing_keys',
  'projector_segments',
  'segments_caught_up',
  'projector_members',
  'login_flows',
];

let database: TestDatabase;
let users: DataSource;
let site: DataSource;
const listeners = Array.from({ length: TOWN.listeners }, () => randomUUID());
const [listener, stranger] = [listeners[0]!, randomUUID()];
let position = 0n;

const stored = (userId: string, nth: number): StoredEvent[] =>
  historyOf(TOWN, nth, userId).flatMap(({ stream, events }) =>
    events.map((event, revision) => ({ ...event, stream, revision, position: (position += 1n) })),
  );

const projectors = (): [DataSource, Projector][] => [
  [users, usersProjector],
  [site, createSiteProjector({ publicMinListeners: 2 })],
];
const takenBy = ({ prefixes }: Projector, events: readonly StoredEvent[]): StoredEvent[] =>
  events.filter(({ stream }) => prefixes.some((prefix) => stream.startsWith(prefix)));

/** As the projections run them, each statement looked at. */
async function projectExplained(events: readonly StoredEvent[], pieces: number): Promise<string[]> {
  const statements: string[] = [];
  for (const [dataSource, projector] of projectors()) {
    const taken = takenBy(projector, events);
    for (let start = 0; start < taken.length; start += pieces)
      await dataSource.transaction((manager) =>
        projector.project(
          explaining<EntityManager>(manager, { small: SMALL, seen: (statement) => statements.push(statement) }),
          taken.slice(start, start + pieces),
        ),
      );
  }
  return statements;
}

/** Adds the rows of a table again and again, each time of others: `columns` by what they are then. */
async function multiply(table: string, times: number, columns: Record<string, string>): Promise<void> {
  const [schema, name] = table.split('.');
  const rows = await users.query<{ column: string }[]>(
    `SELECT column_name AS column FROM information_schema.columns
     WHERE table_schema = $1 AND table_name = $2 AND is_generated = 'NEVER'`,
    [schema, name],
  );
  const names = rows.map(({ column }) => column);
  const values = names.map((column) => columns[column] ?? column);
  await users.query(
    `INSERT INTO ${table} (${names.join(', ')}) SELECT ${values.join(', ')} FROM ${table}, generate_series(1, ${times}) AS n`,
  );
}
const other = (column: string): string => `md5(concat(${column}, n))::uuid`;

beforeAll(async () => {
  database = await createDatabase();
  users = await openPostgres(database.url, usersContext, { service: 'test', commitsAwaitDisk: false });
  site = await openPostgres(database.url, siteContext, { service: 'test', commitsAwaitDisk: false });
  await migrate(users, usersContext);
  await migrate(site, siteContext);
  await storeDefaultPrivacy(site.manager, 'anonymous');
  let events: StoredEvent[] = [];
  const project = async (): Promise<void> => {
    for (const [dataSource, projector] of projectors())
      await dataSource.transaction((manager) => projector.project(manager, takenBy(projector, events)));
    events = [];
  };
  for (const [nth, userId] of listeners.entries()) {
    events.push(...stored(userId, nth));
    if (events.length >= BATCH) await project();
  }
  await project();
  const ofListeners = { user_id: other('user_id'), listener: other('listener'), public_id: 'site_private.random_id()' };
  for (const table of OF_LISTENERS) await multiply(table, TOWNS, ofListeners);
  for (const table of OF_PODCASTS) await multiply(table, MORE_TOWNS, { feed_id: other('feed_id') });
  await multiply('site.episode_popularity', TOWNS, { episode_id: other('episode_id'), item_key: other('item_key') });
  await multiply('site.public_events', TOWNS, { id: 'site_private.random_id()' });
  for (const table of ['users.user_privacy', 'site_private.privacy_settings'])
    await multiply(table, MORE_TOWNS, ofListeners);
  await users.query(
    `INSERT INTO users.accounts (user_id, username, username_key, password_hash)
     SELECT id, id, id, 'none' FROM unnest($1::uuid[]) AS id`,
    [listeners],
  );
  await users.query(
    `INSERT INTO users.api_tokens (id, user_id, kind, secret_hash, family_hash, expires_at, revoked_at)
     SELECT gen_random_uuid(), id, kind, sha256(concat(id, kind, n)::bytea), sha256(concat(n, kind, id)::bytea),
       now() + n * interval '1 day', CASE WHEN n = 1 THEN now() END
     FROM unnest($1::uuid[]) AS id, unnest(ARRAY['session', 'personal']) AS kind, generate_series(1, 20) AS n`,
    [listeners],
  );
  await users.query(
    `INSERT INTO users.listener_keys (kid, user_id, name, public_key, thumbprint)
     SELECT gen_random_uuid(), id, 'key', 'none', sha256(concat(id, n)::bytea)
     FROM unnest($1::uuid[]) AS id, generate_series(1, 20) AS n`,
    [listeners],
  );
  await users.query(
    `INSERT INTO users.idempotency_keys (key_hash, user_id, request_hash, salt)
     SELECT sha256(concat(id, n)::bytea), id, 'x', 'x' FROM unnest($1::uuid[]) AS id, generate_series(1, 20) AS n`,
    [listeners],
  );
  await users.query(
    `INSERT INTO users.app_settings (user_id, scope, subject, key, value)
     SELECT id, 'account', '', n, 'true' FROM unnest($1::uuid[]) AS id, generate_series(1, 20) AS n`,
    [listeners],
  );
  await users.query(
    `INSERT INTO users.outside_listeners (issuer, subject, user_id)
     SELECT 'https://issuer.example/', n, gen_random_uuid() FROM generate_series(1, 3000) AS n`,
  );
  await users.query('ANALYZE');
}, 300_000);

afterAll(async () => {
  await users?.destroy();
  await site?.destroy();
  await database?.drop();
});

it('sees a statement that reads a whole table, or a whole index', async () => {
  const sql = explaining(users.manager, { small: SMALL });
  for (const statement of [
    'SELECT * FROM users.play_statuses WHERE feed_id = $1',
    'DELETE FROM users.subscriptions WHERE feed_id = $1',
    `SELECT count(*) FROM site.public_events WHERE feed_id <> $1 AND event_type > ''`,
  ])
    await expect(sql.query(statement, [randomUUID()])).rejects.toThrow(ReadsAll);
  await expect(sql.query('SELECT * FROM users.play_statuses WHERE user_id = $1', [listener])).resolves.toHaveLength(16);
});

it('own reads use their indexes', async () => {
  const streams = openListenerStreams(new InMemoryEventStore(), 1_048_576);
  const statements = new Set<string>();
  const sql = explaining(users.manager, { small: SMALL, seen: (statement) => statements.add(statement) });
  const [page, feed, item] = [{ limit: 50, offset: 5 }, feedUrl(0), itemOf(0, 0)];
  const [subscriptions, plays] = [new GetSubscriptionsHandler(streams, sql), new GetPlaysHandler(streams, sql)];
  const [saved, playlists] = [new GetSavedEpisodesHandler(streams, sql), new GetPlaylistsHandler(streams, sql)];
  const privacy = new GetPrivacyHandler(streams, sql);
  // Of who has done nothing in the store, all is answered from Postgres.
  for (const userId of [listener, stranger]) {
    await subscriptions.execute(new GetSubscriptions(userId));
    for (const ofFeed of [undefined, feed]) {
      await plays.execute(new GetPlays(userId, page, ofFeed));
      await saved.execute(new GetSavedEpisodes(userId, page, ofFeed));
      await privacy.execute(new GetPrivacy(userId, ofFeed, item));
    }
    for (const id of [undefined, randomUUID()]) await playlists.execute(new GetPlaylists(userId, id));
  }
  const { answer } = await plays.execute(new GetPlays(listener, { limit: 50, offset: 0 }));
  expect(answer.total).toBe(TOWN.plays);
  expect(statements.size).toBeGreaterThanOrEqual(8);
});

it('so does the look whether a stream has come into the tables', async () => {
  const store = new InMemoryEventStore();
  const statements: string[] = [];
  const sql = explaining(users.manager, { small: SMALL, seen: (statement) => statements.push(statement) });
  const subscriptions = new GetSubscriptionsHandler(openListenerStreams(store, 1_048_576), sql);
  for (const { stream, events } of historyOf(TOWN, 0, listener).filter(({ stream }) => /^subs/.test(stream)))
    await store.append(stream, -1, events);
  await subscriptions.execute(new GetSubscriptions(listener));
  expect(statements.join('\n')).toContain('users.listener_revisions');
});

it('public reads use their indexes', async () => {
  const statements = new Set<string>();
  const sql = explaining(site.manager, { small: SMALL, seen: (statement) => statements.add(statement) });
  const [feed, item] = [feedUrl(0), itemOf(0, 0)];
  expect(await trendingPodcasts(sql, { limit: 100 })).toHaveLength(100);
  for (const ofFeed of [undefined, feed])
    expect((await trendingEpisodes(sql, { limit: 20, feed: ofFeed })).length).toBe(20);
  expect(await podcastPopularity(sql, feed)).toBeDefined();
  const except = Array.from({ length: 100 }, (_, n) => feedUrl(n));
  for (const without of [undefined, except])
    expect(await popularPodcasts(sql, { limit: 100, except: without })).toHaveLength(100);
  expect((await searchPodcasts(sql, { text: 'https xml' })).length).toBeGreaterThan(0);
  expect(await searchPodcasts(sql, { text: randomUUID() })).toEqual([]);
  expect(await publicPodcast(sql, feed)).toBeDefined();
  for (const ofFeed of [undefined, feed]) expect(await episodePopularity(sql, item, ofFeed)).toBeDefined();
  for (const offset of [0, 1_000])
    for (const ofFeed of [undefined, feed])
      for (const eventType of [undefined, ...EVENT_TYPES]) {
        const { next_cursor: cursor } = await timeline(sql, { limit: 3, offset, eventType, feed: ofFeed });
        if (cursor) await timeline(sql, { limit: 3, offset, eventType, feed: ofFeed, cursor });
      }
  await isWithheld(sql, { maxLagMs: 30_000 });
  // The most heard podcast has many events, and few of them are shares: they are not looked for among the others.
  const taken: string[] = [];
  const looked = explaining(site.manager, { small: SMALL, seen: (_, indexes) => taken.push(...indexes) });
  await timeline(looked, { limit: 100, offset: 0, eventType: 'share', feed });
  expect(taken).toContainEqual(
    expect.stringMatching(/^public_events_\d{4}_\d\d_feed_id_event_type_recorded_at_id_idx$/),
  );
  expect(statements.size).toBeGreaterThanOrEqual(15);
});

it.each([
  ['a moment', 5],
  ['a batch', 100],
])('projectors use their indexes, for %s', async (_what, pieces) => {
  // A listener like the others, and one who takes back and hides what they did.
  const statements = new Set(await projectExplained(stored(randomUUID(), pieces), pieces));
  const owner = listeners[pieces]!;
  const at = new Date().toISOString();
  const revisions = new Map<string, number>();
  const of = (category: string, event: Parameters<typeof usersEvents.encode>[0], userId = owner): StoredEvent => {
    const stream = `${category}-${userId}`;
    const revision = (revisions.get(stream) ?? 1_000_000) + 1;
    revisions.set(stream, revision);
    const encoded = usersEvents.encode(event, { recordedAt: at, correlationId: 'test' }, randomUUID());
    return { ...encoded, stream, revision, position: (position += 1n) };
  };
  const { rows: held } = {
    rows: await users.query('SELECT feed, item FROM users.play_statuses WHERE user_id = $1', [owner]),
  };
  const { feed, item } = held[0] as { feed: string; item: string };
  const change = (privacy: 'public' | 'private', scope: { feed: string | null; item: string | null }) =>
    of('privacy', { type: 'PrivacyChanged', data: { ...scope, privacy, changedAt: at } });
  const reset = (scope: { feed: string | null; item: string | null }) =>
    of('privacy', { type: 'PrivacyReset', data: { ...scope, changedAt: at } });
  const [account, podcast, episode] = [
    { feed: null, item: null },
    { feed, item: null },
    { feed, item },
  ];
  const fresh = `https://feeds.example/${randomUUID()}.xml`;
  const subscription = { feed: fresh, sourceId: null, subscribedAt: at, unsubscribedAt: null };
  for (const events of [
    // Published with its second listener, withdrawn when that one leaves.
    [of('subscriptions', { type: 'PodcastSubscribed', data: subscription })],
    [of('subscriptions', { type: 'PodcastSubscribed', data: subscription }, listener)],
    [of('subscriptions', { type: 'PodcastUnsubscribed', data: { ...subscription, unsubscribedAt: at } }, listener)],
    [of('listening', { type: 'EpisodeSaved', data: { feed, item, savedAt: at } })],
    [change('public', account)],
    [change('public', podcast), change('public', episode)],
    [change('private', episode), change('private', podcast)],
    [reset(episode), reset(podcast)],
    [of('listening', { type: 'EpisodeUnsaved', data: { feed, item, unsavedAt: at } })],
    [
      of('subscriptions', {
        type: 'PodcastUnsubscribed',
        data: { feed, sourceId: null, subscribedAt: null, unsubscribedAt: at },
      }),
    ],
    [change('private', account)],
    [reset(account)],
  ])
    for (const statement of await projectExplained(events, pieces)) statements.add(statement);
  const all = [...statements].join('\n');
  for (const table of ['people', 'feed_listeners', 'feeds', 'privacy_settings', 'listener_revisions', 'contributions'])
    expect(all).toMatch(new RegExp(`(FROM|INTO|UPDATE) ${table} `));
  for (const what of ['DELETE FROM public_events', 'UPDATE podcast_popularity', 'INSERT INTO playlists'])
    expect(all).toContain(what);
});

it('jobs compare podcasts by their indexes', async () => {
  const statements = new Set<string>();
  const options = { small: SMALL, seen: (statement: string) => void statements.add(statement) };
  const database = {
    transaction: (work: (manager: EntityManager) => Promise<unknown>): Promise<unknown> =>
      site.transaction((manager) => work(explaining(manager, options))),
  };
  const few = { feeds: 5, isRepaired: false };
  expect(await comparePopularity(database as never, { publicMinListeners: 2 }, few)).toMatchObject({ podcasts: 5 });
  expect(statements.size).toBe(3);
});

it('accounts, sessions, tokens and keys use their indexes', async () => {
  const statements = new Set<string>();
  const options = { small: SMALL, seen: (statement: string) => void statements.add(statement) };
  const dataSource = explaining(users, options);
  // What is done in a transaction, too.
  const transaction = (work: (manager: EntityManager) => Promise<unknown>): Promise<unknown> =>
    users.transaction((manager) => work(explaining(manager, options)));
  const watched = new Proxy(dataSource, {
    get: (target, name) => (name === 'transaction' ? transaction : Reflect.get(target, name)),
  });
  const config = accountsConfig.parse({});
  const { accounts, sessions, passwordChange, tokens, keys, appSettings, loginFlows } = await createAccounts({
    dataSource: watched,
    config,
  });
  const credentials = { username: `somebody-${randomUUID()}`, password: 'a long sentence of mine' };
  const { userId } = await accounts.create(credentials, randomUUID());
  await accounts.find(userId);
  const login = await sessions.login({ ...credentials, deviceId: null, deviceName: null });
  const refreshed = await sessions.refresh(login.refreshToken);
  await sessions.refresh(login.refreshToken);
  await tokens.list(userId);
  const { id, token } = await tokens.create(userId, 'feeds', randomUUID());
  expect(await new PersonalTokens(dataSource).ownerOf(token)).toBe(userId);
  await tokens.revoke(userId, id);
  const publicKey = generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey;
  const { kid } = await keys.register(userId, {
    name: 'player',
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
  });
  for (const thing of [{ scope: 'account' }, { scope: 'podcast', feed: feedUrl(0) }] as const) {
    await appSettings.change(userId, thing, { set: { a: 1 }, remove: ['b'] });
    expect(await appSettings.read(userId, thing)).toEqual({ a: 1 });
  }
  await keys.byKid(kid);
  await keys.ofListener(userId);
  await keys.list(userId);
  await keys.remove(userId, kid);
  const { jti } = JSON.parse(Buffer.from(refreshed.accessToken.split('.')[1]!, 'base64url').toString()) as {
    jti: string;
  };
  await passwordChange.change(
    { userId, sessionId: jti },
    { password: credentials.password, newPassword: 'another sentence' },
  );
  await sessions.logout({ userId, sessionId: jti });
  const grant = async (): Promise<string> => {
    const { pollToken, pageToken } = (await loginFlows.begin('AntennaPod'))!;
    await loginFlows.find(pageToken);
    await loginFlows.grant(pageToken, { ...credentials, password: 'another sentence' });
    return pollToken;
  };
  expect(await loginFlows.fetch(await grant())).toBeDefined();
  await loginFlows.refuse((await loginFlows.begin('AntennaPod'))!.pageToken);
  await endedLoginFlows(dataSource);
  await purgeLoginFlows(dataSource);
  await purgeSessions(dataSource, new Date());
  await purgeIdempotencyKeys(dataSource, new Date());
  expect(statements.size).toBeGreaterThanOrEqual(28);
});
