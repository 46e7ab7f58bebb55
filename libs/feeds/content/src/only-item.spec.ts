import { encodeBase64Url, parseItem } from '@balados/feeds-ids';
import { itemOf } from './feed';
import { onlyItem } from './only-item';
import { openFeed } from './open-feed';

const open = (xml: string) => openFeed(new TextEncoder().encode(xml));

describe('one item alone', () => {
  const head = `<?xml version="1.0"?>
<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/">
  <!-- made by hand -->
  <channel>
    <title><![CDATA[Night & Trains]]></title>`;
  const one = `
    <item><guid>1</guid><title><![CDATA[a & b]]></title><media:content url="x"/></item>`;
  const two = `
    <item><guid>a, b</guid><enclosure url="https://a.example/2,3.mp3"/></item>`;
  const nameless = `
    <item><title>Soon</title></item>`;
  const between = `
    <!-- summer --><copyright>Ada</copyright>`;
  const linked = `
    <item><link>https://a.example/3</link></item>`;
  const tail = `
  </channel>
</rss>
`;
  const feed = open(head + one + nameless + two + between + linked + tail);

  it.each([
    ['1,', head + one + between + tail],
    ['a, b,https://a.example/2,3.mp3', head + two + between + tail],
    ['https://a.example/3,', head + between + linked + tail],
    ['https://a.example/3', head + between + linked + tail],
  ])('%j: what stands around it is untouched, and it is verbatim', (item, xml) =>
    expect(onlyItem(feed, item)).toBe(xml),
  );

  it.each(['2,', '1,https://a.example/1.mp3', 'a, b,', 'a, b,https://a.example/2.mp3', ',', ''])(
    'is not there for %j: guid and enclosure are its own',
    (item) => expect(onlyItem(feed, item)).toBeUndefined(),
  );

  it('is found by what the wire says', () => {
    for (const item of feed.items) expect(onlyItem(feed, parseItem(encodeBase64Url(itemOf(item))))).toBeDefined();
  });

  it('is the first of those that are called the same', () => {
    const xml = '<rss><channel><item><guid>1</guid>a</item><item><guid>1</guid>b</item></channel></rss>';
    expect(onlyItem(open(xml), '1,')).toBe('<rss><channel><item><guid>1</guid>a</item></channel></rss>');
  });

  it('is found outside of a channel, and in a second one', () => {
    const xml = (items: string[]) =>
      `<rss><channel>${items[0]}</channel><channel>${items[1]}</channel>${items[2]}</rss>`;
    const items = ['1', '2', '3'].map((guid) => `<item><guid>${guid}</guid></item>`);
    const feed = open(xml(items));
    for (const [index, item] of items.entries())
      expect(onlyItem(feed, `${index + 1},`)).toBe(xml(items.map((other) => (other === item ? item : ''))));
  });
});

it('one item of RSS 1.0 alone is the one of its table of contents, too', () => {
  const xml = (
    numbers: number[],
  ) => `<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
    <channel r:about="https://a.example/"><items><r:Seq>${numbers
      .map((n) => `<r:li r:resource="urn:${n}"/>`)
      .join('')}</r:Seq></items></channel>${numbers
      .map((n) => `\n<item r:about="urn:${n}"><link>https://a.example/${n}</link></item>`)
      .join('')}
  </r:RDF>`;
  const feed = open(xml([1, 2, 3]));
  for (const n of [1, 2, 3]) expect(onlyItem(feed, `https://a.example/${n},`)).toBe(xml([n]));
});

it('one entry of Atom alone', () => {
  const xml = (entries: string) =>
    `<a:feed xmlns:a="http://www.w3.org/2005/Atom"><a:title>Notes</a:title>${entries}</a:feed>`;
  const entries = ['1', '2'].map((id) => `<a:entry><a:id>${id}</a:id></a:entry>`);
  expect(onlyItem(open(xml(entries.join(''))), '2,')).toBe(xml(entries[1]!));
});
