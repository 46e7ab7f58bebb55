import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { createSecretKey, randomUUID } from 'node:crypto';
import { NO_EVENTS, streamOf } from '@balados/event-sourcing';
import { distinctEpisodes, itemOf, openFeed } from '@balados/feeds-content';
import { Origin, startOrigin } from '@balados/feeds-fetch/testing';
import { isSigned, readPlayLink } from '@balados/feeds-ids';
import { openEventStore } from '@balados/platform-stores';
import { waitFor } from '@balados/testing';
import { usersEvents } from '@balados/users-contracts';
import { base64, base64Url, Device, login, newListener, register, request } from './support/client';
import { withSql } from './support/comparison';
import { nextcloudApp } from './support/nextcloud-app';
import { KINDS, LINK_KEY, startSystem, System } from './support/system';

/** Feeds to serve, by the path at which the origin has them: REAL_FEEDS when there are some, and those of the demo. */
function feedsOf(folder: string): Map<string, Buffer> {
  const names = readdirSync(folder).filter((name) => name.endsWith('.xml'));
  return new Map(names.map((name) => [`/${name}`, readFileSync(join(folder, name))]));
}
const FEEDS = new Map([
  ...feedsOf(resolve('tools/demo/feeds')),
  ...(process.env['REAL_FEEDS'] ? feedsOf(resolve(process.env['REAL_FEEDS'])) : []),
]);

const feedOf = (title: string, more = '') =>
  Buffer.from(
    `<rss xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel><title>${title}</title>
     <itunes:author>Somebody</itunes:author><itunes:image href="https://media.example/cover.jpg"/>${more}</channel></rss>`,
  );
/** Of which listeners make the origin's podcasts known. */
const HEARD = new Map([
  ['/titled.xml', feedOf('Titled &amp; heard')],
  ['/new-home.xml', feedOf('At home')],
  ['/blocked.xml', feedOf('Not for lists', '<itunes:block>yes</itunes:block>')],
]);

describe.each(KINDS)('feeds, through the front door of %s', (kind) => {
  let system: System;
  let origin: Origin;
  let isDown = false;
  beforeAll(async () => {
    origin = await startOrigin(({ url, headers }, response) => {
      const bytes = FEEDS.get(url!.split('?')[0]!) ?? HEARD.get(url!);
      if (url === '/old-home.xml') return response.writeHead(301, { location: '/new-home.xml' }).end();
      if (isDown || !bytes) return response.writeHead(isDown ? 500 : 404).end();
      const isCompressed = String(headers['accept-encoding']).includes('gzip');
      return response
        .writeHead(200, isCompressed ? { 'content-encoding': 'gzip' } : {})
        .end(isCompressed ? gzipSync(bytes, { level: 1 }) : bytes);
    });
    system = await startSystem(kind, {
      FEEDS_ALLOW_PRIVATE: `127.0.0.1:${origin.port}`,
      PUBLIC_MIN_LISTENERS: '1',
    });
  }, 120_000);
  afterAll(async () => {
    await system?.stop();
    await origin?.close();
  }, 120_000);

  const url = (path: string): string => `http://127.0.0.1:${origin.port}${path}`;
  const proxied = (...parts: string[]): string => `${system.feeds}/api/v1/rss/proxy/${parts.map(base64Url).join('/')}`;

  it('are proxied whole, and held', async () => {
    for (const [path, bytes] of FEEDS) {
      const { status, headers, body } = await request(proxied(url(path)));
      expect([path, status, headers.get('content-type')]).toEqual([path, 200, 'application/xml; charset=utf-8']);
      expect(body).toBe(openFeed(bytes).text);
      expect(headers.get('access-control-allow-origin')).toBe('*');
      const again = await request(proxied(url(path)), { headers: { 'if-none-match': headers.get('etag')! } });
      expect([path, again.status]).toEqual([path, 304]);
    }
    expect(origin.requests).toHaveLength(FEEDS.size);
    isDown = true;
    const [path] = [...FEEDS.keys()];
    expect((await request(proxied(url(path!)))).status).toBe(200);
    isDown = false;
  });

  it('are given by one item, in either alphabet of base64', async () => {
    for (const [path, bytes] of FEEDS) {
      const { items } = openFeed(bytes);
      const item = items.at(-1)!;
      const alone = await request(proxied(url(path), itemOf(item)));
      expect([path, alone.status]).toEqual([path, 200]);
      expect(openFeed(Buffer.from(alone.body)).items.map(itemOf)).toEqual([itemOf(item)]);
      const inStandard = [url(path), itemOf(item)].map((part) => encodeURIComponent(base64(part))).join('/');
      expect((await request(`${system.feeds}/api/v1/rss/proxy/${inStandard}`)).body).toBe(alone.body);
      const other = `${item.guid},https://media.example/other.mp3`;
      expect(await request(proxied(url(path), other))).toMatchObject({ status: 404, body: { code: 'not_in_feed' } });
    }
  });

  it('are merged into one of a listener, which changes with the subscriptions', async () => {
    const phone = await newListener(system.listeners);
    const { token } = (await phone.send('POST', '/tokens', { name: 'reader' })).body as { token: string };
    const mine = `${system.feeds}/api/v1/rss/user/${token}/subscriptions`;
    expect(openFeed(Buffer.from((await request(mine)).body)).items).toEqual([]);
    const demo = [...feedsOf(resolve('tools/demo/feeds'))];
    for (const [path] of [...demo, ['/none.xml'] as const]) await phone.subscribe(url(path));
    const episodes = demo.flatMap(([path, bytes]) =>
      distinctEpisodes(openFeed(bytes).items).map((item) => ({ feed: url(path), item: itemOf(item), ...item })),
    );
    const merged = await waitFor(
      async () => {
        const { body } = await request(mine);
        const { items } = openFeed(Buffer.from(body));
        return body.includes('<!-- ') && items.length === episodes.length ? items : undefined;
      },
      { what: 'all subscriptions in the feed' },
    );
    const links = merged
      .filter(({ enclosure }) => enclosure !== '')
      .map(({ enclosure }) => readPlayLink(new URL(enclosure).pathname)!);
    expect(links.every((link) => link.token === token && isSigned(link, [createSecretKey(LINK_KEY)]))).toBe(true);
    const played = episodes.filter(({ enclosure }) => enclosure !== '').map(({ feed, item }) => `${feed} ${item}`);
    expect(links.map(({ feed, item }) => `${feed} ${item}`).sort()).toEqual(played.sort());

    const [first] = episodes;
    const playlist = (await phone.send('POST', '/playlists', { name: 'Later' })).body.data as { id: string };
    await phone.send('POST', `/playlists/${playlist.id}/items`, {
      rss_source_feed: base64(first!.feed),
      rss_source_item: base64(first!.item),
    });
    await waitFor(
      async () => {
        const { status, body } = await request(`${system.feeds}/api/v1/rss/user/${token}/playlist/${playlist.id}`);
        return status === 200 && openFeed(Buffer.from(body)).items.length === 1;
      },
      { what: 'the playlist as a feed' },
    );
  });

  it('are refused with what is wrong with them', async () => {
    expect(await request(proxied(url('/none.xml')))).toMatchObject({ status: 502, body: { code: 'feed_not_found' } });
    expect(await request(proxied(`http://localhost:${origin.port}/`))).toMatchObject({ status: 403 });
    expect(await request(proxied('http://169.254.169.254/latest/meta-data/'))).toMatchObject({
      status: 403,
      body: { code: 'feed_address_not_allowed' },
    });
    expect(await request(proxied('file:///etc/passwd'))).toMatchObject({ status: 422 });
  });

  it('give their titles to public lists, and leave these where their publishers want it', async () => {
    const device = await newListener(system.listeners);
    for (const path of HEARD.keys()) expect((await device.subscribe(url(path))).status).toBe(200);
    const shown = (path: string) => request(`${system.public}/api/v1/public/feed/${base64Url(url(path))}/popularity`);
    await waitFor(async () => (await shown('/titled.xml')).body.podcast?.feed_title, {
      what: 'the title',
      timeoutMs: 60_000,
    });
    expect((await shown('/titled.xml')).body.podcast).toMatchObject({
      feed_title: 'Titled & heard',
      feed_author: 'Somebody',
      feed_cover: { src: 'https://media.example/cover.jpg', srcset: null },
    });
    await waitFor(async () => (await shown('/blocked.xml')).status === 404, {
      what: 'the other podcast to be withdrawn',
      timeoutMs: 60_000,
    });
    // It was there, or nothing was withdrawn.
    const [row] = await withSql(system.database, async (client) => {
      const { rows } = await client.query('SELECT blocked, listeners FROM site_private.feeds WHERE feed = $1', [
        url('/blocked.xml'),
      ]);
      return rows;
    });
    expect(row).toEqual({ blocked: true, listeners: 1 });
  }, 90_000);

  it('stay one podcast when they move for good, and each app is told them by the address that it knows', async () => {
    const own = await register(system.listeners);
    const device = await login(system.listeners, own);
    const appNamed = async (name: string) => {
      const { body } = await device.send('POST', '/tokens', { name, kind: 'app' });
      return nextcloudApp(system.listeners, { username: own.username, password: body.token });
    };
    await hasHadFor31Hours(system, device, url('/old-home.xml'));
    const [antennapod, kasts] = [await appNamed('AntennaPod'), await appNamed('Kasts')];
    const [before, after] = [url('/old-home.xml'), url('/new-home.xml')];
    const action = { episode: 'https://media.example/1.mp3', guid: 'one', action: 'PLAY', started: 0, total: 600 };
    await antennapod('subscription_change/create', { add: [before], remove: [] });
    await antennapod('episode_action/create', [
      { ...action, podcast: before, timestamp: '2026-01-01T10:00:00', position: 60 },
    ]);
    const isMoved = () =>
      withSql(system.database, async (client) => {
        const { rows } = await client.query('SELECT 1 FROM users.feed_moves WHERE moved_to = $1', [after]);
        return rows.length > 0;
      });
    await waitFor(isMoved, { what: 'the move to be known', timeoutMs: 60_000 });

    await kasts('subscription_change/create', { add: [after], remove: [] });
    expect(await kasts('subscriptions')).toMatchObject({ add: [after], remove: [] });
    expect(await antennapod('subscriptions')).toMatchObject({ add: [before], remove: [] });
    expect((await device.get('/subscriptions')).body.subscriptions).toMatchObject([
      { rss_source_feed: base64(before) },
    ]);
    expect((await kasts('episode_action')).actions).toMatchObject([{ podcast: after, position: 60 }]);
    await kasts('episode_action/create', [
      { ...action, podcast: after, timestamp: '2026-01-02T10:00:00', position: 90 },
    ]);
    expect((await antennapod('episode_action')).actions).toMatchObject([{ podcast: before, position: 90 }]);
    expect((await device.get('/play')).body.play_statuses).toMatchObject([
      { rss_source_feed: base64(before), position: 90 },
    ]);

    // Who has followed the move says so by its list; that ends nothing.
    await antennapod('subscription_change/create', { add: [after], remove: [before] });
    expect(await antennapod('subscriptions')).toMatchObject({ add: [after], remove: [] });
    expect((await device.get('/subscriptions')).body.subscriptions).toHaveLength(1);
    await kasts('subscription_change/create', { add: [], remove: [after] });
    expect((await device.get('/subscriptions')).body.subscriptions).toEqual([]);
    const since = Math.floor(Date.now() / 1_000) - 30;
    expect(await antennapod(`subscriptions?since=${since}`)).toMatchObject({ add: [], remove: [after] });

    // It is erased under all its names: an app that tells it again brings nothing back.
    expect((await device.send('DELETE', `/history?feed=${base64Url(before)}`)).status).toBe(202);
    const again = { ...action, podcast: after, timestamp: '2026-01-02T10:00:00', position: 90 };
    await kasts('episode_action/create', [again]);
    expect((await device.get('/play')).body.play_statuses).toEqual([]);
  }, 90_000);
});

/** A subscription from before: where a podcast has moved to counts only of what one has had for a while. */
async function hasHadFor31Hours({ eventStore }: System, { userId }: Device, feed: string): Promise<void> {
  const store = openEventStore({ url: eventStore });
  try {
    const recordedAt = new Date(Date.now() - 31 * 3_600_000).toISOString();
    const subscribed = { feed, sourceId: null, subscribedAt: recordedAt, unsubscribedAt: null };
    const event = { type: 'PodcastSubscribed', data: subscribed } as const;
    const encoded = usersEvents.encode(event, { recordedAt, correlationId: 'test' }, randomUUID());
    await store.append(streamOf('subscriptions', userId), NO_EVENTS, [encoded]);
  } finally {
    await store.close();
  }
}
