import { canonicalFeed, encodeBase64, encodeBase64Url, parseItem, splitItem } from '@balados/feeds-ids';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { distinctEpisodes, itemOf, OpenFeed } from './feed';
import { openFeed } from './open-feed';

const folder = process.env['REAL_FEEDS'];
const withRealFeeds = folder ? it : it.skip;

describe('real feeds (set REAL_FEEDS to a folder of them to run these)', () => {
  const feeds = new Map<string, OpenFeed>();
  const endsOfItems = new Map<string, number>();
  beforeAll(() => {
    if (!folder) return;
    for (const file of readdirSync(resolve(folder)).filter((name) => name.endsWith('.xml'))) {
      const bytes = readFileSync(join(resolve(folder), file));
      feeds.set(file, openFeed(bytes));
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
});
