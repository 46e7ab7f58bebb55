import { Origin, startOrigin } from '@balados/feeds-fetch/testing';
import { waitFor } from '@balados/testing';
import { base64, base64Url, Device, login, newListener, register, request } from './support/client';
import { follow, signedPath } from './support/links';
import { SERVICES } from './support/logins';
import { DocumentedMetric, documentedMetrics, isOfNode, Metric, parseMetrics } from './support/metrics';
import { Kind, KINDS, startSystem, System } from './support/system';

const FEED = 'https://feeds.example/one.xml';
const OTHER = 'https://feeds.example/two.xml';
const ITEM = 'guid-1,https://media.example/1.mp3';
const XML = '<rss version="2.0"><channel><title>Show</title></channel></rss>';
/** What is 0, or is not there at all, while all is well. */
const QUIET = [
  'command_conflicts_total',
  'erasures_oldest_seconds',
  'erasures_pending',
  'play_journal_bytes',
  'play_journal_oldest_seconds',
  'play_journal_plays',
  'play_lost_total',
  'popularity_drift',
  'postgres_connections_waiting',
  'projector_events_queued',
  'projector_failed',
  'projector_retries',
  'rate_limit_refusals_total',
  'streams_due',
];

/** Each front door is tried on both ways to run the system: six processes, and one. */
describe.each(KINDS)('the listener’s API on %s', (kind) => {
  let system: System;
  let api: string;
  let origin: Origin;

  beforeAll(async () => {
    origin = await startOrigin((_request, response) => response.end(XML));
    system = await startSystem(kind, { FEEDS_ALLOW_PRIVATE: `127.0.0.1:${origin.port}` });
    api = system.listeners;
  }, 120_000);
  afterAll(async () => {
    await system?.stop();
    await origin?.close();
  }, 120_000);

  describe('accounts and sessions', () => {
    it('makes an account, logs in, and answers who one is', async () => {
      const credentials = await register(api);
      const device = await login(api, credentials);
      const { status, body } = await device.get('/account');
      expect(status).toBe(200);
      expect(body.account).toMatchObject({ user_id: device.userId, username: credentials.username });
    });

    it('refuses a taken name, whatever its case', async () => {
      const credentials = await register(api);
      const again = { ...credentials, username: credentials.username.toUpperCase() };
      const answer = await request(`${api}/api/v1/accounts`, { method: 'POST', body: again });
      expect(answer).toMatchObject({ status: 409, body: { code: 'username_taken' } });
    });

    it('answers a wrong password and an unknown name alike', async () => {
      const { username } = await register(api);
      const tries = [
        { username, password: 'not the password' },
        { username: 'nobody-is-called-this', password: 'not the password' },
      ];
      const answers = await Promise.all(
        tries.map((body) => request(`${api}/api/v1/auth/login`, { method: 'POST', body })),
      );
      for (const { status, body } of answers) expect([status, body.code]).toEqual([401, 'invalid_credentials']);
      expect(answers[0]!.body.detail).toBe(answers[1]!.body.detail);
    });

    it('refreshes, and after the logout neither token works', async () => {
      const device = await newListener(api);
      const refreshed = await request(`${api}/api/v1/auth/refresh`, {
        method: 'POST',
        body: { refresh_token: device.refreshToken },
      });
      expect(refreshed.status).toBe(200);
      expect((await device.send('POST', '/auth/logout')).status).toBe(200);
      expect((await device.get('/subscriptions')).body.code).toBe('revoked_session');
      const late = await request(`${api}/api/v1/auth/refresh`, {
        method: 'POST',
        body: { refresh_token: refreshed.body.refresh_token },
      });
      expect(late).toMatchObject({ status: 401, body: { code: 'invalid_refresh_token' } });
    });

    it('publishes its verification key and nothing of the private one', async () => {
      const { status, body } = await request(`${api}/.well-known/jwks.json`);
      expect(status).toBe(200);
      expect(body.keys).toHaveLength(1);
      expect(Object.keys(body.keys[0]).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
    });

    it.each(['GET /subscriptions', 'GET /play', 'POST /sync', 'POST /play', 'GET /account'])(
      'lets nobody in at %s without a token',
      async (route) => {
        const [method, path] = route.split(' ') as [string, string];
        const { status, headers, body } = await request(`${api}/api/v1${path}`, { method });
        expect([status, body.code]).toEqual([401, 'no_token']);
        expect(headers.get('www-authenticate')).toBe('Bearer');
      },
    );
  });

  describe('subscriptions', () => {
    it('subscribes, shows it at once on another device, unsubscribes', async () => {
      const credentials = await register(api);
      const phone = await login(api, credentials, 'phone');
      const laptop = await login(api, credentials, 'laptop');
      const subscribed = await phone.subscribe(FEED);
      expect(subscribed).toMatchObject({
        status: 200,
        body: {
          status: 'success',
          data: { rss_source_feed: base64(FEED), rss_source_id: null, unsubscribed_at: null },
        },
      });
      expect((await laptop.get('/subscriptions')).body).toEqual({ subscriptions: [subscribed.body.data] });

      const unsubscribed = await laptop.unsubscribe(FEED);
      expect(unsubscribed.body.data.unsubscribed_at).not.toBeNull();
      expect((await phone.get('/subscriptions')).body).toEqual({ subscriptions: [] });
    });

    it('knows a feed by its canonical URL, in either alphabet', async () => {
      const device = await newListener(api);
      const sent = await device.send('POST', '/subscriptions', {
        rss_source_feed: base64Url(' HTTPS://Feeds.Example:443/One.xml?a=ü#top '),
      });
      expect(sent.body.data.rss_source_feed).toBe(base64('https://feeds.example/One.xml?a=ü'));
    });

    it.each([
      ['no base64', '%%%', 'invalid_base64'],
      ['no URL', base64('feeds.example/one.xml'), 'invalid_feed'],
      ['another scheme', base64('ftp://feeds.example/one.xml'), 'invalid_feed'],
      ['too long', base64(`https://feeds.example/${'x'.repeat(2_048)}`), 'invalid_feed'],
      ['control characters', base64('https://feeds.example/\u0000'), 'invalid_feed'],
    ])('refuses a feed that is %s and says where', async (_name, feed, code) => {
      const device = await newListener(api);
      const { status, headers, body } = await device.send('POST', '/subscriptions', { rss_source_feed: feed });
      expect(status).toBe(422);
      expect(headers.get('content-type')).toMatch('application/problem+json');
      expect(body.errors).toEqual([{ path: 'rss_source_feed', code, message: expect.any(String) }]);
      expect((await device.get('/subscriptions')).body.subscriptions).toEqual([]);
    });
  });

  describe('plays', () => {
    it('records a play and moves its position, with and without the feed', async () => {
      const device = await newListener(api);
      const played = await device.play(FEED, ITEM, 12.5);
      expect(played.body.data).toMatchObject({
        rss_source_feed: base64(FEED),
        rss_source_item: base64(ITEM),
        position: 12.5,
        played: false,
      });
      expect((await device.position(ITEM, 20)).body.data.position).toBe(20);
      expect((await device.position(ITEM, 30, FEED)).body.data.position).toBe(30);
      const { body } = await device.get('/play');
      expect(body.play_statuses).toMatchObject([{ rss_source_item: base64(ITEM), position: 30 }]);
      expect(body.pagination).toEqual({ limit: 50, offset: 0, total: 1 });
    });

    it('takes a position as the first thing that it ever hears of a listener', async () => {
      const device = await newListener(api);
      expect((await device.position(ITEM, 7, FEED)).body.data.position).toBe(7);
    });

    it('does not guess: an unknown item is 404, one of two feeds 409 with both', async () => {
      const device = await newListener(api);
      expect(await device.position(ITEM, 1)).toMatchObject({ status: 404, body: { code: 'episode_unknown' } });
      await device.play(FEED, ITEM, 1);
      await device.play(OTHER, ITEM, 2);
      const { status, body } = await device.position(ITEM, 3);
      expect([status, body.code, body.candidates]).toEqual([409, 'episode_ambiguous', [base64(FEED), base64(OTHER)]]);
      expect((await device.position(ITEM, 3, OTHER)).status).toBe(200);
    });

    it('lists the most recent first, by pages, of one feed if asked', async () => {
      const device = await newListener(api);
      for (const n of [1, 2, 3]) await device.play(FEED, `guid-${n},https://media.example/${n}.mp3`, n);
      await device.play(OTHER, ITEM, 9);
      const { body } = await device.get('/play?limit=2&offset=1');
      expect(body.play_statuses.map((play: { position: number }) => play.position)).toEqual([3, 2]);
      expect(body.pagination).toEqual({ limit: 2, offset: 1, total: 4 });
      expect((await device.get(`/play?feed=${base64Url(OTHER)}`)).body.pagination.total).toBe(1);
    });

    it.each(['limit=0', 'limit=101', 'limit=x', 'limit=1e1', 'offset=-1', 'offset=10001', 'limit=1&limit=2', 'feed=!'])(
      'refuses ?%s',
      async (query) => {
        const device = await newListener(api);
        const { status, body } = await device.get(`/play?${query}`);
        expect([status, body.code]).toEqual([422, 'invalid']);
      },
    );

    it.each([
      ['a negative position', { position: -1 }],
      ['a position past the end of time', { position: 10_000_001 }],
      ['a position in words', { position: 'ten' }],
      ['no position', {}],
      ['a list', []],
    ])('refuses %s', async (_name, body) => {
      const device = await newListener(api);
      const answer = await device.send('PUT', `/play/${base64Url(ITEM)}/position?feed=${base64Url(FEED)}`, body);
      expect(answer.status).toBe(422);
      expect((await device.get('/play')).body.pagination.total).toBe(0);
    });
  });

  describe('sync', () => {
    const at = (minute: number): string => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
    const subscription = (feed: string, subscribedAt: string, unsubscribedAt: string | null = null) => ({
      rss_source_feed: base64(feed),
      rss_source_id: null,
      subscribed_at: subscribedAt,
      unsubscribed_at: unsubscribedAt,
    });
    const play = (item: string, position: number, updatedAt: string) => ({
      rss_source_feed: base64(FEED),
      rss_source_item: base64(item),
      position,
      played: false,
      updated_at: updatedAt,
    });
    let phone: Device;
    let laptop: Device;
    beforeEach(async () => {
      const credentials = await register(api);
      phone = await login(api, credentials, 'phone');
      laptop = await login(api, credentials, 'laptop');
    });

    it('brings two devices together, tombstones included', async () => {
      await phone.sync({ subscriptions: [subscription(FEED, at(1)), subscription(OTHER, at(1), at(2))] });
      const { body } = await laptop.sync({ play_statuses: [play(ITEM, 5, at(3))] });
      expect(body).toMatchObject({ status: 'success', rejected: [], full: true });
      expect(body.data.subscriptions).toEqual([subscription(FEED, at(1)), subscription(OTHER, at(1), at(2))]);
      expect(body.data.play_statuses).toEqual([play(ITEM, 5, at(3))]);
      expect((await phone.sync({})).body.data).toEqual(body.data);
    });

    it('lets the newest win, whichever comes last', async () => {
      await phone.sync({ play_statuses: [play(ITEM, 50, at(10))] });
      const late = await laptop.sync({ play_statuses: [play(ITEM, 20, at(5))] });
      expect(late.body.data.play_statuses).toEqual([play(ITEM, 50, at(10))]);
      await laptop.sync({ play_statuses: [play(ITEM, 10, at(15))] });
      expect((await phone.sync({})).body.data.play_statuses).toEqual([play(ITEM, 10, at(15))]);
    });

    it('answers what changed since a token, and everything without one', async () => {
      const first = await phone.sync({
        play_statuses: [play(ITEM, 1, at(1))],
        subscriptions: [subscription(FEED, at(1))],
      });
      await laptop.sync({ play_statuses: [play('guid-2,https://media.example/2.mp3', 2, at(2))] });
      const next = await phone.sync({ since: first.body.sync_token });
      expect(next.body.full).toBe(false);
      expect(next.body.data.subscriptions).toEqual([]);
      expect(next.body.data.play_statuses).toEqual([play('guid-2,https://media.example/2.mp3', 2, at(2))]);
      const nothing = await phone.sync({ since: next.body.sync_token });
      expect(nothing.body.data).toEqual({ subscriptions: [], play_statuses: [], playlists: [] });
      expect((await phone.sync({ since: 'not of ours' })).body.full).toBe(true);
    });

    it('does not take another listener’s token for this one’s', async () => {
      const stranger = await newListener(api);
      const token = (await stranger.sync({ play_statuses: [play(ITEM, 1, at(1))] })).body.sync_token;
      await phone.sync({ play_statuses: [play(ITEM, 2, at(1))] });
      const { body } = await laptop.sync({ since: token });
      expect(body.full).toBe(true);
      expect(body.data.play_statuses).toHaveLength(1);
    });

    it('reports bad entries one by one and takes the others', async () => {
      const ahead = new Date(Date.now() + 25 * 3_600_000).toISOString();
      const { status, body } = await phone.sync({
        subscriptions: [subscription(FEED, at(1)), { rss_source_feed: '%%%', subscribed_at: at(1) }, null],
        play_statuses: [
          play(ITEM, 1, ahead),
          play(ITEM, -1, at(1)),
          play(ITEM, 3, at(2)),
          { ...play(ITEM, 1, at(1)), updated_at: 'soon' },
        ],
        playlists: [{ id: 'x' }],
      });
      expect(status).toBe(200);
      expect(body.rejected).toEqual([
        { path: 'subscriptions[1].rss_source_feed', code: 'invalid_base64', message: expect.any(String) },
        { path: 'subscriptions[2]', code: 'invalid', message: expect.any(String) },
        { path: 'play_statuses[0]', code: 'clock_ahead', message: expect.any(String) },
        { path: 'play_statuses[1].position', code: 'invalid', message: expect.any(String) },
        { path: 'play_statuses[3].updated_at', code: 'invalid_time', message: expect.any(String) },
        { path: 'playlists[0].id', code: 'invalid', message: expect.any(String) },
      ]);
      expect(body.data.subscriptions).toEqual([subscription(FEED, at(1))]);
      expect(body.data.play_statuses).toEqual([play(ITEM, 3, at(2))]);
    });

    it('takes and answers times of a device whose clock is off in that device’s own time', async () => {
      const off = 3 * 3_600_000;
      const item = play(ITEM, 1, new Date(Date.now() + off - 60_000).toISOString());
      const clientTime = (): string => new Date(Date.now() + off).toISOString();
      const first = await phone.sync({ client_time: clientTime(), play_statuses: [item] });
      expect(first.body.data.play_statuses).toEqual([item]);
      const seen = Date.parse((await laptop.sync({})).body.data.play_statuses[0].updated_at);
      expect(Math.abs(seen - (Date.now() - 60_000))).toBeLessThanOrEqual(60_000);
    });

    it('does not take for news what a device with a wrong clock sends back as it was answered', async () => {
      const clientTime = (): string => new Date(Date.now() - 3_600_000).toISOString();
      await laptop.sync({ play_statuses: [play(ITEM, 10, at(1))], subscriptions: [subscription(FEED, at(1))] });
      let held = (await phone.sync({ client_time: clientTime() })).body;
      const { sync_token } = (await laptop.sync({})).body;
      for (let again = 0; again < 3; again += 1) {
        const { subscriptions, play_statuses } = held.data;
        held = (await phone.sync({ client_time: clientTime(), subscriptions, play_statuses })).body;
      }
      const news = await laptop.sync({ since: sync_token });
      expect(news.body.data).toMatchObject({ subscriptions: [], play_statuses: [] });
    });

    it.each([{ subscriptions: {} }, { play_statuses: 'all' }, { playlists: null }, []])(
      'refuses whole a list that is none: %j',
      async (body) => {
        expect((await phone.sync(body)).status).toBe(422);
      },
    );

    it('leaves alone what a body leaves out', async () => {
      await phone.sync({ subscriptions: [subscription(FEED, at(1))], play_statuses: [play(ITEM, 1, at(1))] });
      const { body } = await laptop.sync({ subscriptions: [], play_statuses: [] });
      expect([body.data.subscriptions.length, body.data.play_statuses.length]).toEqual([1, 1]);
    });
  });

  describe('answers to bad requests', () => {
    it.each([
      ['no JSON', '{', 'application/json', 400, 'malformed'],
      ['JSON nested 33 deep', `${'['.repeat(33)}${']'.repeat(33)}`, 'application/json', 400, 'malformed'],
      ['a form', 'a=b', 'application/x-www-form-urlencoded', 415, 'unsupported_media_type'],
      ['more than a megabyte', JSON.stringify('x'.repeat(1_048_576)), 'application/json', 413, 'too_large'],
    ])('refuses %s', async (_name, body, type, status, code) => {
      const device = await newListener(api);
      const answer = await request(`${api}/api/v1/sync`, {
        method: 'POST',
        body,
        token: device.token,
        headers: { 'content-type': type },
      });
      expect(answer).toMatchObject({ status, body: { status, code, errors: [], type: 'about:blank' } });
      expect(answer.headers.get('content-type')).toMatch('application/problem+json');
    });

    it.each(['/nothing/here', '/api/v1/nothing', '/api/v1/%zz'])('answers 4xx at %s', async (path) => {
      const { status, headers } = await request(`${api}${path}`);
      expect([400, 404]).toContain(status);
      expect(headers.get('content-type')).toMatch('application/problem+json');
    });
  });

  describe('the public’s API', () => {
    it('lists what two listeners share, names nobody, and hides what one alone hears', async () => {
      const feed = `https://feeds.example/${Date.now()}.xml`;
      const alone = `https://feeds.example/alone-${Date.now()}.xml`;
      const [ada, bob] = [await newListener(api), await newListener(api)];
      await ada.subscribe(alone);
      for (const listener of [ada, bob]) {
        await listener.subscribe(feed);
        await listener.play(feed, ITEM, 10);
        await listener.position(ITEM, 20, feed);
      }
      const popularity = `${system.public}/api/v1/public/feed/${base64Url(feed)}/popularity`;
      await waitFor(async () => (await request(popularity)).body.podcast?.score === 30, { what: 'a score of 30' });
      const { body } = await request(popularity);
      expect(body.podcast).toMatchObject({ rss_source_feed: base64(feed), plays: 2, plays_people: [], likes: 0 });

      const trending = await request(`${system.public}/api/v1/public/trending/podcasts?limit=100`);
      expect(trending.body.podcasts.map((podcast: { rss_source_feed: string }) => podcast.rss_source_feed)).toContain(
        base64(feed),
      );
      expect(JSON.stringify(trending.body)).not.toContain(base64(alone));
      const hidden = await request(`${system.public}/api/v1/public/feed/${base64Url(alone)}/popularity`);
      expect(hidden).toMatchObject({ status: 404, body: { code: 'not_public' } });

      const episode = await request(
        `${system.public}/api/v1/public/episode/${base64Url(ITEM)}/popularity?feed=${base64Url(feed)}`,
      );
      expect(episode.body.episode).toMatchObject({ rss_source_item: base64(ITEM), score: 10, plays: 2 });
      const episodes = await request(`${system.public}/api/v1/public/trending/episodes?feed=${base64Url(feed)}`);
      expect(episodes.body.episodes).toHaveLength(1);

      const timeline = await request(`${system.public}/api/v1/public/timeline?feed=${base64Url(feed)}`);
      expect(timeline.body.events.map((event: { event_type: string }) => event.event_type).sort()).toEqual([
        'play',
        'play',
        'subscribe',
        'subscribe',
      ]);
      for (const event of timeline.body.events) expect(event.user_id).toBeNull();
    });

    it.each(['trending/podcasts?limit=0', 'timeline?event_type=sleep', 'timeline?offset=10001', 'feed/!!/popularity'])(
      'refuses %s',
      async (path) => {
        expect((await request(`${system.public}/api/v1/public/${path}`)).status).toBe(422);
      },
    );
  });

  describe('operation', () => {
    it('says that it is alive and ready, and counts its requests, in every process', async () => {
      for (const { name, url } of Object.values(system.processes)) {
        if (name === 'eventstore') continue;
        expect((await request(`${url}/healthz`)).status).toBe(200);
        expect((await request(`${url}/readyz`)).body.ready).toBe(true);
        expect((await request(`${url}/metrics`)).body).toMatch(/http_request_duration_seconds_count\{/);
      }
    });

    it('measures what docs/metrics.md says, nothing else, and nobody', async () => {
      const feed = `http://127.0.0.1:${origin.port}/measured.xml`;
      const device = await newListener(api);
      const { token } = (await device.send('POST', '/tokens', { name: 'links' })).body;
      const door = system.processes['play-gateway']?.url ?? api;
      expect(await follow(door, signedPath(token, feed, ITEM))).toMatchObject({ status: 302 });
      for (const _ of [1, 2])
        expect((await request(`${system.feeds}/api/v1/rss/proxy/${base64Url(feed)}`)).status).toBe(200);
      // Given again, as it is for a moment.
      const lists = await Promise.all([1, 2].map(() => fetch(`${system.public}/api/v1/public/trending/podcasts`)));
      expect(lists.map(({ status }) => status)).toEqual([200, 200]);

      // A device that listens for changes, for as long as is measured.
      const listening = new AbortController();
      const { signal } = listening;
      await fetch(`${api}/api/v1/events`, { headers: { authorization: `Bearer ${device.token}` }, signal });

      const documented = documentedMetrics();
      const found = await waitFor(
        async () => {
          const all = await measured();
          expect(
            documented.map(({ name }) => name).filter((name) => !QUIET.includes(name) && !hasMoved(all, name)),
          ).toEqual([]);
          return all;
        },
        { what: 'every metric to move', timeoutMs: 20_000 },
      );
      listening.abort();
      for (const [service, metrics] of Object.entries(found)) {
        const expected = documented.filter(({ services }) => isSaidBy(services, service, kind));
        const names = [...metrics.keys()].filter((name) => !isOfNode(name) || name.endsWith('_limit_bytes'));
        expect([service, names.sort()]).toEqual([service, expected.map(({ name }) => name).sort()]);
        for (const metric of expected) expectLabels(metric, metrics.get(metric.name)!, service);
        const values = [...metrics.values()].flatMap(({ samples }) =>
          samples.flatMap(({ labels }) => Object.values(labels)),
        );
        for (const secret of ['://', device.userId, token, base64Url(feed)])
          expect(values.filter((value) => value.includes(secret))).toEqual([]);
      }
    });

    it('measures every service, also where they are one process', async () => {
      const ready = Object.values(await measured()).flatMap((metrics) => metrics.get('service_ready')!.samples);
      expect(ready.map(({ labels }) => labels['service']).sort()).toEqual([...SERVICES].sort());
      expect(ready.map(({ value }) => value)).toEqual(SERVICES.map(() => 1));
    });

    /** By process. */
    async function measured(): Promise<Record<string, Map<string, Metric>>> {
      const services = Object.values(system.processes).filter(({ name }) => name !== 'eventstore');
      const read = services.map(async ({ name, url }) => [
        name,
        parseMetrics(await (await fetch(`${url}/metrics`)).text()),
      ]);
      return Object.fromEntries(await Promise.all(read));
    }

    it('logs no password and no token', async () => {
      const credentials = await register(api);
      const device = await login(api, credentials);
      await device.get('/subscriptions');
      const logs = Object.values(system.processes).flatMap(({ lines }) => lines);
      for (const secret of [credentials.password, device.token, device.refreshToken]) {
        expect(logs.filter((line) => line.includes(secret))).toEqual([]);
      }
    });
  });
});

const isSaidBy = (services: string[], process: string, kind: Kind): boolean =>
  kind === 'standalone' || services.includes('all') || services.includes(process);

const hasMoved = (found: Record<string, Map<string, Metric>>, name: string): boolean =>
  Object.values(found).some((metrics) => metrics.get(name)?.samples.some(({ value }) => value > 0));

/** All samples have the labels that are documented, and are of services that are. */
function expectLabels(
  { name, labels, services, isHistogram }: DocumentedMetric,
  { type, samples }: Metric,
  process: string,
): void {
  expect([name, type === 'histogram']).toEqual([name, isHistogram]);
  for (const { labels: said } of samples) {
    const { service, le: _, ...own } = said;
    expect([name, Object.keys(own).sort()]).toEqual([name, [...labels].sort()]);
    if (process !== 'standalone') expect([name, service]).toEqual([name, process]);
    else if (!services.includes('all')) expect([name, services]).toEqual([name, expect.arrayContaining([service])]);
  }
}
