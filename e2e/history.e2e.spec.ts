import { waitFor } from '@balados/testing';
import { Client } from 'pg';
import { base64, base64Url, Credentials, Device, login, newListener, register } from './support/client';
import { withSql } from './support/comparison';
import { nextcloudApp } from './support/nextcloud-app';
import { KINDS, startSystem, System } from './support/system';

const SECRET = 'wombat';
const FEED = `https://feeds.example/${SECRET}.xml`;
const LEFT = `https://feeds.example/left-${SECRET}.xml`;
const ITEM = `guid-${SECRET},https://media.example/${SECRET}.mp3`;
const NEW = 'https://feeds.example/new.xml';
const NEW_ITEM = 'guid-new,https://media.example/new.mp3';
const PART_SECRET = 'quokka';
const PART_FEED = `https://feeds.example/${PART_SECRET}.xml`;
const PART_ITEM = `guid-${PART_SECRET},https://media.example/${PART_SECRET}.mp3`;
const KEPT_FEED = 'https://feeds.example/kept.xml';
const KEPT_ITEM = 'guid-kept,https://media.example/kept.mp3';
const ERASED_WITHIN_MS = 150_000;

describe.each(KINDS)('a history that is erased on %s', (kind) => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem(kind, { DEFAULT_PRIVACY: 'public', PUBLIC_MIN_LISTENERS: '1' });
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  it(
    'is gone at once for who asks and in the end for good, all or a part of it, and no old device brings it back',
    async () => {
      await Promise.all([expectAllErased(system), expectPartsErased(system)]);
    },
    ERASED_WITHIN_MS + 60_000,
  );

  it('is erased as it was asked for, or not at all', async () => {
    const phone = await newListener(system.listeners);
    await phone.subscribe(NEW);
    await phone.play(NEW, NEW_ITEM, 5);
    await phone.play(FEED, NEW_ITEM, 5);
    for (const query of ['?fed=x', '?feed=', '?item=', `?feed=${base64('ftp://x')}`, `?feed=${base64(NEW)}&id=1`])
      expect((await phone.send('DELETE', `/history${query}`)).status).toBe(422);
    expect((await phone.send('DELETE', '/history', { feed: base64(NEW) })).status).toBe(422);
    const unknown = base64('guid-unknown,');
    expect(await phone.send('DELETE', `/history?item=${unknown}`)).toMatchObject({
      status: 404,
      body: { code: 'episode_unknown' },
    });
    expect(await phone.send('DELETE', `/history?item=${base64Url(NEW_ITEM)}`)).toMatchObject({
      status: 409,
      body: { code: 'episode_ambiguous', candidates: expect.arrayContaining([base64(NEW), base64(FEED)]) },
    });
    expect((await phone.get('/subscriptions')).body.subscriptions).toHaveLength(1);
    expect((await phone.get('/play')).body.play_statuses).toHaveLength(2);
  });
});

async function expectAllErased(system: System): Promise<void> {
  const credentials = await register(system.listeners);
  const phone = await login(system.listeners, credentials, 'phone');
  const tablet = await login(system.listeners, credentials, 'tablet');
  const other = await newListener(system.listeners);
  await other.subscribe(NEW);
  await listen(phone);
  await isCalled(system, credentials, FEED);
  const settings = (await phone.get('/privacy')).body;
  // An old tablet has seen all that, and holds it as its own.
  const seen = (await tablet.sync({})).body;
  const held = { ...seen.data, since: undefined };
  expect([held.subscriptions.length, held.play_statuses.length, held.playlists.length]).toEqual([2, 1, 1]);

  const answer = await phone.send('DELETE', '/history');
  expect(answer).toMatchObject({ status: 202, body: { status: 'accepted', data: { scope: 'history' } } });
  // What is done from now on stands.
  await phone.subscribe(NEW);
  await phone.play(NEW, NEW_ITEM, 5);
  await expectOnlyNew(phone);
  await expectNothingBack(tablet, held);

  await withSql(system.database, async (client) => {
    await expectNoTrace(client, SECRET);
    const { rows } = await client.query(
      "SELECT user_id, scope, finished_at IS NOT NULL AS finished FROM users.erasures WHERE scope = 'history'",
    );
    expect(rows).toEqual([{ user_id: null, scope: 'history', finished: true }]);
  });
  await expectOnlyNew(phone);
  await expectNothingBack(tablet, held);
  // With the token of before, the tablet is told everything, for nothing is left that could say what went.
  const { body: since } = await tablet.sync({ since: seen.sync_token });
  expect([since.full, since.data.subscriptions.length]).toEqual([true, 1]);
  expect((await tablet.sync({ since: since.sync_token })).body).toMatchObject({
    full: false,
    data: { subscriptions: [], play_statuses: [], playlists: [] },
  });
  expect(JSON.stringify((await phone.get('/account/export')).body)).not.toContain(SECRET);
  expect((await phone.get('/privacy')).body).toEqual(settings);
  expect((await phone.get('/account')).body.account.username).toBe(credentials.username);
  expect((await other.get('/subscriptions')).body.subscriptions).toHaveLength(1);
}

/** A podcast, and an episode of another one, of a listener who keeps the rest. */
async function expectPartsErased(system: System): Promise<void> {
  const credentials = await register(system.listeners);
  const phone = await login(system.listeners, credentials, 'phone');
  const tablet = await login(system.listeners, credentials, 'tablet');
  const episode = [KEPT_FEED, PART_ITEM] as const;
  const { id } = (await phone.send('POST', '/playlists', { name: 'walks' })).body.data;
  for (const feed of [PART_FEED, KEPT_FEED]) await phone.subscribe(feed);
  await isCalled(system, credentials, PART_FEED);
  for (const [feed, item] of [[PART_FEED, KEPT_ITEM], episode, [KEPT_FEED, KEPT_ITEM]] as const) {
    await phone.play(feed, item, 10);
    await phone.save(item, feed);
    await phone.share(item, feed);
    const entry = { rss_source_feed: base64(feed), rss_source_item: base64(item) };
    expect((await phone.send('POST', `/playlists/${id}/items`, entry)).status).toBe(200);
  }
  const seen = (await tablet.sync({})).body;
  const kept = await holdingsOf(phone, id);

  for (const query of [`?feed=${base64Url(PART_FEED)}`, `?item=${base64Url(PART_ITEM)}`])
    expect(await phone.send('DELETE', `/history${query}`)).toMatchObject({
      status: 202,
      body: { data: { scope: query.startsWith('?feed') ? 'podcast' : 'episode' } },
    });
  const isKept = ({
    rss_source_feed: feed,
    rss_source_item: item,
  }: {
    rss_source_feed: string;
    rss_source_item?: string;
  }) => feed === base64(KEPT_FEED) && item !== base64(PART_ITEM);
  const left = Object.fromEntries(Object.entries(kept).map(([name, entries]) => [name, entries.filter(isKept)]));
  expect(Object.values(left).map(({ length }) => length)).toEqual([1, 1, 1, 1]);
  const expectLeft = async () => {
    expect(await holdingsOf(phone, id)).toEqual(left);
    // An old tablet sends all that it holds: what was erased is named, and nothing comes back.
    const { body } = await tablet.sync(seen.data);
    expect(body.rejected.map(({ code }: { code: string }) => code)).toEqual(Array(5).fill('erased'));
    expect(await holdingsOf(phone, id)).toEqual(left);
    expect((await tablet.sync({ since: seen.sync_token })).body.full).toBe(true);
  };
  await expectLeft();
  await withSql(system.database, async (client) => {
    await expectNoTrace(client, PART_SECRET);
    const { rows } = await client.query(
      'SELECT scope, user_id, finished_at IS NOT NULL AS finished FROM users.erasures WHERE feed_id IS NOT NULL ORDER BY scope',
    );
    expect(rows).toEqual(['episode', 'podcast'].map((scope) => ({ scope, user_id: null, finished: true })));
  });
  await expectLeft();
  expect(JSON.stringify((await phone.get('/account/export')).body)).not.toContain(PART_SECRET);
  // What is done from now on stands.
  await phone.subscribe(PART_FEED);
  await phone.play(...episode, 3);
  const anew = await holdingsOf(phone, id);
  expect([anew.subscriptions!.length, anew.plays!.length]).toEqual([2, 2]);
}

async function holdingsOf(phone: Device, playlistId: string): Promise<Record<string, { rss_source_feed: string }[]>> {
  return {
    subscriptions: (await phone.get('/subscriptions')).body.subscriptions,
    plays: (await phone.get('/play')).body.play_statuses,
    saved: (await phone.get('/episodes/saved')).body.episodes,
    items: (await phone.get(`/playlists/${playlistId}`)).body.playlist.items,
  };
}

const expectNoTrace = async (client: Client, secret: string): Promise<void> =>
  waitFor(async () => (await tracesIn(client, secret)).length === 0, {
    what: 'every trace to be gone',
    timeoutMs: ERASED_WITHIN_MS,
  }).then(
    () => undefined,
    async () => expect(await tracesIn(client, secret)).toEqual([]),
  );

async function listen(phone: Device): Promise<void> {
  const answers = [
    await phone.subscribe(FEED),
    await phone.subscribe(LEFT),
    await phone.unsubscribe(LEFT),
    await phone.play(FEED, ITEM, 10),
    await phone.save(ITEM, FEED),
    await phone.share(ITEM, FEED),
    await phone.send('PUT', '/privacy', { privacy: 'public' }),
  ];
  const playlist = await phone.send('POST', '/playlists', { name: `${SECRET} walks` });
  const entry = { rss_source_feed: base64(FEED), rss_source_item: base64(ITEM), item_title: SECRET };
  answers.push(playlist, await phone.send('POST', `/playlists/${playlist.body.data.id}/items`, entry));
  for (const { status } of answers) expect(status).toBe(200);
}

/** An app has a name of its own for the feed. */
async function isCalled({ listeners }: System, credentials: Credentials, feed: string): Promise<void> {
  const app = nextcloudApp(listeners, credentials);
  const written = feed.replace('https', 'HTTPS');
  await app('subscription_change/create', { add: [written], remove: [] });
  expect((await app('subscriptions')).add).toContain(written);
}

async function expectOnlyNew(phone: Device): Promise<void> {
  const { subscriptions } = (await phone.get('/subscriptions')).body;
  expect(subscriptions).toMatchObject([{ rss_source_feed: base64(NEW) }]);
  expect((await phone.get('/play')).body.play_statuses).toMatchObject([{ rss_source_item: base64(NEW_ITEM) }]);
  expect((await phone.get('/playlists')).body).toEqual({ playlists: [] });
  expect((await phone.get('/episodes/saved')).body.episodes).toEqual([]);
}

/** A full sync of all that was: it is answered as ended, or refused, and what was ended already needs no word. */
async function expectNothingBack(tablet: Device, held: { playlists: { id: string }[] }): Promise<void> {
  for (let times = 0; times < 2; times += 1) {
    const { status, body } = await tablet.sync(held);
    expect(status).toBe(200);
    expect(body.rejected).toMatchObject(
      expect.arrayContaining(
        [
          { path: expect.stringMatching(/^subscriptions\[\d\]$/), code: 'erased' },
          { path: 'play_statuses[0]', code: 'erased' },
          { path: 'playlists[0]', code: 'erased' },
        ].map((entry) => expect.objectContaining(entry)),
      ),
    );
    expect(body.rejected).toHaveLength(3);
    const told = body.data.subscriptions.find(
      (one: { rss_source_feed: string }) => one.rss_source_feed === base64(FEED),
    );
    expect(told.unsubscribed_at > told.subscribed_at).toBe(true);
    expect(body.data.subscriptions).toHaveLength(2);
    expect(body.data.playlists).toMatchObject([
      { id: held.playlists[0]!.id, deleted_at: expect.any(String), items: [] },
    ]);
    expect(body.data.play_statuses).toMatchObject([{ rss_source_item: base64(NEW_ITEM) }]);
    // What it was answered it may send back.
    expect((await tablet.sync(body.data)).body).toMatchObject({ rejected: [], data: { playlists: [] } });
    await expectOnlyNew(tablet);
  }
}

/** Tables with a value that shows the secret. */
async function tracesIn(client: Client, secret: string): Promise<string[]> {
  const { rows: columns } = await client.query<{ name: string; column: string; type: string }>(
    `SELECT format('%I.%I', table_schema, table_name) AS name, column_name AS column, data_type AS type
     FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
     WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'`,
  );
  const found: string[] = [];
  for (const { name, column, type } of columns) {
    const value = type === 'bytea' ? `encode("${column}", 'escape')` : `"${column}"::text`;
    const { rows } = await client.query(`SELECT FROM ${name} WHERE ${value} ILIKE $1 LIMIT 1`, [`%${secret}%`]);
    if (rows.length > 0) found.push(`${name}.${column}`);
  }
  return found;
}
