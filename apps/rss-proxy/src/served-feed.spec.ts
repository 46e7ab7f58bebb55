import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { itemOf } from '@balados/feeds-content';
import { itemIn, readFeed } from './served-feed';

const UTF8 = 'application/xml; charset=utf-8';
const filesOf = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.xml'))
    .map((name) => join(folder, name));
const FILES = [
  ...filesOf(resolve(__dirname, '../../../tools/demo/feeds')),
  ...(process.env['REAL_FEEDS'] ? filesOf(resolve(process.env['REAL_FEEDS'])) : []),
];
const ODD = [
  `<?xml version='1.0' encoding='iso-8859-1'?><!DOCTYPE rss><rss><channel><title>a & b &nbsp; &amp; é</title></channel></rss>`,
  `\n <?xml version="1.0" encoding="windows-1252" standalone="yes"?><rss><channel><title>\x80</title></channel></rss>rest <`,
  `<feed xmlns="http://www.w3.org/2005/Atom"><title><![CDATA[a & b]]></title><entry><id>1</id></entry></feed>`,
].map((text) => Buffer.from(text, 'latin1'));

describe('a feed that is read', () => {
  // What other processes of the service read it from, by way of Redis.
  it('reads the same from what it is served as', async () => {
    for (const bytes of [...FILES.map((file) => readFileSync(file)), ...ODD]) {
      const feed = await readFeed(bytes, undefined);
      const again = await readFeed(feed.body, UTF8);
      expect(again.body.equals(feed.body)).toBe(true);
      expect([again.etag, again.open, again.weight]).toEqual([feed.etag, feed.open, feed.weight]);
    }
    expect(FILES.length).toBeGreaterThan(2);
  });

  it('is the same in both codings, and finds each of its items', async () => {
    for (const file of FILES) {
      const feed = await readFeed(readFileSync(file), undefined);
      const compressed = await feed.compressed();
      expect(gunzipSync(compressed).equals(feed.body)).toBe(true);
      // Once for all who ask.
      expect(await feed.compressed()).toBe(compressed);
      for (const item of feed.open.items) expect(itemOf(itemIn(feed, itemOf(item))!)).toBe(itemOf(item));
      expect(feed.weight).toBeGreaterThan(feed.body.length + compressed.length + feed.open.text.length);
    }
  });
});
