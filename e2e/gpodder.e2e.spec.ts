import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { feedId } from '@balados/feeds-ids';
import { waitFor } from '@balados/testing';
import { base64, Credentials, Device, login, register, request } from './support/client';
import { withSql } from './support/comparison';
import { DebianClient, gpodderOrNone, mygpoclientOrNone } from './support/debian-clients';
import { liveApart } from './support/late-uploads';
import { LONG, newSeed, randomFrom, report } from './support/limits';
import { ServiceProcess } from './support/service-process';
import { waitUntilReady } from './support/services';
import { Kind, startSystem, System } from './support/system';

const FEED = 'https://feeds.example/show.xml';
const OTHER = 'https://feeds.example/other.xml';
const enclosure = (n: number): string => `https://media.example/${n}.mp3`;
const startMygpoclient = mygpoclientOrNone();
const startGpodder = gpodderOrNone();
/** Lives of late uploads. */
const LIVES = LONG ? 80 : 2;

interface AppAnswer {
  status: number;
  headers: Headers;
  text: string;
  // The tests say what they expect of a body by looking at it.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  json: any;
}

/** A request as an app sends it, whatever our own document says. */
async function send(
  url: string,
  { method = 'GET', body, headers = {} }: { method?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<AppAnswer> {
  const answer = await fetch(url, {
    method,
    headers,
    ...(body !== undefined && { body }),
    signal: AbortSignal.timeout(60_000),
  });
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    json: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : undefined,
  };
}

/** The same past fetch, which keeps some headers to itself and paths in order. */
function raw(url: string, body: string | undefined, headers: Record<string, string>): Promise<{ status: number }> {
  const { hostname, port } = new URL(url);
  const path = url.slice(url.indexOf('/', 'http://'.length));
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      { hostname, port, path, method: body === undefined ? 'GET' : 'POST', headers },
      (answer) => {
        answer.resume();
        resolve({ status: answer.statusCode! });
      },
    );
    sent.on('error', reject).end(body);
  });
}

/** An action, as gPodder's apps read it. */
interface Told {
  episode: string;
  timestamp: string;
  position?: number;
}

const basic = ({ username, password }: Credentials): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
});
const JSON_BODY = { 'content-type': 'application/json' };

describe.each<Kind>(['services', 'standalone'])('podcast apps on %s', (kind) => {
  let system: System;
  let base: string;
  beforeAll(async () => {
    system = await startSystem(kind, {}, ['projections', 'command-api', 'public-api']);
    base = system.listeners;
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  /** An account with a password for an app, and a device of our own API. */
  async function listener(): Promise<{ own: Credentials; app: Credentials; device: Device; id: string }> {
    const own = await register(base);
    const device = await login(base, own);
    const { body } = await device.send('POST', '/tokens', { name: 'AntennaPod', kind: 'app' });
    return { own, app: { username: own.username, password: body.token }, device, id: body.id };
  }

  const feedsOf = async (device: Device): Promise<string[]> =>
    ((await device.get('/subscriptions')).body.subscriptions as { rss_source_feed: string }[]).map(
      ({ rss_source_feed }) => Buffer.from(rss_source_feed, 'base64').toString(),
    );
  const placesOf = async (device: Device): Promise<[item: string, position: number, played: boolean][]> =>
    (
      (await device.get('/play')).body.play_statuses as { rss_source_item: string; position: number; played: boolean }[]
    ).map(({ rss_source_item, position, played }) => [
      Buffer.from(rss_source_item, 'base64').toString(),
      position,
      played,
    ]);

  (startMygpoclient ? describe : describe.skip)("Debian's mygpoclient, unmodified", () => {
    const clients: DebianClient[] = [];
    const client = (of: Credentials): DebianClient => {
      const started = startMygpoclient!(base, of, system.public);
      clients.push(started);
      return started;
    };
    afterAll(() => clients.forEach((each) => each.stop()));

    it('has two devices in step: subscriptions and actions both ways, and lists that replace', async () => {
      const { app, device } = await listener();
      const [phone, laptop] = [client(app), client(app)];
      expect(await phone.call('tell_device', 'phone', 'My phone', 'mobile')).toBe(true);
      expect(await laptop.call('tell_device', 'laptop', 'My laptop', 'laptop')).toBe(true);
      const { since } = await laptop.call('changes', 'laptop', 0);
      expect(await phone.call('change', 'phone', [FEED, ' HTTPS://feeds.example/other.xml'], [])).toMatchObject({
        update_urls: [[' HTTPS://feeds.example/other.xml', OTHER]],
      });
      expect(await laptop.call('changes', 'laptop', since)).toMatchObject({ add: [FEED, OTHER], remove: [] });
      await laptop.call('change', 'laptop', [], [FEED]);
      expect(await phone.call('changes', 'phone', since)).toMatchObject({ add: [OTHER], remove: [FEED] });
      expect(await phone.call('devices')).toEqual([
        ['laptop', 'My laptop', 'laptop', 1],
        ['phone', 'My phone', 'mobile', 1],
      ]);

      const action = { podcast: OTHER, episode: enclosure(1), device: 'phone', timestamp: '2026-11-20T10:00:00' };
      const played = { ...action, action: 'play', started: 0, position: 90, total: 1_800 };
      const kept = { ...action, episode: enclosure(2), action: 'download', started: null, position: null, total: null };
      await phone.call('upload', [played, kept]);
      expect((await laptop.call('download', since)).actions).toEqual([played, kept]);
      await laptop.call('upload', [{ ...played, device: 'laptop', timestamp: '2026-11-20T11:00:00', position: 120 }]);
      expect((await phone.call('download', 0)).actions).toEqual([
        kept,
        { ...played, device: 'laptop', timestamp: '2026-11-20T11:00:00', position: 120 },
      ]);
      // What our own API writes is played, too, as this client wants it: with all three places or none.
      await device.play(OTHER, `,${enclosure(3)}`, 45);
      expect((await phone.call('download', 0)).actions).toContainEqual(
        expect.objectContaining({ episode: enclosure(3), action: 'play', position: 45 }),
      );

      expect(await phone.call('replace', 'phone', [FEED, 'https://feeds.example/third.xml'])).toBe(true);
      expect((await laptop.call('list', 'laptop')).sort()).toEqual([FEED, 'https://feeds.example/third.xml']);
      expect((await feedsOf(device)).sort()).toEqual([FEED, 'https://feeds.example/third.xml']);
    });
  });

  (startGpodder ? describe : describe.skip)("Debian's gPodder, unmodified", () => {
    const clients: DebianClient[] = [];
    const homes: string[] = [];
    const gpodder = (of: Credentials, name: string): DebianClient => {
      const home = mkdtempSync(join(tmpdir(), 'balados-gpodder-'));
      homes.push(home);
      const started = startGpodder!(base, of, name, home);
      clients.push(started);
      return started;
    };
    afterAll(() => {
      clients.forEach((each) => each.stop());
      for (const home of homes) rmSync(home, { recursive: true, force: true });
    });

    it('has two devices in step: subscriptions, addresses that are kept otherwise, places both ways, and a list that replaces', async () => {
      const { app, device } = await listener();
      const [desk, lap] = [gpodder(app, 'desk'), gpodder(app, 'lap')];
      await Promise.all([desk.call('sync'), lap.call('sync')]);
      expect((await desk.call('devices')).sort()).toEqual([
        ['desk', 'gPodder on desk', 'desktop'],
        ['lap', 'gPodder on lap', 'desktop'],
      ]);

      const written = 'https://feeds.example:443/other.xml';
      await desk.call('subscribe', [FEED, written]);
      expect(await desk.call('sync')).toEqual({ rewritten: [[written, OTHER]], podcasts: [OTHER, FEED] });
      expect((await lap.call('sync')).podcasts).toEqual([OTHER, FEED]);
      await lap.call('unsubscribe', [FEED]);
      await lap.call('sync');
      expect((await desk.call('sync')).podcasts).toEqual([OTHER]);
      expect(await feedsOf(device)).toEqual([OTHER]);

      for (const each of [desk, lap]) await each.call('know', OTHER, enclosure(1));
      await desk.call('play', OTHER, enclosure(1), 0, 90, 1_800);
      const playedAt = Math.floor(Date.now() / 1_000);
      await desk.call('sync');
      await lap.call('sync');
      expect(await lap.call('stands', OTHER, enclosure(1))).toEqual([90, 1_800, false, false]);
      // It takes a later second for a later word.
      await waitFor(() => Math.floor(Date.now() / 1_000) > playedAt, { what: 'the next second' });
      await lap.call('play', OTHER, enclosure(1), 90, 120, 1_800);
      await lap.call('sync');
      await desk.call('sync');
      expect(await desk.call('stands', OTHER, enclosure(1))).toEqual([120, 1_800, false, false]);
      expect(await placesOf(device)).toEqual([[`,${enclosure(1)}`, 120, false]]);
      await lap.call('delete', OTHER, enclosure(1));
      await lap.call('sync');
      await desk.call('sync');
      expect(await desk.call('stands', OTHER, enclosure(1))).toEqual([120, 1_800, false, true]);

      const third = 'https://feeds.example/third.xml';
      await desk.call('replace', [FEED, third]);
      expect((await lap.call('sync')).podcasts).toEqual([FEED, third]);
      expect((await feedsOf(device)).sort()).toEqual([FEED, third]);
    });
  });

  // Of one process these alone, but in long runs.
  if (kind === 'standalone' && !LONG) return;

  describe('AntennaPod on gPodder', () => {
    it('logs in with an empty body at every sync and sends its cookie from then on, no more name and password', async () => {
      const { app, device } = await listener();
      const api = (path: string) => `${base}/api/2${path}`;
      const user = app.username;
      const login = await send(api(`/auth/${user}/login.json`), { method: 'POST', headers: basic(app) });
      expect(login.status).toBe(200);
      const cookie = /^sessionid=[^;]+/.exec(login.headers.get('set-cookie')!)![0];
      expect(login.headers.get('set-cookie')).toMatch(/; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
      const as = (more = {}) => ({ headers: { cookie, ...more } });

      const told = await send(api(`/devices/${user}/antennapod.json`), {
        method: 'POST',
        body: '{"caption": "AntennaPod on Fairphone", "type": "mobile"}',
        ...as(JSON_BODY),
      });
      expect([told.status, told.text]).toEqual([200, '']);
      expect((await send(api(`/devices/${user}.json`), as())).json).toEqual([
        { id: 'antennapod', caption: 'AntennaPod on Fairphone', type: 'mobile', subscriptions: 0 },
      ]);

      const first = await send(api(`/subscriptions/${user}/antennapod.json?since=0`), as());
      expect(first.json).toEqual({ add: [], remove: [], timestamp: expect.any(Number) });
      expect(first.json.timestamp).toBeLessThan(2 ** 31);
      const changed = await send(api(`/subscriptions/${user}/antennapod.json`), {
        method: 'POST',
        body: JSON.stringify({ add: [FEED], remove: [] }),
        ...as(JSON_BODY),
      });
      expect(changed.json).toEqual({ timestamp: expect.any(Number), update_urls: [] });
      expect(await feedsOf(device)).toEqual([FEED]);

      const action = {
        podcast: FEED,
        episode: enclosure(1),
        guid: 'episode-1',
        device: 'antennapod',
        action: 'play',
        timestamp: '2026-11-20T10:00:00',
        started: 0,
        position: 90,
        total: 1_800,
      };
      const uploaded = await send(api(`/episodes/${user}.json`), {
        method: 'POST',
        body: JSON.stringify([action]),
        ...as(JSON_BODY),
      });
      expect(uploaded.json).toEqual({ timestamp: expect.any(Number), update_urls: [] });
      expect((await send(api(`/episodes/${user}.json?since=0`), as())).json.actions).toEqual([action]);
      expect(await placesOf(device)).toEqual([[`episode-1,${enclosure(1)}`, 90, false]]);

      const out = await send(api(`/auth/${user}/logout.json`), { method: 'POST', ...as() });
      expect([out.status, out.headers.get('set-cookie')]).toEqual([
        200,
        expect.stringMatching(/^sessionid=; .*Max-Age=0/),
      ]);
    });

    it('tells of what was heard before it came here as play(d, d, d): that is played', async () => {
      const { app, device } = await listener();
      const heard = [1, 2].map((n) => ({
        podcast: FEED,
        episode: enclosure(n),
        guid: `episode-${n}`,
        action: 'play',
        timestamp: '2026-11-20T10:00:00Z',
        started: 600,
        position: 600,
        total: 600,
      }));
      await send(`${base}/api/2/episodes/${app.username}.json`, {
        method: 'POST',
        body: JSON.stringify(heard),
        headers: basic(app),
      });
      expect((await placesOf(device)).sort()).toEqual([1, 2].map((n) => [`episode-${n},${enclosure(n)}`, 600, true]));
    });
  });

  it('a challenge comes with every 401, another name in the path is 400, and a wrong password is tried ten times a minute', async () => {
    const { app, own } = await listener();
    const path = `${base}/api/2/devices/${app.username}.json`;
    const anybody = await send(path);
    expect([anybody.status, anybody.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringMatching(/^Basic realm=/),
    ]);
    expect((await send(path, { headers: { cookie: 'sessionid=forged.abc' } })).status).toBe(401);
    expect((await send(path, { headers: { authorization: 'Bearer x' } })).status).toBe(401);
    expect((await send(path, { headers: basic({ ...app, username: `${app.username}\u0000` }) })).status).toBe(401);
    expect((await send(`${base}/api/2/devices/somebody.json`, { headers: basic(app) })).status).toBe(400);
    expect((await send(path, { headers: basic(own) })).status).toBe(200);
    const wrong = basic({ ...app, password: 'another password' });
    const statuses = [];
    for (let n = 0; n < 12; n += 1) statuses.push((await send(path, { headers: wrong })).status);
    expect(statuses).toEqual([...Array<number>(10).fill(401), 429, 429]);
    expect((await send(path, { headers: basic(app) })).status).toBe(200);
  });

  it("an app's password ends within five seconds, with the cookies that were given for it", async () => {
    const { app, device, id } = await listener();
    const path = `${base}/api/2/devices/${app.username}.json`;
    const { headers } = await send(path, { headers: basic(app) });
    const cookie = /^sessionid=[^;]+/.exec(headers.get('set-cookie')!)![0];
    expect((await device.send('DELETE', `/tokens/${id}`)).status).toBe(200);
    const since = performance.now();
    for (const as of [{ cookie }, basic(app)]) {
      let status = 200;
      while (status === 200 && performance.now() - since < 5_000) ({ status } = await send(path, { headers: as }));
      expect(status).toBe(401);
    }
  });

  it('Kasts sees times without a zone, and one group of devices that are in step', async () => {
    const { app } = await listener();
    const at = (path: string) => `${base}/api/2${path}`;
    const as = { headers: basic(app) };
    for (const device of ['kasts', 'phone'])
      await send(at(`/devices/${app.username}/${device}.json`), { method: 'POST', body: '{"type":"desktop"}', ...as });
    const body = JSON.stringify([
      { podcast: FEED, episode: enclosure(1), action: 'download', timestamp: '2026-11-20T12:00:00.500+02:00' },
    ]);
    await send(at(`/episodes/${app.username}.json`), { method: 'POST', body, ...as });
    const { json } = await send(at(`/episodes/${app.username}.json?since=0&aggregated=true`), as);
    expect(json.actions).toEqual([
      { podcast: FEED, episode: enclosure(1), action: 'download', timestamp: '2026-11-20T10:00:00' },
    ]);
    const groups = { synchronized: [['kasts', 'phone']], 'not-synchronized': [] };
    expect((await send(at(`/sync-devices/${app.username}.json`), as)).json).toEqual(groups);
    const wish = JSON.stringify({ synchronize: [['kasts', 'phone']] });
    expect((await send(at(`/sync-devices/${app.username}.json`), { method: 'POST', body: wish, ...as })).json).toEqual(
      groups,
    );
  });

  it('Cardo on Nextcloud speaks in capitals, asks from a fraction of a second on, and sees what gPodder sees', async () => {
    const { app, device } = await listener();
    const at = (path: string) => `${base}/index.php/apps/gpoddersync${path}`;
    const as = { headers: { ...basic(app), ...JSON_BODY } };
    const added = await send(at('/subscription_change/create'), {
      method: 'POST',
      body: JSON.stringify({ add: [FEED, OTHER], remove: [] }),
      ...as,
    });
    expect([added.status, added.json]).toEqual([200, { timestamp: expect.any(Number) }]);
    expect((await send(at('/subscriptions'), as)).json).toMatchObject({ add: [FEED, OTHER], remove: [] });
    const action = {
      podcast: FEED,
      episode: enclosure(1),
      guid: 'episode-1',
      action: 'PLAY',
      timestamp: '2026-11-20T10:00:00',
      started: 0,
      position: 90,
      total: 1_800,
    };
    const download = {
      ...action,
      episode: enclosure(2),
      guid: '',
      action: 'DOWNLOAD',
      started: -1,
      position: -1,
      total: -1,
    };
    await send(at('/episode_action/create'), { method: 'POST', body: JSON.stringify([action, download]), ...as });
    const { json } = await send(at(`/episode_action?since=${Date.now() / 1_000 - 3.25}`), as);
    expect(json.actions).toEqual([action, download]);
    expect(await placesOf(device)).toEqual([[`episode-1,${enclosure(1)}`, 90, false]]);
    const there = (await send(`${base}/api/2/episodes/${app.username}.json`, as)).json.actions;
    expect(there).toEqual([
      { ...action, action: 'play' },
      { podcast: FEED, episode: enclosure(2), action: 'download', timestamp: action.timestamp },
    ]);
  });

  it('one bad address does not sink the others, whoever contradicts themselves is refused, and nothing is changed', async () => {
    const { app, device } = await listener();
    const path = `${base}/api/2/subscriptions/${app.username}/phone.json`;
    const post = (body: string) => send(path, { method: 'POST', body, headers: basic(app) });
    const { json } = await post(
      JSON.stringify({
        add: ['  HTTPS://Feeds.example/show.xml?', 'feed://feeds.example/b', 'itpc://feeds.example/c', 'nonsense', ''],
      }),
    );
    expect(json.update_urls).toEqual([
      ['  HTTPS://Feeds.example/show.xml?', FEED],
      ['feed://feeds.example/b', 'http://feeds.example/b'],
      ['itpc://feeds.example/c', 'http://feeds.example/c'],
      ['nonsense', ''],
      ['', ''],
    ]);
    const held = await feedsOf(device);
    expect(held.sort()).toEqual([FEED, 'http://feeds.example/b', 'http://feeds.example/c'].sort());
    for (const body of ['{"add":["https://x.example/"],"remove":["https://x.example/"]}', '{"add":7}', '[]', 'x', ''])
      expect((await post(body)).status).toBe(400);
    expect((await feedsOf(device)).sort()).toEqual(held.sort());
    const actions = JSON.stringify([
      { podcast: 'nonsense', episode: enclosure(1), action: 'play', position: 9 },
      { podcast: FEED, episode: 'nonsense', action: 'play', position: 9 },
      { podcast: FEED, episode: enclosure(3), action: 'PLAY', position: 9, extra: { key: 1 } },
    ]);
    const uploaded = await send(`${base}/api/2/episodes/${app.username}.json`, {
      method: 'POST',
      body: actions,
      headers: basic(app),
    });
    expect(uploaded.json.update_urls).toEqual([['nonsense', '']]);
    expect(await placesOf(device)).toEqual([[`,${enclosure(3)}`, 9, false]]);
  });

  it('an app that takes over no address is told each feed by the one that it wrote, the others by theirs', async () => {
    const { own, app, device } = await listener();
    const phone = (path: string, body?: string) =>
      send(`${base}${path}`, { headers: basic(app), ...(body !== undefined && { method: 'POST', body }) });
    // This one signs in by the account's own password.
    const tablet = (path: string, body?: string) =>
      send(`${base}${path}`, { headers: basic(own), ...(body !== undefined && { method: 'POST', body }) });
    const written = 'HTTPS://Feeds.Example/show.xml?';
    const list = `/api/2/subscriptions/${app.username}/phone.json`;
    const actions = `/api/2/episodes/${app.username}.json`;
    await phone(list, JSON.stringify({ add: [written], remove: [] }));
    expect((await phone(list)).json.add).toEqual([written]);
    expect((await phone(`/subscriptions/${app.username}/phone.txt`)).text).toBe(`${written}\n`);
    expect((await tablet(list.replace('phone', 'tablet'))).json.add).toEqual([FEED]);
    expect(await feedsOf(device)).toEqual([FEED]);

    const action = { episode: enclosure(1), guid: 'one', action: 'play', started: 0, total: 600 };
    await tablet(
      actions,
      JSON.stringify([{ ...action, podcast: FEED, device: 'tablet', position: 60, timestamp: '2026-01-01T10:00:00' }]),
    );
    expect((await phone(actions)).json.actions).toMatchObject([{ podcast: written, position: 60 }]);
    await phone(
      actions,
      JSON.stringify([
        { ...action, podcast: written, device: 'phone', position: 90, timestamp: '2026-01-02T10:00:00' },
      ]),
    );
    for (const podcast of [FEED, written])
      expect((await phone(`${actions}?podcast=${encodeURIComponent(podcast)}`)).json.actions).toMatchObject([
        { podcast: written, position: 90 },
      ]);
    // Who cannot be told apart from the others of the account is told under all names that any of them has.
    const told = (await tablet(actions)).json.actions as { podcast: string; position: number }[];
    expect(told.map(({ podcast, position }) => [podcast, position])).toEqual([
      [FEED, 90],
      [written, 90],
    ]);
    expect(await placesOf(device)).toEqual([[`one,${enclosure(1)}`, 90, false]]);

    const exported = (await device.get('/account/export')).body;
    expect(exported.feed_names).toContainEqual({ client: 'device phone', feed: FEED, known_as: written });
    const since = `?since=${Math.floor(Date.now() / 1_000)}`;
    await phone(list, JSON.stringify({ add: [], remove: [written] }));
    expect(await feedsOf(device)).toEqual([]);
    expect((await phone(list + since)).json).toMatchObject({ add: [], remove: [written] });
  });

  it('a form of another site does not write by what its visitor’s browser remembers', async () => {
    const { app, device } = await listener();
    const path = `${base}/index.php/apps/gpoddersync/subscription_change/create`;
    const body = JSON.stringify({ add: [FEED], remove: [] });
    const by = (mode: string) => ({ ...basic(app), 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': mode });
    // Fetch sets these itself in a browser, and lets nobody else; here it is Node's.
    const statuses = await Promise.all(
      ['navigate', 'no-cors'].map(async (mode) => (await raw(path, body, by(mode))).status),
    );
    expect(statuses).toEqual([403, 403]);
    // A neighbour of the host gets the cookie along, and may ask without asking whether it may.
    const login = await send(`${base}/api/2/auth/${app.username}/login.json`, { method: 'POST', headers: basic(app) });
    const cookie = /^sessionid=[^;]+/.exec(login.headers.get('set-cookie')!)![0];
    const neighbour = { cookie, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' };
    expect((await raw(path, body, neighbour)).status).toBe(403);
    // The browser adds what it remembers to what it sends without asking, too.
    for (const type of [
      undefined,
      'text/plain;charset=UTF-8',
      'Application/x-www-form-urlencoded',
      'multipart/form-data; boundary=b',
    ])
      expect([type, (await raw(path, body, { ...by('cors'), ...(type && { 'content-type': type }) })).status]).toEqual([
        type,
        403,
      ]);
    expect(await feedsOf(device)).toEqual([]);
    expect((await raw(path, body, { ...by('cors'), 'content-type': 'application/json' })).status).toBe(200);
  });

  it('is found under a folder, and after one slash too many', async () => {
    const { app } = await listener();
    for (const folder of ['', '/', '/nextcloud', '/a/b/'])
      expect(
        (await raw(`${base}${folder}/index.php/apps/gpoddersync/subscriptions`, undefined, basic(app))).status,
      ).toBe(200);
  });

  it('a list of which nothing can be read ends no subscription', async () => {
    const { app, device } = await listener();
    await device.subscribe(FEED);
    const at = (format: string) => `${base}/subscriptions/${app.username}/phone.${format}`;
    for (const [format, body] of [
      ['txt', '<html>Not found</html>'],
      ['json', '["oops"]'],
      ['txt', undefined],
    ] as const)
      expect(
        (await send(at(format), { method: 'PUT', headers: basic(app), ...(body !== undefined && { body }) })).status,
      ).toBe(400);
    expect(await feedsOf(device)).toEqual([FEED]);
  });

  it("an app's password is made by who logged in, and hides no place by a play without one", async () => {
    const { app } = await listener();
    const path = `${base}/api/2/episodes/${app.username}.json`;
    const play = (timestamp: string, position: number, total: number) => ({
      podcast: FEED,
      episode: enclosure(1),
      action: 'play',
      timestamp,
      started: position,
      position,
      total,
    });
    const body = JSON.stringify([
      play('2026-11-20T10:00:00', 90, 1_800),
      play('2026-11-20T10:00:05', -1, -1),
      { ...play('not a time', 9e9, 1), episode: enclosure(2), device: 'x'.repeat(999) },
      { ...play('2026-11-20T10:00:00', 1, 2), action: 'archive' },
    ]);
    expect((await send(path, { method: 'POST', body, headers: basic(app) })).status).toBe(200);
    const { json } = await send(path, { headers: basic(app) });
    const told = json.actions.filter(({ episode }: { episode: string }) => episode === enclosure(1));
    expect(told).toContainEqual(expect.objectContaining({ position: 90, total: 1_800 }));
  });

  it('every front door sees what any of them wrote, and the last word is the newest', async () => {
    const { app, device } = await listener();
    const item = `episode-1,${enclosure(1)}`;
    const actionsOf = async (): Promise<{ action: string; position?: number; timestamp: string }[]> =>
      (await send(`${base}/api/2/episodes/${app.username}.json`, { headers: basic(app) })).json.actions;
    await device.play(FEED, item, 30);
    expect(await actionsOf()).toEqual([expect.objectContaining({ action: 'play', position: 30, guid: 'episode-1' })]);
    const tell = (position: number, timestamp: string) =>
      send(`${base}/index.php/apps/gpoddersync/episode_action/create`, {
        method: 'POST',
        headers: basic(app),
        body: JSON.stringify([
          {
            podcast: FEED,
            episode: enclosure(1),
            guid: 'episode-1',
            action: 'PLAY',
            timestamp,
            started: 0,
            position,
            total: 900,
          },
        ]),
      });
    await tell(60, new Date(Date.now() + 60_000).toISOString());
    expect(await placesOf(device)).toEqual([[item, 60, false]]);
    await tell(45, '2026-01-01T00:00:00');
    expect(await placesOf(device)).toEqual([[item, 60, false]]);
    await device.play(FEED, item, 75);
    expect((await actionsOf()).at(-1)).toMatchObject({ position: 75, total: 900 });
    const sync = await device.sync({});
    expect(sync.body.data.play_statuses).toMatchObject([{ position: 75 }]);
    await device.unsubscribe(FEED);
    await device.subscribe(OTHER);
    const { json } = await send(`${base}/api/2/subscriptions/${app.username}/phone.json?since=1`, {
      headers: basic(app),
    });
    expect(json).toMatchObject({ add: [OTHER], remove: [] });
  });

  it('nothing that is uploaded late is missed by anybody, whatever the clocks of devices say and however long they are away', async () => {
    const random = randomFrom(newSeed('late uploads'));
    for (let life = 0; life < LIVES; life += 1) {
      const { app, device } = await listener();
      const path = `${base}/api/2/episodes/${app.username}.json`;
      const { missed, newest } = await liveApart(
        random,
        {
          upload: async (actions) => {
            const answer = await send(path, { method: 'POST', body: JSON.stringify(actions), headers: basic(app) });
            expect(answer.status).toBe(200);
            return answer.json.timestamp;
          },
          download: async (since) => (await send(`${path}?since=${since}`, { headers: basic(app) })).json,
        },
        { podcast: FEED, enclosure },
      );
      expect([life, missed]).toEqual([life, missed.map(() => [])]);
      expect(new Map((await placesOf(device)).map(([item, position]) => [item.slice(1), position]))).toEqual(newest);
      // A new device asks for how it stands.
      const { json } = await send(path, { headers: basic(app) });
      expect(new Map(json.actions.map((each: Told) => [each.episode, each.position]))).toEqual(newest);
    }
  }, 600_000);

  const savedOf = async (device: Device): Promise<string[]> =>
    ((await device.get('/episodes/saved')).body.episodes as { rss_source_item: string }[]).map(({ rss_source_item }) =>
      Buffer.from(rss_source_item, 'base64').toString(),
    );
  const settingsAt = (app: Credentials, scope: string): string =>
    `${base}/api/2/settings/${app.username}/${scope.replace(/^\w+/, '$&.json')}`;
  const set = (app: Credentials, scope: string, changes: unknown) =>
    send(settingsAt(app, scope), { method: 'POST', body: JSON.stringify(changes), headers: basic(app) });
  const settings = async (app: Credentials, scope: string) =>
    (await send(settingsAt(app, scope), { headers: basic(app) })).json;
  const episode = (n: number): string =>
    `episode?podcast=${encodeURIComponent(FEED)}&episode=${encodeURIComponent(enclosure(n))}`;
  const podcast = `podcast?podcast=${encodeURIComponent(FEED)}`;
  const favorite = (isFavorite: unknown) => ({ set: { is_favorite: isFavorite }, remove: [] });

  it('favorites are the saved episodes, whoever saved them and by whatever name', async () => {
    const { app, device } = await listener();
    const favorites = async (): Promise<string[]> =>
      (await send(`${base}/api/2/favorites/${app.username}.json`, { headers: basic(app) })).json.map(
        ({ url }: { url: string }) => url,
      );
    await device.play(FEED, `guid-1,${enclosure(1)}`, 30);
    expect((await set(app, episode(1), favorite(true))).json).toEqual({ is_favorite: true });
    expect(await savedOf(device)).toEqual([`guid-1,${enclosure(1)}`]);
    expect((await send(`${base}/api/2/favorites/${app.username}.json`, { headers: basic(app) })).json).toEqual([
      {
        ...{ title: '', url: enclosure(1), podcast_title: '', podcast_url: FEED },
        ...{ description: '', website: '', released: '', mygpo_link: '' },
      },
    ]);
    await device.unsave(`guid-1,${enclosure(1)}`, FEED);
    expect(await settings(app, episode(1))).toEqual({ is_favorite: false });

    // Its guid becomes known after it was saved: it is one episode to apps, which take all of it back.
    await set(app, episode(2), favorite(true));
    await device.save(`guid-2,${enclosure(2)}`, FEED);
    await device.save('guid-3,', FEED);
    expect((await favorites()).sort()).toEqual([enclosure(2)]);
    expect((await set(app, episode(2), { set: {}, remove: ['is_favorite'] })).json).toEqual({ is_favorite: false });
    expect(await savedOf(device)).toEqual(['guid-3,']);
    for (const other of ['yes', 1, null]) expect((await set(app, episode(4), favorite(other))).status).toBe(400);
    expect(await favorites()).toEqual([]);
  });

  it('settings are of the account, a device, a podcast or an episode, and what is no setting changes nothing', async () => {
    const { app } = await listener();
    const scopes = ['account', 'device?device=phone', podcast, episode(1)];
    for (const [nth, scope] of scopes.entries()) {
      const told = nth === 3 ? { is_favorite: false } : {};
      expect(await settings(app, scope)).toEqual(told);
      const value = { nested: [nth, null, 'ü\u0000\ud800'], __proto: 1 };
      expect((await set(app, scope, { set: { a: value, b: nth, c: true } })).json).toEqual({
        ...{ a: value, b: nth, c: true },
        ...told,
      });
      expect((await set(app, scope, { set: { b: 'other', c: 1 }, remove: ['a', 'c', 'none', '\u0000'] })).json).toEqual(
        {
          b: 'other',
          ...told,
        },
      );
    }
    const proto = await send(settingsAt(app, 'account'), {
      ...{ method: 'POST', body: '{"set": {"__proto__": {"x": 1}}}', headers: basic(app) },
    });
    expect(proto.text).toBe('{"__proto__":{"x":1},"b":"other"}');
    expect((await send(`${base}/api/2/devices/${app.username}.json`, { headers: basic(app) })).json).toMatchObject([
      { id: 'phone' },
    ]);
    for (const [scope, changes, status] of [
      ['account', { set: { ['x'.repeat(256)]: 1 } }, 400],
      ['account', { set: { '': 1 } }, 400],
      ['account', { set: { 'a\u0000': 1 } }, 400],
      ['account', { set: { long: 'x'.repeat(4_095) } }, 422],
      ['account', { set: [] }, 400],
      ['account', [], 400],
      ['account', { set: { public_profile: false } }, 400],
      [podcast, { set: { public_subscription: false } }, 400],
      ['device', { set: { a: 1 } }, 400],
      ['device?device=', { set: { a: 1 } }, 422],
      ['podcast?podcast=nonsense', { set: { a: 1 } }, 400],
      [podcast.replace('podcast?', 'episode?'), { set: { a: 1 } }, 400],
      ['somewhere', { set: { a: 1 } }, 422],
      ['account', { set: Object.fromEntries(Array.from({ length: 5_001 }, (_, n) => [`key ${n}`, n])) }, 422],
    ] as const)
      expect([scope, (await set(app, scope, changes)).status]).toEqual([scope, status]);
    for (const scope of scopes) expect(await settings(app, scope)).toMatchObject({ b: 'other' });
  });

  // Of several processes one can be killed alone.
  if (kind === 'services')
    it('of settings that several devices write at once nothing is lost that was acknowledged, whatever is killed', async () => {
      const { app } = await listener();
      const commandApi = system.processes['command-api']!;
      const acknowledged: Record<string, number> = {};
      const writers = Array.from({ length: 8 }, async (_, writer) => {
        for (let n = 0; n < 40; n += 1) {
          const key = `${writer} ${n}`;
          const answer = await set(app, 'account', { set: { [key]: n } }).catch(() => undefined);
          if (answer?.status === 200) acknowledged[key] = n;
          else if (!answer) return;
        }
      });
      await waitFor(() => Object.keys(acknowledged).length > 40, { what: 'some settings to be written' });
      await commandApi.kill();
      await Promise.all(writers);
      await commandApi.start();
      await waitUntilReady(base);
      expect(await settings(app, 'account')).toMatchObject(acknowledged);
    });

  it('updates tell of subscriptions and of episodes with which something was done; lists of podcasts there are none', async () => {
    const { app } = await listener();
    const at = (path: string) => `${base}/api/2${path}`;
    const as = { headers: basic(app) };
    await send(at(`/subscriptions/${app.username}/phone.json`), {
      ...{ method: 'POST', body: JSON.stringify({ add: [FEED] }), ...as },
    });
    const told = (n: number, action: string, timestamp: string) => ({
      ...{ podcast: FEED, episode: enclosure(n), action, timestamp },
      ...(action === 'play' && { started: 0, position: 90, total: 900 }),
    });
    const body = JSON.stringify([
      told(1, 'play', '2026-11-20T10:00:00'),
      told(1, 'delete', '2026-11-20T11:00:00'),
      told(2, 'new', '2026-11-20T10:00:00'),
      told(3, 'flattr', '2026-11-20T10:00:00'),
    ]);
    await send(at(`/episodes/${app.username}.json`), { method: 'POST', body, ...as });
    const updates = await send(at(`/updates/${app.username}/phone.json?since=0&include_actions=true`), as);
    expect(updates.json).toEqual({
      add: [expect.objectContaining({ url: FEED, title: FEED, description: '', subscribers: 0, logo_url: null })],
      remove: [],
      updates: [
        expect.objectContaining({
          ...{ url: enclosure(1), podcast_url: FEED, title: '', released: '' },
          ...{ status: 'delete', action: told(1, 'delete', '2026-11-20T11:00:00') },
        }),
        expect.objectContaining({ url: enclosure(2), status: 'new' }),
      ],
      timestamp: expect.any(Number),
    });
    expect(updates.json.updates[1]).not.toHaveProperty('action');
    const plain = await send(at(`/updates/${app.username}/phone.json?since=${updates.json.timestamp + 3_600}`), as);
    expect(plain.json).toMatchObject({ add: [], remove: [], updates: [] });

    expect((await send(at(`/lists/${app.username}.json`), as)).json).toEqual([]);
    const made = await send(at(`/lists/${app.username}/create.json?title=Mine`), { method: 'POST', body: '[]', ...as });
    expect([made.status, made.json.code]).toEqual([403, 'no_podcast_lists']);
    for (const method of ['GET', 'PUT', 'DELETE'])
      expect((await send(at(`/lists/${app.username}/list/mine.json`), { method, ...as })).status).toBe(404);
  });

  describe('what is public', () => {
    const word = randomBytes(6).toString('hex');
    const [shown, alone, hidden] = ['shown', 'alone', 'hidden'].map(
      (name) => `https://feeds.example/${name}-${word}.xml`,
    ) as [string, string, string];
    const ask = (path: string) => send(`${system.public}${path}`);
    const urlsOf = (list: { url: string }[]): string[] => list.map(({ url }) => url);
    const ours = (urls: string[]): string[] => urls.filter((url) => url.includes(word));

    beforeAll(async () => {
      const devices = [(await listener()).device, (await listener()).device];
      await devices[0]!.subscribe(alone);
      for (const device of devices) {
        await device.send('PUT', '/privacy', { privacy: 'private', feed: base64(hidden) });
        await device.subscribe(hidden);
        // It comes last of what they do: where it is, all else is as well.
        await device.subscribe(shown);
      }
      await waitFor(async () => (await ask(`/search.json?q=${word}`)).json.length > 0, {
        what: 'a podcast to be public',
      });
    });

    it('is found by its words and listed, in each format, and nothing else is', async () => {
      expect((await ask(`/search.json?q=SHOWN+${word.toUpperCase()}`)).json).toEqual([
        {
          ...{ url: shown, title: shown, author: '', description: '', website: '' },
          ...{ subscribers: 0, subscribers_last_week: 0, mygpo_link: '', logo_url: null },
        },
      ]);
      for (const q of ['alone', 'hidden', `${word}%`, `sh_wn ${word}`])
        expect((await ask(`/search.txt?q=${encodeURIComponent(q)}`)).text).not.toContain(word);
      const { headers, text } = await ask(`/search.opml?q=${word}`);
      expect(headers.get('content-type')).toMatch(/^text\/x-opml/);
      expect(headers.get('cache-control')).toMatch(/^public/);
      expect(headers.get('access-control-allow-origin')).toBe('*');
      expect(text).toContain(`xmlUrl="${shown}"`);
      for (const format of ['json', 'opml', 'txt']) {
        const list = await ask(`/toplist/100.${format}`);
        expect([list.status, list.text.includes(shown)]).toEqual([200, true]);
        for (const never of [alone, hidden]) expect(list.text).not.toContain(never);
      }
      expect((await ask('/toplist/1.txt')).text.split('\n')).toHaveLength(2);
      expect((await ask('/search.json?q=')).json).toEqual([]);
      expect((await ask('/api/2/tags/10.json')).json).toEqual([]);
      expect((await ask(`/api/2/data/podcast.json?url=${encodeURIComponent(shown)}`)).json).toMatchObject({
        url: shown,
      });
      for (const never of [alone, hidden])
        expect((await ask(`/api/2/data/podcast.json?url=${encodeURIComponent(never)}`)).status).toBe(404);
      for (const path of ['/toplist/0.json', '/toplist/101.json', '/toplist/5.xml', '/search.xml?q=a', '/search.json'])
        expect([path, (await ask(path)).status]).toEqual([path, 422]);
      for (const q of ['x'.repeat(101), '%00', 'a&q=b'])
        expect([q, (await ask(`/search.json?q=${q}`)).status]).toEqual([q, 422]);
    });

    it('is suggested to who is not subscribed to it', async () => {
      const { app, device } = await listener();
      const suggestions = (format: string) =>
        send(`${base}/suggestions/100.${format}`, { headers: basic(app) }).then(({ text }) => text);
      expect(ours(urlsOf(JSON.parse(await suggestions('json'))))).toEqual([shown]);
      for (const format of ['opml', 'txt']) {
        expect(await suggestions(format)).toContain(shown);
        for (const never of [alone, hidden]) expect(await suggestions(format)).not.toContain(never);
      }
      // A podcast that one has by another address: one of one's apps has learned this one.
      const old = `https://old.example/${word}.xml`;
      await withSql(system.database, (client) =>
        client.query(
          'INSERT INTO users.feed_names (user_id, client, feed_id, feed, known_as) VALUES ($1, $2, $3, $4, $5)',
          [device.userId, 'account', feedId(old), old, shown],
        ),
      );
      expect(ours(urlsOf(JSON.parse(await suggestions('json'))))).toEqual([shown]);
      await device.subscribe(old);
      expect(ours(urlsOf(JSON.parse(await suggestions('json'))))).toEqual([]);
      await device.unsubscribe(old);
      await device.subscribe(shown);
      expect(ours(urlsOf(JSON.parse(await suggestions('json'))))).toEqual([]);
      expect((await send(`${base}/suggestions/101.json`, { headers: basic(app) })).status).toBe(422);
      expect((await send(`${base}/suggestions/10.json`)).status).toBe(401);
    });

    // Standalone has one Postgres for all of it.
    if (kind === 'services')
      it.each([
        ['away', 'postgres://127.0.0.1:1/site', [503, 'unavailable']],
        ['not named', '', [200, undefined]],
      ])('is suggested to nobody where its database is %s, and all else goes on', async (_, url, expected) => {
        const env = { ...system.envOf('command-api'), SITE_DATABASE_URL: url };
        const copy = await new ServiceProcess('command-api', 'command-api/main', env).start();
        try {
          const { app } = await listener();
          const as = { headers: basic(app) };
          const { status, json } = await send(`${copy.url}/suggestions/10.json`, as);
          expect([status, json.code]).toEqual(expected);
          expect((await send(`${copy.url}/api/2/devices/${app.username}.json`, as)).json).toEqual([]);
          expect((await fetch(`${copy.url}/readyz`)).status).toBe(200);
        } finally {
          await copy.stop();
        }
      });

    (startMygpoclient ? it : it.skip)("is read by Debian's mygpoclient, with favorites and settings", async () => {
      const { app, device } = await listener();
      const client = startMygpoclient!(base, app, system.public);
      try {
        expect(urlsOf(await client.call('search', word))).toEqual([shown]);
        expect(ours(urlsOf(await client.call('toplist', 100)))).toEqual([shown]);
        expect(ours(urlsOf(await client.call('suggestions', 100)))).toEqual([shown]);
        expect(await client.call('tags')).toEqual([]);
        expect(await client.call('tagged', 'news')).toEqual([]);
        expect(await client.call('podcast', shown)).toMatchObject({ url: shown, title: shown, subscribers: 0 });
        await expect(client.call('podcast', alone)).rejects.toThrow('NotFound');
        await expect(client.call('episode', shown, enclosure(1))).rejects.toThrow('NotFound');

        expect(await client.call('set', 'episode', FEED, enclosure(1), { is_favorite: true, rating: 5 }, [])).toEqual({
          ...{ is_favorite: true, rating: 5 },
        });
        expect(await client.call('favorites')).toMatchObject([{ url: enclosure(1), podcast_url: FEED, title: '' }]);
        expect(await savedOf(device)).toEqual([`,${enclosure(1)}`]);
        expect(await client.call('set', 'device', 'phone', null, { volume: 7 }, [])).toEqual({ volume: 7 });
        expect(await client.call('set', 'account', null, null, { theme: 'dark', old: 1 }, [])).toMatchObject({
          old: 1,
        });
        expect(await client.call('set', 'account', null, null, {}, ['old'])).toEqual({ theme: 'dark' });
        expect(await client.call('settings', 'podcast', FEED)).toEqual({});
        expect(await client.call('settings', 'device', 'phone')).toEqual({ volume: 7 });
      } finally {
        client.stop();
      }
    });
  });

  it('settings are exported, and go with the podcast, the episode or the account that they are of', async () => {
    const { app, device, own } = await listener();
    const scopes = ['account', 'device?device=phone', podcast, episode(1), episode(2)];
    for (const [n, scope] of scopes.entries()) await set(app, scope, { set: { n } });
    // Only now is its guid known, by which it is erased.
    await device.play(FEED, `guid-1,${enclosure(1)}`, 30);
    const kept = async () => (await Promise.all(scopes.map((scope) => settings(app, scope)))).map(({ n }) => n);
    expect(await kept()).toEqual([0, 1, 2, 3, 4]);
    const exported = (await device.get('/account/export')).body.app_settings;
    expect(exported.map(({ updated_at: _, ...setting }: { updated_at: string }) => setting)).toEqual(
      expect.arrayContaining([
        { scope: 'account', device_id: null, podcast: null, episode: null, key: 'n', value: 0 },
        { scope: 'device', device_id: 'phone', podcast: null, episode: null, key: 'n', value: 1 },
        { scope: 'episode', device_id: null, podcast: FEED, episode: enclosure(1), key: 'n', value: 3 },
      ]),
    );
    const erase = (query: string) => device.send('DELETE', `/history${query}`);
    const item = Buffer.from(`guid-1,${enclosure(1)}`).toString('base64url');
    expect((await erase(`?item=${item}`)).status).toBe(202);
    expect(await kept()).toEqual([0, 1, 2, undefined, 4]);
    expect((await erase(`?feed=${Buffer.from(FEED).toString('base64url')}`)).status).toBe(202);
    expect(await kept()).toEqual([0, 1, undefined, undefined, undefined]);
    await set(app, podcast, { set: { n: 2 } });
    expect((await erase('')).status).toBe(202);
    expect(await kept()).toEqual([0, 1, undefined, undefined, undefined]);
    await device.send('DELETE', '/account', { password: own.password });
    await withSql(system.database, async (sql) => {
      const { rows } = await sql.query('SELECT FROM users.app_settings WHERE user_id = $1', [device.userId]);
      expect(rows).toEqual([]);
    });
  });

  describe("of gPodder's protocol", () => {
    const at = (path: string) => `${base}/api/2${path}`;
    const post = (url: string, of: Credentials, body: unknown, method = 'POST') =>
      send(url, { method, body: JSON.stringify(body), headers: { ...basic(of), ...JSON_BODY } });
    const told = async (of: Credentials, query = ''): Promise<Told[]> =>
      (await send(at(`/episodes/${of.username}.json${query}`), { headers: basic(of) })).json.actions;
    /** What was received of late. */
    const lately = (): string => `?since=${Math.floor(Date.now() / 1_000) - 1}`;
    const play = <More extends object>(nth: number, position: number, more: More = {} as More) => ({
      podcast: FEED,
      episode: enclosure(nth),
      action: 'play',
      timestamp: '2026-11-20T10:00:00',
      started: 0,
      position,
      total: 1_800,
      ...more,
    });

    it('any request with name and password gets a cookie, which is taken from then on for what is its own alone', async () => {
      const [{ app }, other] = [await listener(), await listener()];
      const answer = await send(`${base}/subscriptions/${app.username}.txt`, { headers: basic(app) });
      const cookie = /^sessionid=[^;]+/.exec(answer.headers.get('set-cookie')!)![0];
      const statuses = async (of: Credentials): Promise<number[]> =>
        Promise.all(
          [
            at(`/devices/${of.username}.json`),
            at(`/subscriptions/${of.username}/phone.json`),
            at(`/episodes/${of.username}.json`),
            `${base}/subscriptions/${of.username}/phone.opml`,
          ].map(async (url) => (await send(url, { headers: { cookie } })).status),
        );
      expect(await statuses(app)).toEqual([200, 200, 200, 200]);
      expect(await statuses(other.app)).toEqual([400, 400, 400, 400]);
      for (const step of ['login', 'logout']) {
        const foreign = await send(at(`/auth/${other.app.username}/${step}.json`), {
          method: 'POST',
          headers: { cookie },
        });
        expect([step, foreign.status]).toEqual([step, 400]);
      }
    });

    it('pages of any site may ask, by CORS', async () => {
      const { app } = await listener();
      const origin = 'https://app.example';
      const url = `${base}/subscriptions/${app.username}/phone.json`;
      const asked = { 'access-control-request-method': 'PUT', 'access-control-request-headers': 'authorization' };
      const preflight = await send(url, { method: 'OPTIONS', headers: { origin, ...asked } });
      expect(preflight.status).toBeLessThan(300);
      expect(preflight.headers.get('access-control-allow-methods')).toContain('PUT');
      expect(preflight.headers.get('access-control-allow-headers')).toMatch(/authorization/i);
      for (const headers of [{ origin, ...basic(app) }, { origin }])
        expect((await send(url, { headers })).headers.get('access-control-allow-origin')).toBe('*');
    });

    it('a device is made by whatever is written from it, and named by POST and PUT, each answered by nothing at all', async () => {
      const { app } = await listener();
      const devices = async () => (await send(at(`/devices/${app.username}.json`), { headers: basic(app) })).json;
      await post(at(`/subscriptions/${app.username}/by-change.json`), app, { add: [FEED] });
      await post(`${base}/subscriptions/${app.username}/by-list.json`, app, [FEED], 'PUT');
      await post(at(`/episodes/${app.username}.json`), app, [play(1, 9, { device: 'by-action' })]);
      const unnamed = ['by-action', 'by-change', 'by-list'].map((id) => ({
        id,
        caption: id,
        type: 'other',
        subscriptions: 1,
      }));
      expect(await devices()).toEqual(unnamed);
      for (const [method, body, named] of [
        ['POST', { caption: 'My phone', type: 'mobile' }, { caption: 'My phone', type: 'mobile' }],
        ['PUT', { caption: 'Another' }, { caption: 'Another', type: 'mobile' }],
        ['PUT', { type: 'toaster' }, { caption: 'Another', type: 'other' }],
        ['POST', {}, { caption: 'Another', type: 'other' }],
      ] as const) {
        const answer = await post(at(`/devices/${app.username}/by-list.json`), app, body, method);
        expect([answer.status, answer.text]).toEqual([200, '']);
        expect((await devices())[2]).toEqual({ id: 'by-list', ...named, subscriptions: 1 });
      }
      const sync = at(`/sync-devices/${app.username}.json`);
      expect((await post(sync, app, { 'stop-synchronize': ['by-list'] })).status).toBe(400);
    });

    it('a list is that of the listener: it is written and read with a device and without', async () => {
      const { app, device } = await listener();
      const url = `${base}/subscriptions/${app.username}.json`;
      const put = await post(url, app, [OTHER, ' HTTPS://Feeds.example/show.xml'], 'PUT');
      expect([put.status, put.text]).toEqual([200, '']);
      expect((await feedsOf(device)).sort()).toEqual([OTHER, FEED]);
      // As this app calls them, which has a password of its own.
      expect((await send(url, { headers: basic(app) })).json.map((each: { url: string }) => each.url)).toEqual([
        OTHER,
        ' HTTPS://Feeds.example/show.xml',
      ]);
      const ofDevice = await send(`${base}/subscriptions/${app.username}/phone.json`, { headers: basic(app) });
      expect(ofDevice.json).toEqual([OTHER, ' HTTPS://Feeds.example/show.xml']);
      expect((await post(url, app, ['oops'], 'PUT')).status).toBe(400);
      expect((await feedsOf(device)).sort()).toEqual([OTHER, FEED]);
    });

    it('actions are told of one podcast, of one device, and each episode’s last', async () => {
      const { app } = await listener();
      const actions = [
        play(1, 10, { device: 'phone' }),
        play(1, 20, { device: 'tablet', timestamp: '2026-11-20T11:00:00' }),
        play(2, 30, { device: 'phone', podcast: OTHER }),
        play(3, 40),
      ];
      expect((await post(at(`/episodes/${app.username}.json`), app, actions)).status).toBe(200);
      const places = async (query: string) => (await told(app, query)).map(({ position }) => position).sort();
      expect(await places(lately())).toEqual([10, 20, 30, 40]);
      expect(await places('')).toEqual([20, 30, 40]);
      expect(await places('?since=0')).toEqual([20, 30, 40]);
      expect(await places(`${lately()}&aggregated=true`)).toEqual([20, 30, 40]);
      expect(await places(`${lately()}&aggregated=false`)).toEqual([10, 20, 30, 40]);
      expect(await places(`${lately()}&podcast=${encodeURIComponent(OTHER)}`)).toEqual([30]);
      expect(await places(`${lately()}&device=phone`)).toEqual([10, 30]);
      expect(await places(`${lately()}&device=nobodys`)).toEqual([]);
      expect(await places(`${lately()}&device=phone&podcast=${encodeURIComponent(FEED)}`)).toEqual([10]);
    });

    it('since is missing, 0, a fraction or before all time, and what is answered are whole seconds of few digits', async () => {
      const { app } = await listener();
      await post(at(`/episodes/${app.username}.json`), app, [play(1, 10)]);
      for (const query of ['', '?since=0', `?since=${Date.now() / 1_000 - 1}`, '?since=0.5', '?since=-1']) {
        for (const path of [`/episodes/${app.username}.json`, `/subscriptions/${app.username}/phone.json`]) {
          const { status, json } = await send(at(`${path}${query}`), { headers: basic(app) });
          expect([path, query, status, Number.isInteger(json.timestamp)]).toEqual([path, query, 200, true]);
          expect(json.timestamp).toBeLessThan(2 ** 31);
        }
        expect(await told(app, query)).toHaveLength(1);
      }
      expect(await told(app, `?since=${Math.ceil(Date.now() / 1_000) + 120}`)).toEqual([]);
    });

    it('a time comes in any form, and goes out as one of UTC without a zone', async () => {
      const { app } = await listener();
      const forms = [
        '2026-11-20T10:00:00',
        '2026-11-20T10:00:00Z',
        '2026-11-20T10:00:00.999',
        '2026-11-20T11:30:00+01:30',
        '2026-11-20T05:00:00-0500',
        '2026-11-20 10:00:00',
        'Fri, 20 Nov 2026 10:00:00 GMT',
        1_795_168_800,
        1_795_168_800.75,
      ];
      const actions = forms.map((timestamp, nth) => play(nth, 10, { timestamp }));
      await post(at(`/episodes/${app.username}.json`), app, [...actions, play(99, 10, { timestamp: undefined })]);
      const times = new Map((await told(app)).map(({ episode, timestamp }) => [episode, timestamp]));
      for (const [nth, form] of forms.entries())
        expect([form, times.get(enclosure(nth))]).toEqual([form, '2026-11-20T10:00:00']);
      expect(times.get(enclosure(99))).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
    });

    it('each of the five actions comes back as it was told, with seconds where it is a play', async () => {
      const { app } = await listener();
      const actions = ['download', 'delete', 'new', 'flattr', 'Play'].map((action, nth) =>
        play(nth, 10, { action, guid: `guid-${nth}`, device: 'phone', key: ['that', 'nobody', 'knows'] }),
      );
      const answer = await post(at(`/episodes/${app.username}.json`), app, actions);
      expect(answer.json).toEqual({ timestamp: expect.any(Number), update_urls: [] });
      const expected = actions.map(({ podcast, episode, guid, device, timestamp, action }) => ({
        ...{ podcast, episode, guid, device, timestamp, action: action.toLowerCase() },
        ...(action === 'Play' && { started: 0, position: 10, total: 1_800 }),
      }));
      const byName = (one: Told, other: Told): number => (one.episode < other.episode ? -1 : 1);
      expect((await told(app, lately())).sort(byName)).toEqual(expected);
    });

    it('a play without a place, or at none, is kept and moves nothing', async () => {
      const { app, device } = await listener();
      const later = (minute: number) => ({ timestamp: `2026-11-20T10:0${minute}:00` });
      const none = { started: -1, position: -1, total: -1 };
      await post(at(`/episodes/${app.username}.json`), app, [
        play(1, 90),
        play(1, 0, { ...none, ...later(1) }),
        play(1, 0, { started: undefined, position: undefined, total: undefined, ...later(2) }),
        play(1, 0, later(3)),
      ]);
      expect(await placesOf(device)).toEqual([[`,${enclosure(1)}`, 90, false]]);
      const kept = await told(app, lately());
      expect(kept.map(({ timestamp }) => timestamp.slice(14, 16))).toEqual(['00', '01', '02', '03']);
      expect(kept[1]).not.toHaveProperty('position');
    });

    it('nothing is cut off, and what is sent again is told once', async () => {
      const { app } = await listener();
      const episodes = Array.from({ length: 300 }, (_, nth) => nth);
      const actions = episodes.flatMap((nth) => [play(nth, 10, { action: 'download' }), play(nth, 10 + (nth % 1_000))]);
      for (let again = 0; again < 2; again += 1)
        expect((await post(at(`/episodes/${app.username}.json`), app, actions)).status).toBe(200);
      expect(await told(app, lately())).toHaveLength(actions.length);
      expect(await told(app)).toHaveLength(actions.length);
      expect((await post(at(`/episodes/${app.username}.json`), app, [])).json.update_urls).toEqual([]);
    });
  });

  it('a list is written and read in each of its formats', async () => {
    const { app, device } = await listener();
    const at = (format: string) => `${base}/subscriptions/${app.username}/phone.${format}`;
    const feeds = [FEED, 'https://feeds.example/a?b=1&c=%22'];
    for (const format of ['json', 'txt', 'opml']) {
      await send(at('json'), { method: 'PUT', body: JSON.stringify(feeds), headers: basic(app) });
      const list = await send(at(format), { headers: basic(app) });
      expect(list.status).toBe(200);
      await send(at('json'), { method: 'PUT', body: '[]', headers: basic(app) });
      expect(await feedsOf(device)).toEqual([]);
      const put = await send(at(format), { method: 'PUT', body: list.text, headers: basic(app) });
      expect([put.status, put.text]).toEqual([200, '']);
      expect((await feedsOf(device)).sort()).toEqual([...feeds].sort());
    }
    expect((await send(at('xml'), { headers: basic(app) })).status).toBe(422);
    expect((await send(at('opml'), { method: 'PUT', body: '<opml', headers: basic(app) })).status).toBe(400);
    expect((await send(`${base}/subscriptions/${app.username}.txt`, { headers: basic(app) })).text).toBe(
      feeds.map((feed) => `${feed}\n`).join(''),
    );
  });

  it('what was told is exported, and goes with what is erased', async () => {
    const { app, device, own } = await listener();
    const body = JSON.stringify([{ podcast: FEED, episode: enclosure(1), action: 'download', device: 'phone' }]);
    await send(`${base}/api/2/episodes/${app.username}.json`, { method: 'POST', body, headers: basic(app) });
    const exported = (await device.get('/account/export')).body;
    expect(exported.devices).toMatchObject([{ device_id: 'phone' }]);
    expect(exported.events).toContainEqual(expect.objectContaining({ type: 'EpisodeActionReported' }));
    expect((await device.send('DELETE', '/history')).status).toBe(202);
    expect((await send(`${base}/api/2/episodes/${app.username}.json`, { headers: basic(app) })).json.actions).toEqual(
      [],
    );
    report(`of ${own.username} nothing is told any more`);
    expect(
      (
        await request(`${base}/api/v1/account`, {
          method: 'DELETE',
          token: device.token,
          body: { password: own.password },
        })
      ).status,
    ).toBe(202);
    expect((await send(`${base}/api/2/devices/${app.username}.json`, { headers: basic(app) })).status).toBe(401);
  });
});
