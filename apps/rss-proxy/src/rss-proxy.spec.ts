import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { openFeedsClient } from '@balados/feeds-client';
import { Origin, startOrigin } from '@balados/feeds-fetch/testing';
import { encodeBase64Url } from '@balados/feeds-ids';
import { createLogger, listen, Listener, readConfig } from '@balados/platform-service';
import { waitFor } from '@balados/testing';
import { RssProxy, start, startAlone } from './index';
import { aloneConfig, config } from './config';

const EPISODES = ['one', 'two', 'three'];
const FEED = `<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel>
<title>Pond – Report</title><link>https://pond.example/</link><itunes:author>Frog</itunes:author>
<itunes:image href="https://pond.example/cover.jpg"/>
${EPISODES.map((name) => `<item><title>${name}</title><guid>${name}</guid><enclosure url="https://media.example/${name}.mp3"/><itunes:duration>1:30</itunes:duration></item>`).join('\n')}
</channel></rss>`;
const log = createLogger('test', 'fatal');

describe('rss-proxy', () => {
  let origin: Origin;
  let proxy: RssProxy;
  let listener: Listener;
  /** By how much the proxy's clock is ahead, in milliseconds. */
  let ahead = 0;
  /** By path; what is not named is the feed. */
  const answers: Record<string, Parameters<typeof startOrigin>[0]> = {
    '/latin.xml': (_request, response) =>
      response.end(
        Buffer.from(
          '  <?xml version="1.0" encoding="iso-8859-1"?><rss><channel><title>é & b</title></channel></rss>',
          'latin1',
        ),
      ),
    '/page.html': (_request, response) => response.end('<html><body>Sorry</body></html>'),
    '/broken.xml': (_request, response) => response.end('<rss><channel>'),
    '/subset.xml': (_request, response) => response.end('<!DOCTYPE rss [<!ENTITY a "b">]><rss/>'),
    '/missing.xml': (_request, response) => response.writeHead(404).end(),
    '/gone.xml': (_request, response) => response.writeHead(410).end(),
    '/closed.xml': (_request, response) => response.writeHead(401).end(),
    '/failing.xml': (_request, response) => response.writeHead(503, { 'retry-after': '100' }).end(),
    '/much.xml': (_request, response) => response.writeHead(200, { 'content-length': '99999999' }).end(),
    '/inward.xml': (_request, response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
    '/endless-title.xml': (_request, response) =>
      response.end(`<rss><channel><title>${'a'.repeat(200_000)}</title></channel></rss>`),
    '/endless-name.xml': (_request, response) => response.end(`<rss><${'a'.repeat(200_000)}>`),
    '/loop.xml': (_request, response) => response.writeHead(302, { location: '/loop.xml' }).end(),
    '/moved.xml': (_request, response) => response.writeHead(301, { location: '/feed.xml' }).end(),
  };
  const settings = () =>
    readConfig(config, {
      FEEDS_ALLOW_PRIVATE: `127.0.0.1:${origin.port}`,
      // Nobody listens there: feeds are proxied all the same.
      USERS_DATABASE_URL: 'postgres://127.0.0.1:1/none',
      LINK_KEYS: randomBytes(32).toString('base64url'),
      RATE_ADDRESS: '0',
      LOG_LEVEL: 'fatal',
    });

  beforeAll(async () => {
    origin = await startOrigin((request, response) => {
      const answer = answers[request.url!.split('?')[0]!];
      if (answer) answer(request, response);
      else response.writeHead(200, { 'content-type': 'text/xml' }).end(FEED);
    });
    proxy = await start(settings(), log, () => Date.now() + ahead);
    listener = await listen(proxy.handle, { port: 0, host: '127.0.0.1' });
  });
  afterAll(async () => {
    await listener?.close();
    await proxy?.close();
    await origin?.close();
  });

  const url = (path: string): string => `http://127.0.0.1:${origin.port}${path}`;
  const door = (...parts: string[]): string =>
    `http://127.0.0.1:${listener.port}/api/v1/rss/proxy/${parts.map(encodeBase64Url).join('/')}`;
  /** Without any help: what is compressed comes as it is. */
  const ask = (
    address: string,
    { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
  ) =>
    new Promise<{ status: number; headers: Record<string, string>; body: Buffer }>((resolve, reject) => {
      const sent = httpRequest(address, { method, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode!,
            headers: response.headers as Record<string, string>,
            body: Buffer.concat(chunks),
          }),
        );
      });
      sent.on('error', reject).end();
    });

  it('gives a feed to any site, to be shown and not run', async () => {
    const { status, headers, body } = await ask(door(url('/feed.xml')), { headers: { origin: 'https://app.example' } });
    expect([status, body.toString()]).toEqual([200, FEED]);
    expect(headers).toMatchObject({
      'content-type': 'application/xml; charset=utf-8',
      'access-control-allow-origin': '*',
      'access-control-expose-headers': expect.stringContaining('Balados-Stale'),
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining('sandbox'),
      'cache-control': expect.stringMatching(/^public, max-age=(300|29\d)$/),
      age: expect.stringMatching(/^\d$/),
      etag: expect.stringMatching(/^"[\w-]{43}"$/),
      vary: expect.stringContaining('accept-encoding'),
      'content-length': String(Buffer.byteLength(FEED)),
    });
    expect(headers['balados-stale']).toBeUndefined();
  });

  it('asks its origin once', async () => {
    for (let times = 0; times < 3; times += 1) await ask(door(url('/once.xml')));
    expect(origin.requests.filter(({ url: path }) => path === '/once.xml')).toHaveLength(1);
  });

  it('says 304 of what the client holds, in each coding', async () => {
    const first = await ask(door(url('/feed.xml')));
    const compressed = await ask(door(url('/feed.xml')), { headers: { 'accept-encoding': 'gzip' } });
    expect(compressed.headers['etag']).not.toBe(first.headers['etag']);
    for (const [etag, headers] of [
      [first.headers['etag']!, {}],
      [`W/${first.headers['etag']}`, {}],
      [compressed.headers['etag']!, { 'accept-encoding': 'gzip' }],
    ] as const) {
      const again = await ask(door(url('/feed.xml')), { headers: { ...headers, 'if-none-match': etag } });
      expect([again.status, again.body.length]).toEqual([304, 0]);
      expect(again.headers).toMatchObject({
        etag: etag.replace('W/', ''),
        'cache-control': expect.stringMatching(/^public/),
      });
    }
    const other = await ask(door(url('/feed.xml')), { headers: { 'if-none-match': '"other"' } });
    expect(other.status).toBe(200);
  });

  it.each([
    ['gzip', true],
    ['br, gzip;q=0.5', true],
    ['GZIP', true],
    ['*', true],
    ['gzip;q=0', false],
    ['gzip;q=0.000, *', false],
    ['*;q=0', false],
    ['br', false],
    ['identity', false],
    ['', false],
  ])('compresses for who accepts %j: %s', async (accepted, isCompressed) => {
    const { headers, body } = await ask(door(url('/feed.xml')), { headers: { 'accept-encoding': accepted } });
    expect(headers['content-encoding']).toBe(isCompressed ? 'gzip' : undefined);
    expect(headers['content-length']).toBe(String(body.length));
    expect((isCompressed ? gunzipSync(body) : body).toString()).toBe(FEED);
  });

  it('answers HEAD and OPTIONS', async () => {
    const head = await ask(door(url('/feed.xml')), { method: 'HEAD' });
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(head.headers).toMatchObject({
      'content-length': String(Buffer.byteLength(FEED)),
      'content-type': 'application/xml; charset=utf-8',
      etag: (await ask(door(url('/feed.xml')))).headers['etag'],
    });
    const options = await ask(door(url('/feed.xml')), {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example', 'access-control-request-method': 'GET' },
    });
    expect(options.status).toBe(204);
    expect(options.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': expect.stringContaining('GET'),
    });
  });

  it('keeps a feed with credentials to those who know them', async () => {
    for (const feed of [url('/feed.xml?token=abc'), `http://ada:secret@127.0.0.1:${origin.port}/feed.xml`]) {
      expect((await ask(door(feed))).headers['cache-control']).toMatch(/^private, max-age=\d+$/);
      expect((await ask(door(feed, 'one,https://media.example/one.mp3'))).headers['cache-control']).toMatch(/^private/);
    }
  });

  it('says how old a copy is, and marks it when its origin fails', async () => {
    const feed = url('/aging.xml');
    const item = 'one,https://media.example/one.mp3';
    await ask(door(feed));
    try {
      ahead = 100_000;
      for (const parts of [[feed], [feed, item]]) {
        const { headers } = await ask(door(...parts));
        expect(headers).toMatchObject({
          age: expect.stringMatching(/^10\d$/),
          'cache-control': expect.stringMatching(/^public, max-age=(200|19\d)$/),
        });
        expect(headers['balados-stale']).toBeUndefined();
      }
      answers['/aging.xml'] = (_request, response) => response.writeHead(500).end();
      ahead = 7_200_000;
      for (const parts of [[feed], [feed, item]]) {
        const { status, headers, body } = await ask(door(...parts));
        expect([status, body.toString()]).toEqual([200, expect.stringContaining('<title>one</title>')]);
        expect(headers).toMatchObject({
          age: expect.stringMatching(/^72\d\d$/),
          'cache-control': 'public, max-age=0',
          'balados-stale': 'true',
        });
      }
      delete answers['/aging.xml'];
      ahead += 31_000;
      const back = await waitFor(
        async () => {
          const { headers } = await ask(door(feed));
          return headers['balados-stale'] === undefined ? headers : undefined;
        },
        { what: 'the origin to be back' },
      );
      expect(back['age']).toMatch(/^\d$/);
    } finally {
      ahead = 0;
    }
  });

  it('sends UTF-8, whatever came', async () => {
    const { body } = await ask(door(url('/latin.xml')));
    expect(body.toString()).toMatch(/^<\?xml .*<title>é &amp; b<\/title>/);
    expect(body.toString()).not.toMatch(/iso-8859-1/i);
  });

  describe('gives one item', () => {
    const item = (text: string) => ask(door(url('/feed.xml'), text));

    it('whose guid and enclosure are as named', async () => {
      const { status, headers, body } = await item('two,https://media.example/two.mp3');
      expect(status).toBe(200);
      expect(body.toString()).toContain('<title>two</title>');
      expect(body.toString()).toContain('<title>Pond – Report</title>');
      expect(body.toString()).not.toMatch(/<title>(one|three)</);
      expect(headers).toMatchObject({
        'content-type': 'application/xml; charset=utf-8',
        'cache-control': expect.stringMatching(/^public, max-age=/),
        'content-security-policy': expect.stringContaining('sandbox'),
      });
      const again = await ask(door(url('/feed.xml'), 'two,https://media.example/two.mp3'), {
        headers: { 'if-none-match': headers['etag']! },
      });
      expect(again.status).toBe(304);
    });

    it.each([
      'two,https://media.example/one.mp3',
      'two,',
      'four,https://media.example/two.mp3',
      ',https://media.example/two.mp3',
    ])('and not that of %s', async (text) => {
      const { status, body } = await item(text);
      expect([status, JSON.parse(body.toString()).code]).toEqual([404, 'not_in_feed']);
    });
  });

  describe('says what is wrong', () => {
    it.each([
      ['/page.html', 502, 'not_a_feed'],
      ['/broken.xml', 502, 'not_a_feed'],
      ['/endless-name.xml', 502, 'not_a_feed'],
      ['/subset.xml', 502, 'not_a_feed'],
      ['/missing.xml', 502, 'feed_not_found'],
      ['/gone.xml', 410, 'feed_gone'],
      ['/closed.xml', 502, 'feed_access_denied'],
      ['/failing.xml', 502, 'feed_origin_failed'],
      ['/much.xml', 502, 'feed_too_large'],
      ['/loop.xml', 502, 'feed_too_many_redirects'],
      ['/inward.xml', 403, 'feed_address_not_allowed'],
    ])('with %s: %i %s', async (path, status, code) => {
      for (const parts of [[url(path)], [url(path), 'a,']]) {
        const answer = await ask(door(...parts), { headers: { origin: 'https://app.example' } });
        const body = JSON.parse(answer.body.toString()) as { code: string; detail: string; title: string };
        expect([answer.status, body.code]).toEqual([status, code]);
        expect(body.detail).toMatch(/^[A-Z].{1,300}\.$/);
        expect(body.title).not.toBe('Error');
        expect(answer.headers).toMatchObject({
          'content-type': expect.stringMatching(/^application\/problem\+json/),
          'cache-control': 'no-store',
          'access-control-allow-origin': '*',
          'retry-after':
            path === '/failing.xml' ? expect.stringMatching(/^(100|99)$/) : expect.stringMatching(/^(30|29)$/),
        });
      }
      expect(origin.requests.filter(({ url: asked }) => asked === path).length).toBeLessThanOrEqual(6);
    });

    it.each([
      ['http://127.0.0.1:1/', 403, 'feed_port_not_allowed'],
      ['http://127.0.0.1/', 403, 'feed_address_not_allowed'],
      ['http://[::ffff:10.0.0.1]/', 403, 'feed_address_not_allowed'],
      ['ftp://feeds.example/', 422, 'invalid'],
      ['not a URL', 422, 'invalid'],
    ])('with %s: %i %s', async (feed, status, code) => {
      const { status: given, body } = await ask(door(feed));
      expect([given, JSON.parse(body.toString()).code]).toEqual([status, code]);
    });
  });

  it('says 503 of personal feeds while the tokens cannot be read', async () => {
    const personal = `http://127.0.0.1:${listener.port}/api/v1/rss/user/${randomBytes(32).toString('base64url')}/subscriptions`;
    const { status, headers, body } = await ask(personal);
    expect([status, JSON.parse(body.toString()).code]).toEqual([503, 'unavailable']);
    expect(headers).toMatchObject({ 'retry-after': '5', 'cache-control': 'no-store' });
  });

  it('tells other services of its process', async () => {
    const feed = url('/feed.xml');
    expect(await proxy.feeds.episode({ feed, item: 'two,https://media.example/two.mp3' })).toEqual({
      enclosure: 'https://media.example/two.mp3',
      durationS: 90,
    });
    expect(await proxy.feeds.episode({ feed, item: 'two,https://media.example/three.mp3' })).toBeNull();
    expect(await proxy.feeds.metadata({ feed: url('/moved.xml') })).toEqual({
      title: 'Pond – Report',
      author: 'Frog',
      link: 'https://pond.example/',
      cover: { src: 'https://pond.example/cover.jpg', srcset: null },
      blocked: false,
      gone: false,
      movedTo: feed,
    });
    expect(await proxy.feeds.metadata({ feed: url('/gone.xml') })).toMatchObject({ gone: true, title: null });
    await expect(proxy.feeds.metadata({ feed: url('/page.html') })).rejects.toMatchObject({
      name: 'FeedUnavailable',
      code: 'not_a_feed',
    });
  });

  it('tells those of other processes, when it is alone', async () => {
    const lines: { feedsPort?: number }[] = [];
    const alone = await startAlone(
      { ...settings(), ...readConfig(aloneConfig.pick({ FEEDS_HOST: true, FEEDS_PORT: true }), { FEEDS_PORT: '0' }) },
      { ...log, info: (fields: object) => void lines.push(fields), child: () => log } as never,
    );
    const { feedsPort } = await waitFor(() => lines.find((line) => line.feedsPort), { what: 'its port' });
    const client = openFeedsClient(`tcp://127.0.0.1:${feedsPort}`);
    const of = { feed: url('/feed.xml'), item: 'one,https://media.example/one.mp3' };
    expect(await client.episode(of)).toEqual(await proxy.feeds.episode(of));
    await expect(client.episode({ ...of, feed: url('/gone.xml') })).rejects.toMatchObject({ code: 'feed_gone' });
    // No feed says more than a message holds: whoever else asks meanwhile would go without an answer.
    const [endless, unread, other] = await Promise.allSettled([
      client.metadata({ feed: url('/endless-title.xml') }),
      client.metadata({ feed: url('/endless-name.xml') }),
      client.episode(of),
    ]);
    expect(endless).toMatchObject({ value: { title: expect.stringMatching(/^a{1024}$/) } });
    expect(unread).toMatchObject({ reason: { code: 'not_a_feed' } });
    expect(other.status).toBe('fulfilled');
    client.close();
    await alone.close();
  });
});
