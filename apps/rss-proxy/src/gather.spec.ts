import { newestFirst } from '@balados/feeds-content';
import { createFeedCache, createFetcher, FeedCache, FeedFetcher } from '@balados/feeds-fetch';
import { Origin, startOrigin } from '@balados/feeds-fetch/testing';
import { FEEDS_AT_A_TIME, gather } from './gather';
import { readFeed, ServedFeed } from './served-feed';

describe('feeds of a personal feed are gathered', () => {
  let origin: Origin;
  let fetcher: FeedFetcher;
  let cache: FeedCache<ServedFeed>;
  beforeAll(async () => {
    origin = await startOrigin(({ url }, response) => {
      if (url!.startsWith('/slow')) return;
      if (url === '/dead') return void response.writeHead(500).end();
      response.end(
        `<rss><channel><title>${url}</title><item><guid>1</guid></item><item><guid>2</guid></item></channel></rss>`,
      );
    });
    fetcher = createFetcher({ allowPrivate: [`127.0.0.1:${origin.port}`] });
    cache = createFeedCache({ fetcher, read: readFeed });
  });
  afterAll(async () => {
    await cache?.close();
    await fetcher?.close();
    await origin?.close();
  });
  const url = (path: string): string => `http://127.0.0.1:${origin.port}${path}`;
  const titles = (parts: { open: { feed: { title: string | null } } }[]) => parts.map(({ open }) => open.feed.title);

  it('without those that are dead or slow, which keep no other waiting, and in the order of the feeds', async () => {
    const feeds = [url('/slow'), url('/b'), url('/dead'), url('/a')];
    const { parts, unavailable } = await gather(cache, feeds, (_feed, open) => newestFirst(open), {
      deadlineMs: 1_000,
    });
    expect(titles(parts)).toEqual(['/b', '/a']);
    expect(unavailable).toEqual([`127.0.0.1:${origin.port}`, `127.0.0.1:${origin.port}`]);
  });

  it('also when more of them are slow than are asked at a time', async () => {
    const slow = Array.from({ length: 2 * FEEDS_AT_A_TIME }, (_, n) => url(`/slow${n}`));
    // Held by now: their origin, which is slow, need not be asked.
    for (const path of ['/a', '/b', '/c']) await cache.get(url(path));
    const { parts, unavailable } = await gather(cache, [url('/a'), ...slow, url('/b')], () => [], {
      deadlineMs: 1_000,
      patienceMs: 50,
    });
    expect(titles(parts)).toEqual(['/a', '/b']);
    expect(unavailable).toHaveLength(slow.length);
  });

  it('with the items that are wanted, as long as there is room for them', async () => {
    const one = '<item><guid>1</guid></item>'.length;
    const { parts, unavailable } = await gather(
      cache,
      [url('/a'), url('/b'), url('/c')],
      (_feed, { items }) => items.filter(({ guid }) => guid === '1'),
      { maxCharacters: 2 * one },
    );
    expect(parts.map(({ open }) => open.text.length)).toEqual([one, one]);
    expect(unavailable).toHaveLength(1);
  });

  it('and what is wrong with us is not taken for a feed that is away', async () => {
    const wrong = gather(cache, [url('/a')], () => {
      throw new TypeError('ours');
    });
    await expect(wrong).rejects.toThrow('ours');
  });
});
