import { canonicalFeed, encodeBase64, encodeBase64Url, parseItem, splitItem } from '@balados/feeds-ids';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { distinctEpisodes, itemOf, OpenFeed } from './feed';
import { mergeFeeds } from './merge-feeds';
import { onlyItem } from './only-item';
import { openFeed } from './open-feed';
import { childrenNamed, itemsOf, lint, readStrictly, textOf } from './strict-reader.fixture';

const folder = process.env['REAL_FEEDS'];
const withRealFeeds = folder ? it : it.skip;

describe('real feeds (set REAL_FEEDS to a folder of them to run these)', () => {
  const feeds = new Map<string, OpenFeed>();
  const endsOfItems = new Map<string, number>();
  /** As the publisher wrote it. */
  const sources = new Map<string, string>();
  beforeAll(() => {
    if (!folder) return;
    for (const file of readdirSync(resolve(folder)).filter((name) => name.endsWith('.xml'))) {
      const bytes = readFileSync(join(resolve(folder), file));
      feeds.set(file, openFeed(bytes));
      sources.set(file, bytes.toString(file === 'encoding.xml' ? 'latin1' : 'utf8'));
      endsOfItems.set(file, bytes.toString('latin1').split('</item>').length - 1);
    }
  });
  const items = () => [...feeds.values()].flatMap((feed) => feed.items);

  withRealFeeds('are all read, to the last item', () => {
    for (const [file, feed] of feeds) expect([file, feed.items.length]).toEqual([file, endsOfItems.get(file)]);
    expect(feeds.size).toBe(16);
    expect(items()).toHaveLength(1_382);
  });

  withRealFeeds('hold 1,381 episodes: of two items with the same guid the first counts', () => {
    expect([...feeds.values()].flatMap((feed) => distinctEpisodes(feed.items))).toHaveLength(1_381);
  });

  withRealFeeds('say who they are', () => {
    for (const { feed } of feeds.values()) expect(feed.title).toEqual(expect.stringMatching(/\S/));
  });

  withRealFeeds('have items that the wire gives back, and that come apart where they were joined', () => {
    for (const item of items()) {
      for (const encode of [encodeBase64, encodeBase64Url]) {
        const read = parseItem(encode(itemOf(item)));
        expect(read).toBe(itemOf(item));
        expect(splitItem(read)).toEqual({ guid: item.guid, enclosure: item.enclosure });
      }
    }
  });

  withRealFeeds('have enclosures that are URLs, where they have any', () => {
    for (const { enclosure } of items()) if (enclosure !== '') expect(canonicalFeed(enclosure)).toMatch(/^https?:/);
  });

  withRealFeeds('are served as they came, but for what no XML may hold', () => {
    const changes = new Map([
      ['encoding.xml', (text: string) => text.replace('encoding="ISO-8859-1"', 'encoding="utf-8"')],
      ['no-agenda.xml', (text: string) => text.replaceAll('&gtgt;', '&amp;gtgt;')],
    ]);
    for (const [file, { text }] of feeds) {
      const source = sources.get(file)!.trimStart();
      expect([file, text === (changes.get(file)?.(source) ?? source)]).toEqual([file, true]);
      expect(readStrictly(text).root.name).toBe('rss');
    }
  });

  withRealFeeds('are filtered to each of their episodes alone, its source verbatim, what is around it kept', () => {
    let episodes = 0;
    for (const [file, feed] of feeds) {
      const source = sources.get(file)!.replaceAll('&gtgt;', '&amp;gtgt;');
      for (const episode of distinctEpisodes(feed.items)) {
        episodes += 1;
        const text = onlyItem(feed, itemOf(episode))!;
        const alone = openFeed(Buffer.from(text), 'text/xml; charset=utf-8');
        expect(alone.items.map(itemOf)).toEqual([itemOf(episode)]);
        expect(alone.feed).toEqual(feed.feed);
        const [item] = alone.items;
        const written = text.slice(item!.start, item!.end);
        expect(written).toMatch(/^<item[\s>][^]*<\/item>$/);
        expect(written.split('</item>')).toHaveLength(2);
        expect([itemOf(episode), source.includes(written)]).toEqual([itemOf(episode), true]);
      }
    }
    expect(episodes).toBe(1_381);
  });

  withRealFeeds('make one feed that strict parsers accept, and that lists every episode', () => {
    const parts = [...feeds].map(([file, open]) => ({ url: `https://feeds.example/${file}`, open }));
    const options = {
      title: 'All',
      description: 'All',
      link: 'https://balados.example/',
      image: undefined,
      self: 'https://balados.example/rss',
      order: 'newest' as const,
      linkFor: (feed: string, item: string) =>
        `https://play.example/${encodeBase64Url(feed)}/${encodeBase64Url(item)}.mp3`,
      unavailable: [],
    };
    const all = mergeFeeds(parts, { ...options, limit: Infinity });
    const listed = itemsOf(all);
    expect(listed).toHaveLength(1_381);
    expect(new Set(listed.map((item) => textOf(item, 'guid'))).size).toBe(1_381);
    const dates = listed.map((item) => Date.parse(textOf(item, 'pubDate') ?? ''));
    const known = dates.filter((date) => !Number.isNaN(date));
    expect(known).toEqual([...known].sort((a, b) => b - a));
    const byLink = new Map(listed.map((item) => [childrenNamed(item, 'enclosure')[0]?.attributes['url'], item]));
    for (const { url, open } of parts)
      for (const episode of distinctEpisodes(open.items)) {
        if (episode.enclosure === '') continue;
        const item = byLink.get(options.linkFor(url, itemOf(episode)));
        expect(item && textOf(item, 'title')).toBe(`[${open.feed.title}] ${episode.title}`);
      }
    expect(lint(all) ?? '').toBe('');
    expect(itemsOf(mergeFeeds(parts, options))).toHaveLength(100);
  });
});
