import { IncomingMessage, ServerResponse } from 'node:http';
import { waitFor } from '@balados/testing';
import { createFeedCache, FeedCache, WatchedFeeds } from './feed-cache';
import { createFetcher, FetcherOptions } from './fetch-feed';
import { FAILURE_KEPT_MS, FRESH_MS, SHARED_WAIT_MS, STALE_IF_ERROR_MS, STALE_WHILE_REVALIDATE_MS } from './limits';
import { Origin, startOrigin } from './testing';
import { Redis, startRedis } from './redis.fixture';
import { openSharedTier, SharedTier } from './shared-tier';

const START = Date.parse('2026-03-01T12:00:00Z');
const SECOND = 1_000;
/** Distinct feeds that go through the cache, over real connections. */
const FEEDS = process.env.LONG_TESTS === '1' ? 10_000 : 2_000;

interface Page {
  text: string;
  weight: number;
}
const read = (bytes: Uint8Array): Page => {
  const text = Buffer.from(bytes).toString();
  if (text.startsWith('<html')) throw new Error('not a feed');
  return { text, weight: bytes.length };
};

describe('the cache', () => {
  const open: { close(): Promise<void> }[] = [];
  const opened = <Each extends { close(): Promise<void> }>(each: Each): Each => {
    open.unshift(each);
    return each;
  };
  let now: number;
  let origin: Origin;
  /** What the origin answers; by default its version, with an ETag. */
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  let version: number;
  beforeEach(async () => {
    now = START;
    version = 1;
    answer = ({ headers, url }, response) => {
      const etag = `"${version}"`;
      if (headers['if-none-match'] === etag) response.writeHead(304, { etag }).end();
      else response.writeHead(200, { etag }).end(`<rss>${url} ${version}</rss>`);
    };
    origin = opened(await startOrigin((request, response) => answer(request, response)));
  });
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close();
  });

  const cacheOf = ({
    shared,
    limits,
    ...bounds
  }: {
    shared?: SharedTier<Page>;
    limits?: FetcherOptions['limits'];
    maxFeeds?: number;
    maxBytes?: number;
  } & WatchedFeeds = {}): FeedCache<Page> => {
    const fetcher = opened(
      createFetcher({ allowPrivate: [`127.0.0.1:${origin.port}`], limits: { timeoutMs: 5_000, ...limits } }),
    );
    return opened(createFeedCache({ fetcher, read, shared, now: () => now, ...bounds }));
  };
  const url = (path = '/feed.xml'): string => `http://127.0.0.1:${origin.port}${path}`;
  const fails = (status: number, headers: Record<string, string> = {}): void => {
    answer = (_request, response) => response.writeHead(status, headers).end();
  };
  const failure = (asked: Promise<unknown>): Promise<unknown> =>
    asked.then(() => 'it was given').catch((error) => error);

  it('asks once for twenty who want a cold feed at once', async () => {
    const cache = cacheOf();
    const waiting: ServerResponse[] = [];
    answer = (_request, response) => waiting.push(response);
    const asked = Array.from({ length: 20 }, () => cache.get(url()));
    await waitFor(() => waiting.length, { what: 'the request' });
    waiting[0]!.end('<rss>one</rss>');
    const found = await Promise.all(asked);
    expect(found.map(({ document }) => document.text)).toEqual(new Array(20).fill('<rss>one</rss>'));
    expect(origin.requests).toHaveLength(1);
  });

  it('gives the same bytes for five minutes, then again while it asks whether they stand', async () => {
    const cache = cacheOf();
    const first = await cache.get(url());
    now += FRESH_MS - 1;
    expect(await cache.get(url())).toEqual(first);
    expect(origin.requests).toHaveLength(1);

    now += 1;
    expect(await cache.get(url())).toEqual(first);
    await waitFor(async () => (await cache.get(url())).checkedAt === now, { what: 'the origin to vouch for it' });
    expect(origin.requests.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, '"1"']);
    // Nothing was read anew.
    expect((await cache.get(url())).document).toBe(first.document);
  });

  it('gives the old copy while it fetches a newer one', async () => {
    const cache = cacheOf();
    await cache.get(url());
    version = 2;
    now += FRESH_MS;
    expect(await cache.get(url())).toMatchObject({ document: { text: '<rss>/feed.xml 1</rss>' }, isStale: false });
    await waitFor(async () => (await cache.get(url())).document.text === '<rss>/feed.xml 2</rss>', {
      what: 'version 2',
    });
    expect(origin.requests).toHaveLength(2);
  });

  it('waits for the origin when the copy is old', async () => {
    const cache = cacheOf();
    await cache.get(url());
    version = 2;
    now += STALE_WHILE_REVALIDATE_MS;
    expect((await cache.get(url())).document.text).toBe('<rss>/feed.xml 2</rss>');
  });

  it.each([
    ['answers 500', () => fails(500)],
    ['answers 404', () => fails(404)],
    ['cuts connections', () => (answer = ({ socket }) => socket.destroy())],
    ['sends another document', () => (answer = (_request, response) => response.end('<html>sorry</html>'))],
    ['does not answer', () => (answer = () => undefined)],
  ])('gives the old copy, marked, while the origin %s, and the new one when it is back', async (_name, goDown) => {
    const cache = cacheOf({ limits: { timeoutMs: 150 } });
    const first = await cache.get(url());
    const whenUp = answer;
    goDown();
    now += STALE_WHILE_REVALIDATE_MS;
    expect(await cache.get(url())).toEqual({ ...first, isStale: true });
    expect(origin.requests).toHaveLength(2);
    // It is not asked again at once.
    expect(await cache.get(url())).toEqual({ ...first, isStale: true });
    now += FAILURE_KEPT_MS - 1;
    expect(await cache.get(url())).toEqual({ ...first, isStale: true });
    expect(origin.requests).toHaveLength(2);

    answer = whenUp;
    version = 2;
    now += 1;
    expect(await cache.get(url())).toMatchObject({
      document: { text: '<rss>/feed.xml 2</rss>' },
      isStale: false,
      checkedAt: now,
    });
  });

  it('marks what it gives while it asks an origin that failed before', async () => {
    const cache = cacheOf();
    await cache.get(url());
    fails(500);
    now += FRESH_MS;
    expect((await cache.get(url())).isStale).toBe(false);
    await waitFor(async () => (await cache.get(url())).isStale, { what: 'the failure to be known' });
    now += FAILURE_KEPT_MS;
    expect((await cache.get(url())).isStale).toBe(true);
  });

  it('gives an old copy for a day and no longer', async () => {
    const cache = cacheOf();
    await cache.get(url());
    fails(500);
    now += STALE_IF_ERROR_MS - 1;
    expect((await cache.get(url())).isStale).toBe(true);
    now += 1;
    expect(await failure(cache.get(url()))).toMatchObject({ code: 'origin_failed' });
    now += FAILURE_KEPT_MS;
    expect(await failure(cache.get(url()))).toMatchObject({ code: 'origin_failed' });
  });

  it('remembers a failure for half a minute, whatever it was', async () => {
    const cache = cacheOf();
    fails(500);
    const first = await failure(cache.get(url('/failing.xml')));
    answer = (_request, response) => response.end('<html>');
    const second = await failure(cache.get(url('/other.xml')));
    now += FAILURE_KEPT_MS - 1;
    expect(await failure(cache.get(url('/failing.xml')))).toBe(first);
    expect(await failure(cache.get(url('/other.xml')))).toBe(second);
    expect(origin.requests).toHaveLength(2);
    now += 1;
    answer = (_request, response) => response.end('<rss/>');
    expect((await cache.get(url('/failing.xml'))).isStale).toBe(false);
    expect((await cache.get(url('/other.xml'))).isStale).toBe(false);
  });

  it('remembers it for as long as the origin asks', async () => {
    const cache = cacheOf();
    fails(429, { 'retry-after': '120' });
    await failure(cache.get(url()));
    now += 119 * SECOND;
    expect(await failure(cache.get(url()))).toMatchObject({ code: 'rate_limited' });
    expect(origin.requests).toHaveLength(1);
    now += SECOND;
    await failure(cache.get(url()));
    expect(origin.requests).toHaveLength(2);
  });

  it('gives no more of what was taken away', async () => {
    const cache = cacheOf();
    await cache.get(url());
    await cache.get(url('/feed.xml?token=abc'));
    await cache.get(url('/closed.xml'));
    now += STALE_WHILE_REVALIDATE_MS;
    fails(410);
    expect(await failure(cache.get(url()))).toMatchObject({ code: 'gone' });
    expect(await failure(cache.get(url()))).toMatchObject({ code: 'gone' });
    // Whose token it was may have left.
    fails(403);
    expect(await failure(cache.get(url('/feed.xml?token=abc')))).toMatchObject({ code: 'access_denied' });
    expect((await cache.get(url('/closed.xml'))).isStale).toBe(true);
  });

  it('says where a feed has moved, also when it is only vouched for', async () => {
    const cache = cacheOf();
    const whenThere = answer;
    answer = (request, response) => {
      if (request.url === '/old.xml') response.writeHead(301, { location: '/feed.xml' }).end();
      else whenThere(request, response);
    };
    expect((await cache.get(url('/old.xml'))).movedTo).toBe(url());
    now += STALE_WHILE_REVALIDATE_MS;
    expect(await cache.get(url('/old.xml'))).toMatchObject({ movedTo: url(), checkedAt: now });
  });

  it('is not turned against an origin by being busy, nor by being stopped', async () => {
    const cache = cacheOf();
    answer = () => undefined;
    const asked = failure(cache.get(url()));
    await waitFor(() => origin.requests.length, { what: 'the request' });
    await cache.close();
    expect(await asked).toMatchObject({ code: 'timeout' });
  });

  it('stays within its bounds, however many feeds are asked for', async () => {
    const maxBytes = 4 * 1_048_576;
    const body = `<rss>${'x'.repeat(20_000)}</rss>`;
    answer = (_request, response) => response.end(body);
    const byBytes = cacheOf({ maxBytes });
    let asked = 0;
    let most = 0;
    const ask = async (): Promise<void> => {
      while (asked < FEEDS) {
        await byBytes.get(url(`/${(asked += 1)}`));
        most = Math.max(most, byBytes.size().bytes);
      }
    };
    await Promise.all([ask(), ask(), ask(), ask()]);
    expect(origin.requests).toHaveLength(FEEDS);
    expect(most).toBeLessThanOrEqual(maxBytes);
    expect(byBytes.size().feeds).toBe(Math.floor(maxBytes / (body.length + url('/10000').length * 2 + 512)));

    const byNumber = cacheOf({ maxFeeds: 3 });
    for (const path of ['/1', '/2', '/3', '/1', '/4']) await byNumber.get(url(path));
    expect(byNumber.size().feeds).toBe(3);
    const before = origin.requests.length;
    // The one used least recently went.
    for (const path of ['/1', '/3', '/4']) await byNumber.get(url(path));
    expect(origin.requests).toHaveLength(before);
    await byNumber.get(url('/2'));
    expect(origin.requests).toHaveLength(before + 1);
  });

  describe('with Redis', () => {
    let redis: Redis;
    let aways: unknown[];
    beforeEach(async () => {
      aways = [];
      redis = opened(await startRedis());
    });
    const tier = async (): Promise<SharedTier<Page>> => {
      const shared = openSharedTier<Page>(redis.url, {
        read,
        written: ({ text }) => Buffer.from(text),
        onAway: (error) => aways.push(error),
      });
      await shared.ready;
      return shared;
    };
    const kept = (): Promise<unknown> => waitFor(() => redis.values.size, { what: 'the copy in Redis' });

    it('asks the origin once for all copies of the service', async () => {
      const first = await cacheOf({ shared: await tier() }).get(url());
      await kept();
      const other = cacheOf({ shared: await tier() });
      expect(await other.get(url())).toEqual(first);
      expect(await other.get(url())).toEqual(first);
      expect(origin.requests).toHaveLength(1);

      now += FRESH_MS;
      const third = cacheOf({ shared: await tier() });
      expect(await third.get(url())).toEqual({ ...first, checkedAt: now });
      expect(origin.requests[1]!.headers['if-none-match']).toBe('"1"');
    });

    it('gives the old copy from there when the origin fails', async () => {
      const first = await cacheOf({ shared: await tier() }).get(url());
      await kept();
      fails(500);
      now += STALE_WHILE_REVALIDATE_MS;
      expect(await cacheOf({ shared: await tier() }).get(url())).toEqual({ ...first, isStale: true });
    });

    it('tells where it looked and what it found, and how long origins took', async () => {
      const told: string[] = [];
      const watch: WatchedFeeds = {
        onLooked: (tier, result) => told.push(`${tier} ${result}`),
        onAsked: (outcome, seconds) => told.push(`${outcome} ${seconds > 0}`),
      };
      const cache = cacheOf({ shared: await tier(), ...watch });
      await cache.get(url());
      await kept();
      await cache.get(url());
      expect(told.splice(0)).toEqual(['memory miss', 'shared miss', 'document true', 'memory hit']);
      await cacheOf({ shared: await tier(), ...watch }).get(url());
      expect(told.splice(0)).toEqual(['memory miss', 'shared hit']);
      now += STALE_WHILE_REVALIDATE_MS;
      await cache.get(url());
      await cache.get(url('/feed.xml?token=abc'));
      expect(told).toEqual(['memory stale', 'unchanged true', 'memory miss', 'document true']);
    });

    it('puts no feed with credentials there, and looks for none', async () => {
      const cache = cacheOf({ shared: await tier() });
      const commands = redis.commands.length;
      await cache.get(url('/feed.xml?token=abc'));
      await cache.get(`http://ada:secret@127.0.0.1:${origin.port}/feed.xml`);
      // Nor says there that one is no more: that would name it.
      const gives = answer;
      for (const status of [401, 410]) {
        fails(status);
        await failure(cache.get(url(`/closed.xml?token=${status}`)));
      }
      expect(redis.commands).toHaveLength(commands);
      answer = gives;
      await cache.get(url('/open.xml'));
      await kept();
      expect([...redis.values.keys()]).toEqual([expect.stringContaining('/open.xml')]);
      expect([...redis.values.values()].join()).not.toMatch(/token|secret/);
    });

    it('takes away from there what its publisher took away', async () => {
      const cache = cacheOf({ shared: await tier() });
      await cache.get(url());
      await kept();
      fails(410);
      now += STALE_WHILE_REVALIDATE_MS;
      await failure(cache.get(url()));
      expect(redis.values.size).toBe(0);
    });

    it.each(['', '{}', '{"value":{}}', 'null', '{"document":"AAAA"}'])(
      'asks the origin when what is there is %j',
      async (value) => {
        const shared = await tier();
        await cacheOf({ shared }).get(url());
        await kept();
        for (const key of redis.values.keys()) redis.values.set(key, value);
        expect((await cacheOf({ shared: await tier() }).get(url())).document.text).toBe('<rss>/feed.xml 1</rss>');
        expect(origin.requests).toHaveLength(2);
      },
    );

    it('waits only once for one that says nothing', async () => {
      const cache = cacheOf({ shared: await tier() });
      redis.hold();
      const times: number[] = [];
      for (const path of ['/1', '/2', '/3', '/4']) {
        const started = performance.now();
        expect((await cache.get(url(path))).isStale).toBe(false);
        times.push(performance.now() - started);
      }
      expect(times.filter((time) => time >= SHARED_WAIT_MS - 10)).toHaveLength(1);
      expect(Math.max(...times)).toBeLessThan(SHARED_WAIT_MS + 1_000);
      expect(aways).toHaveLength(1);
    });

    it('waits for none that is away, and uses it when it is back', async () => {
      const cache = cacheOf({ shared: await tier() });
      const port = Number(new URL(redis.url).port);
      await redis.close();
      await waitFor(() => aways.length, { what: 'the loss to be seen' });
      const started = performance.now();
      await cache.get(url('/1'));
      expect(performance.now() - started).toBeLessThan(SHARED_WAIT_MS);
      redis = opened(await startRedis(port));
      const back = cacheOf({ shared: await tier() });
      await back.get(url('/2'));
      await kept();
    });

    it('starts without one', async () => {
      const away = 'redis://127.0.0.1:1';
      const shared = openSharedTier<Page>(away, { read, written: () => Buffer.alloc(0), onAway: () => undefined });
      expect((await cacheOf({ shared }).get(url())).isStale).toBe(false);
    });
  });
});
