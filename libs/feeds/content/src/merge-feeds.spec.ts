import { episodeId } from '@balados/feeds-ids';
import fc from 'fast-check';
import { MergeOptions, mergeFeeds } from './merge-feeds';
import { MERGED_ITEM_MAX_LENGTH } from './merged-item';
import { openFeed } from './open-feed';
import { newestFirst, partOfFeed } from './part-of-feed';
import { childrenNamed, Element, itemsOf, readStrictly, textOf } from './strict-reader.fixture';

const part = (name: string, xml: string) => ({
  url: `https://${name}.example/feed`,
  open: openFeed(new TextEncoder().encode(xml)),
});
const rss = (items: string, { root = '', title = 'Trains' } = {}) =>
  `<rss version="2.0" ${root}><channel><title>${title}</title>${items}</channel></rss>`;

const options: MergeOptions = {
  title: 'Mine & yours',
  description: 'All of it',
  link: 'https://balados.example/',
  image: 'https://balados.example/cover.png',
  self: 'https://balados.example/rss?a=1&b=2',
  order: 'newest',
  linkFor: (feed, item) => `https://play.example/?${new URLSearchParams({ feed, item })}`,
  unavailable: [],
};

const ITUNES = 'http://www.itunes.com/dtds/podcast-1.0.dtd';
const titles = (xml: string) => itemsOf(xml).map((item) => textOf(item, 'title'));
/** The one item that comes of a feed's only one. */
const merged = (xml: string, changes: Partial<MergeOptions> = {}): Element => {
  const [item, ...others] = itemsOf(mergeFeeds([part('a', xml)], { ...options, ...changes }));
  expect(others).toEqual([]);
  return item!;
};

describe('a merged feed', () => {
  it('says what it is, and that no directory is to list it', () => {
    const { root } = readStrictly(mergeFeeds([], options));
    const [channel] = childrenNamed(root, 'channel');
    const said = Object.fromEntries(channel!.children.map(({ name, text }) => [name, text]));
    expect(said).toMatchObject({
      title: 'Mine & yours',
      link: 'https://balados.example/',
      description: 'All of it',
      [`{${ITUNES}}block`]: 'Yes',
    });
    const [self] = childrenNamed(channel!, '{http://www.w3.org/2005/Atom}link');
    expect(self!.attributes).toMatchObject({ rel: 'self', href: 'https://balados.example/rss?a=1&b=2' });
    expect(textOf(childrenNamed(channel!, 'image')[0]!, 'url')).toBe('https://balados.example/cover.png');
  });

  const dated = (title: string, date: string) =>
    `<item><guid>${title}</guid><title>${title}</title><pubDate>${date}</pubDate></item>`;
  const trains = part(
    'trains',
    rss(dated('new', '2026-03-01') + dated('undated', '') + dated('old', '2026-01-01') + dated('old', '2026-04-01')),
  );
  const ponds = part('ponds', rss(dated('between', '2026-02-01'), { title: 'Ponds' }));

  it('has the newest first, those without a date last, and of each episode one', () => {
    const xml = mergeFeeds([trains, ponds, trains], options);
    expect(titles(xml)).toEqual(['[Trains] new', '[Ponds] between', '[Trains] old', '[Trains] undated']);
  });

  it('has the episodes that are asked for in their order, by their identity, and passes over what is gone', () => {
    const order = [
      { feed: ponds.url, item: 'between,https://moved.example/1.mp3' },
      { feed: trains.url, item: 'gone,' },
      { feed: 'https://gone.example/', item: 'old,' },
      { feed: trains.url, item: 'old,' },
      { feed: trains.url, item: 'new,' },
    ];
    const xml = mergeFeeds([trains, ponds], { ...options, order });
    expect(titles(xml)).toEqual(['[Ponds] between', '[Trains] old', '[Trains] new']);
    expect(titles(mergeFeeds([trains, ponds], { ...options, order, limit: 2 }))).toHaveLength(2);
  });

  it('is the same of parts of the feeds, when they hold what is wanted', () => {
    const newest = [trains, ponds].map(({ url, open }) => ({
      url,
      open: partOfFeed(open, newestFirst(open).slice(0, 2)),
    }));
    expect(titles(mergeFeeds(newest, options))).toEqual(['[Trains] new', '[Ponds] between', '[Trains] old']);
    expect(mergeFeeds(newest, { ...options, limit: 2 })).toBe(mergeFeeds([trains, ponds], { ...options, limit: 2 }));
  });

  it('has a hundred at most', () => {
    const items = Array.from({ length: 120 }, (_, n) => dated(`${n}`, `${2000 - n}-01-01`)).join('');
    const found = titles(mergeFeeds([part('a', rss(items))], options));
    expect(found).toHaveLength(100);
    expect(found.at(-1)).toBe('[Trains] 99');
  });

  it('names what could not be had, in a comment that is one, and no more than the host of a URL', () => {
    const unavailable = ['b -- > c-', 'a\u0000', 'https://user:secret@feeds.example:8080/key?token=1', '--><evil/>'];
    const { comments, root } = readStrictly(mergeFeeds([trains], { ...options, unavailable }));
    expect(comments.join()).toContain('feeds.example:8080');
    expect(comments.join()).not.toMatch(/secret|token|key/);
    expect(childrenNamed(root, 'evil')).toEqual([]);
    expect(readStrictly(mergeFeeds([trains], options)).comments).toEqual([]);
  });

  it('is the same for the same parts', () =>
    expect(mergeFeeds([trains, ponds], options)).toBe(mergeFeeds([trains, ponds], options)));

  it('is well-formed whatever the names in it are', () => {
    const name = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(name, name, fc.array(name), (title, self, unavailable) => {
        const changed = { ...options, title, self, unavailable, linkFor: () => self };
        expect(itemsOf(mergeFeeds([trains], changed))).toHaveLength(3);
      }),
    );
  });
});

describe('an item of RSS 2.0 in it', () => {
  it('keeps its source, but for title, guid and enclosure', () => {
    const before =
      '<!-- a --><itunes:duration>1:02</itunes:duration>\n<description><![CDATA[<p>a & b</p>]]></description>';
    const after = '<podcast:chapters url="u"/><category>x</category><link>https://a.example/</link>';
    const xml = rss(
      `<item>${before}<title><![CDATA[One & <two>]]></title><guid>1</guid>
        <enclosure url="https://cdn.example/1.mp3?a=1&amp;b=2" length="7" type="audio/mpeg"/>${after}</item>`,
      { root: `xmlns:itunes="${ITUNES}" xmlns:podcast="urn:p"`, title: 'A &amp; B' },
    );
    const text = mergeFeeds([part('a', xml)], options);
    expect(text).toContain(before);
    expect(text).toContain(after);
    const [item] = itemsOf(text);
    expect(textOf(item!, 'title')).toBe('[A & B] One & <two>');
    const [enclosure] = childrenNamed(item!, 'enclosure');
    const { url, ...others } = enclosure!.attributes;
    expect(others).toEqual({ length: '7', type: 'audio/mpeg' });
    expect(Object.fromEntries(new URL(url!).searchParams)).toEqual({
      feed: 'https://a.example/feed',
      item: '1,https://cdn.example/1.mp3?a=1&b=2',
    });
  });

  it('has a guid of its feed and identity, which stays when the file moves', () => {
    const guid = (xml: string) => childrenNamed(merged(xml), 'guid');
    const [before] = guid(rss('<item><guid>1</guid><enclosure url="https://a.example/1.mp3"/></item>'));
    const [after] = guid(rss('<item><guid>1</guid><enclosure url="https://b.example/1.mp3"/></item>'));
    expect(before).toMatchObject({
      text: episodeId('https://a.example/feed', '1,'),
      attributes: { isPermaLink: 'false' },
    });
    expect(after).toEqual(before);
    const same = rss('<item><guid>1</guid></item>');
    const guids = itemsOf(mergeFeeds([part('a', same), part('b', same)], options)).map((item) => textOf(item, 'guid'));
    expect(new Set(guids).size).toBe(2);
  });

  it('has its page as a link where the guid was that', () => {
    const link = (content: string) => textOf(merged(rss(`<item>${content}</item>`)), 'link');
    expect(link('<guid>https://a.example/1</guid>')).toBe('https://a.example/1');
    expect(link('<guid>https://a.example/1</guid><link>https://a.example/2</link>')).toBe('https://a.example/2');
    expect(link('<guid isPermaLink="false">https://a.example/1</guid>')).toBeUndefined();
    expect(link('<guid>1</guid>')).toBeUndefined();
    expect(link('<link>https://a.example/2</link>')).toBe('https://a.example/2');
  });

  it('has one title, one guid and one enclosure, whatever it had', () => {
    const enclosures = ['1', '2', '1'].map((n) => `<enclosure url="https://a.example/${n}"/>`).join('');
    const item = merged(rss(`<item><title>a</title><title>b</title><guid>1</guid><guid>2</guid>${enclosures}</item>`));
    for (const name of ['title', 'guid', 'enclosure']) expect(childrenNamed(item, name)).toHaveLength(1);
    expect(textOf(item, 'title')).toBe('[Trains] a');
    const bare = merged(rss(`<item><enclosure url="https://a.example/1"/></item>`, { title: '' }));
    expect(childrenNamed(bare, 'guid')).toHaveLength(1);
  });

  it('keeps an enclosure that no play link can name', () => {
    const item = merged(rss('<item><guid>1</guid><enclosure url="magnet:?a&amp;b"/></item>'), {
      linkFor: () => undefined,
    });
    expect(childrenNamed(item, 'enclosure')[0]!.attributes).toEqual({ url: 'magnet:?a&b' });
  });
});

describe('an item without end in it', () => {
  it('is left with what it takes to play it', () => {
    const long = `<item><guid>1</guid><title>a</title><pubDate>2026-01-01</pubDate><link>https://a.example/</link>
      <description>${'a'.repeat(MERGED_ITEM_MAX_LENGTH)}</description><enclosure url="https://a.example/1.mp3"/></item>`;
    const { children } = merged(rss(long));
    expect(children.map(({ name }) => name)).toEqual(['title', 'guid', 'pubDate', 'enclosure']);
    expect(children[3]!.attributes['url']).toMatch(/^https:\/\/play\.example\//);
  });

  it.each(['<item\u0085>', '<item><a\u2028/>'])('nor is one of XML 1.1 that XML 1.0 cannot read: %j', (start) => {
    const newer = `${start}<guid>1</guid><title>a</title><enclosure url="https://a.example/1.mp3"/></item>`;
    const { children } = merged(`<?xml version="1.1"?>${rss(newer)}`);
    expect(children.map(({ name }) => name)).toEqual(['title', 'guid', 'enclosure']);
  });

  it('has a title of a thousand characters or so', () =>
    expect(textOf(merged(rss(`<item><guid>1</guid><title>${'a'.repeat(5_000)}</title></item>`)), 'title')).toHaveLength(
      1_024,
    ));
});

describe('a prefix in it', () => {
  const item = '<item><guid>1</guid><x:y x:z="1"/></item>';
  const named = (elements: Element[]) =>
    elements.map(({ children }) => children.find(({ name }) => name.endsWith('}y')));

  it('stands for what its feed says, also where two feeds differ', () => {
    const xml = mergeFeeds(
      [part('a', rss(item, { root: 'xmlns:x="urn:a"' })), part('b', rss(item, { root: 'xmlns:x="urn:b"' }))],
      options,
    );
    expect(named(itemsOf(xml)).map((found) => [found!.name, found!.attributes])).toEqual([
      ['{urn:a}y', { '{urn:a}z': '1' }],
      ['{urn:b}y', { '{urn:b}z': '1' }],
    ]);
  });

  it.each([
    ['the channel', '<rss xmlns:x="urn:0"><channel xmlns:x="urn:a"><item><guid>1</guid><x:y/></item></channel></rss>'],
    ['the item', '<rss xmlns:x="urn:0"><channel><item xmlns:x="urn:a"><guid>1</guid><x:y/></item></channel></rss>'],
    ['the element', '<rss xmlns:x="urn:0"><channel><item><guid>1</guid><x:y xmlns:x="urn:a"/></item></channel></rss>'],
  ])('may be declared by %s', (_, xml) => expect(merged(xml).children.map(({ name }) => name)).toContain('{urn:a}y'));

  it('that nobody declared stands for what it usually does, or for itself', () => {
    const { children } = merged(rss('<item><guid>1</guid><itunes:y/><x:y/></item>'));
    expect(children.map(({ name }) => name)).toEqual(expect.arrayContaining([`{${ITUNES}}y`, '{urn:undeclared:x}y']));
  });

  it.each([
    ['two colons', '<a:b:c/>'],
    ['nothing before the colon', '<:a/>'],
    ['nothing behind it', '<a:/>'],
    ['a figure behind it', '<a:1/>'],
    ['a prefix that is undone', '<x:y xmlns:x=""/>'],
    ['the prefix of declarations', '<xmlns:a/>'],
    ['one attribute by two names', '<x:y xmlns:x="urn:a" xmlns:z="urn:a" x:b="" z:b=""/>'],
    ['a reserved namespace', '<x:y xmlns:x="http://www.w3.org/2000/xmlns/"/>'],
  ])('%s: what no strict parser would take is left out, RSS is kept', (_, flaw) => {
    const found = merged(
      rss(`<item><title>a</title>${flaw}<guid>1</guid><description>d</description><pubDate>2026-01-01</pubDate>
        <enclosure url="https://a.example/1.mp3" length="7"/></item>`),
    );
    expect(found.children.map(({ name }) => name).sort()).toEqual([
      'description',
      'enclosure',
      'guid',
      'pubDate',
      'title',
    ]);
    expect(textOf(found, 'pubDate')).toBe('Thu, 01 Jan 2026 00:00:00 GMT');
  });
});

describe('a default namespace', () => {
  it('makes no item of RSS another; elements that RSS does not know keep it', () => {
    const found = merged(
      rss('<item><title>a</title><guid>1</guid><y/><x:y xmlns:x="urn:x"><w/></x:y></item>', { root: 'xmlns="urn:d"' }),
    );
    expect(found.children.map(({ name }) => name)).toEqual(['title', 'guid', '{urn:d}y', '{urn:x}y']);
    expect(found.children[3]!.children[0]!.name).toBe('{urn:d}w');
  });

  it('of the item itself does not, either', () => {
    const found = merged(rss('<item xmlns="urn:d" id="7"><guid>1</guid><title>a</title></item>'));
    expect(found.children.map(({ name }) => name)).toEqual(['guid', 'title']);
    expect(found.attributes).toEqual({ id: '7' });
  });
});

describe('of another language', () => {
  it.each(['', 'a:'])('an entry of Atom, prefix %j, becomes an item', (p) => {
    const declares = p ? `xmlns:a="http://www.w3.org/2005/Atom"` : `xmlns="http://www.w3.org/2005/Atom"`;
    const found = merged(`<${p}feed ${declares} xmlns:itunes="${ITUNES}"><${p}title>Notes</${p}title>
      <${p}entry><${p}id>urn:1</${p}id><${p}title>One</${p}title><${p}updated>2026-01-01T00:00:00Z</${p}updated>
        <${p}link href="https://a.example/1"/><${p}link rel="enclosure" href="https://a.example/1.mp3" type="audio/mpeg" length="7"/>
        <${p}summary>short</${p}summary><${p}content type="html">&lt;b&gt;long&lt;/b&gt;</${p}content>
        <itunes:duration>1:02</itunes:duration><itunes:x><${p}y/></itunes:x></${p}entry></${p}feed>`);
    expect(found.children.map(({ name, text }) => [name, text])).toEqual([
      ['title', '[Notes] One'],
      ['guid', episodeId('https://a.example/feed', 'urn:1,')],
      ['link', 'https://a.example/1'],
      ['pubDate', 'Thu, 01 Jan 2026 00:00:00 GMT'],
      ['description', '<b>long</b>'],
      ['enclosure', ''],
      [`{${ITUNES}}duration`, '1:02'],
      [`{${ITUNES}}x`, ''],
    ]);
    expect(found.children[5]!.attributes).toMatchObject({ type: 'audio/mpeg', length: '7' });
    expect(found.children[7]!.children[0]!.name).toBe('{http://www.w3.org/2005/Atom}y');
  });

  it.each([
    ['<content type="text">a &lt; b</content>', 'a &lt; b'],
    ['<content>a &lt; b</content>', 'a &lt; b'],
    ['<content type="html">&lt;i&gt;a&lt;/i&gt;</content>', '<i>a</i>'],
    ['<content type="xhtml"> <div><i>a</i></div> </content>', '<div><i>a</i></div>'],
  ])('Atom’s %s is %j', (content, html) => {
    const found = merged(`<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>1</id>${content}</entry></feed>`);
    expect(textOf(found, 'description')).toBe(html);
  });

  it('an item of RSS 1.0 becomes one of RSS 2.0', () => {
    const found =
      merged(`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
        xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel rdf:about="c"><title>Old</title></channel>
      <item rdf:about="1"><title>One</title><link>https://a.example/1</link><description>d</description>
        <content:encoded><![CDATA[<p>d</p>]]></content:encoded></item></rdf:RDF>`);
    expect(found.attributes).toEqual({});
    expect(found.children.map(({ name, text }) => [name, text])).toEqual([
      ['title', '[Old] One'],
      ['guid', episodeId('https://a.example/feed', 'https://a.example/1,')],
      ['link', 'https://a.example/1'],
      ['description', 'd'],
      ['{http://purl.org/rss/1.0/modules/content/}encoded', '<p>d</p>'],
    ]);
  });

  it('RSS with a prefix becomes RSS without one', () => {
    const found = merged(
      '<r:rss xmlns:r="urn:r"><r:channel><r:item><r:guid>1</r:guid><r:title>a</r:title></r:item></r:channel></r:rss>',
    );
    expect(found.children.map(({ name }) => name).sort()).toEqual(['guid', 'title']);
  });
});
