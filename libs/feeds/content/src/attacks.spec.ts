import { createContext, Script } from 'node:vm';
import { itemOf } from './feed';
import { FEED_MAX_ATTRIBUTES, FEED_MAX_DEPTH, FEED_MAX_ITEMS } from './feed-reader';
import { mergeFeeds } from './merge-feeds';
import { onlyItem } from './only-item';
import { openFeed } from './open-feed';
import { itemsOf, readStrictly } from './strict-reader.fixture';

/** Far beyond what any of these takes; what were quadratic would take minutes, and is stopped. */
const STOPPED_AFTER_MS = 20_000;
jest.setTimeout(2 * STOPPED_AFTER_MS);

const stopped = new Script('run()');
const within = <Result>(run: () => Result): Result =>
  stopped.runInContext(createContext({ run }), { timeout: STOPPED_AFTER_MS }) as Result;

const MB = 1_000_000;
/** As long as may be, for an item whose source is kept when feeds are merged. */
const LONG = 200_000;
const utf8 = (text: string) => new TextEncoder().encode(text);
const utf16 = (text: string) => Buffer.from(text, 'utf16le');
const utf32 = (text: string) => Buffer.from(new Uint32Array([...text].map((c) => c.codePointAt(0)!)).buffer);
const titled = (title: string) => `<rss><channel><title>${title}</title></channel></rss>`;
const holding = (content: string) => `<rss><channel>${content}</channel></rss>`;
const item = (guid: number | string) => `<item><guid>${guid}</guid></item>`;
const many = (count: number, one: (n: number) => string) => Array.from({ length: count }, (_, n) => one(n)).join('');

const entities = many(10, (n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`);

describe('what is refused, and why', () => {
  it.each<[string, Uint8Array | string, string]>([
    [
      'an external entity',
      `<!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/passwd">]>${titled('&a;')}`,
      'internal_subset',
    ],
    ['an external DTD with a subset', `<!DOCTYPE rss SYSTEM "http://127.0.0.1/" [ ]>${titled('a')}`, 'internal_subset'],
    ['a parameter entity', `<!DOCTYPE rss [<!ENTITY % a "<!ENTITY b 'c'>"> %a;]>${titled('&b;')}`, 'internal_subset'],
    ['a billion laughs', `<!DOCTYPE rss [<!ENTITY l0 "ha">${entities}]>${titled('&l10;')}`, 'internal_subset'],
    [
      'quadratic blowup',
      `<!DOCTYPE rss [<!ENTITY a "${'a'.repeat(MB / 10)}">]>${titled('&a;'.repeat(10_000))}`,
      'internal_subset',
    ],
    ['a subset that never ends', `<!DOCTYPE rss [${'<!--'.repeat(MB / 4)}`, 'malformed'],
    ['a DOCTYPE that never ends', `<!DOCTYPE ${'"'.repeat(MB + 1)}`, 'malformed'],
    ['a DOCTYPE behind a megabyte of comments', `${'<!---->'.repeat(MB / 7)}<!DOCTYPE rss>${titled('a')}`, 'malformed'],
    ['two DOCTYPEs', `<!DOCTYPE rss><!DOCTYPE rss>${titled('a')}`, 'malformed'],
    ['100,000 levels', `${'<rss>'.repeat(100_000)}${'</rss>'.repeat(100_000)}`, 'too_deep'],
    ['100,000 levels in an item', holding(`<item>${'<a>'.repeat(100_000)}`), 'too_deep'],
    ['1,001 attributes', `<rss ${many(FEED_MAX_ATTRIBUTES + 1, (n) => `a${n}="" `)}/>`, 'too_many_attributes'],
    ['a million attributes', holding(`<item ${many(MB, (n) => `a${n}="" `)}/>`), 'too_many_attributes'],
    ['a million namespaces', `<rss ${many(MB, (n) => `xmlns:a${n}="u" `)}/>`, 'too_many_attributes'],
    ['one attribute twice', '<rss a="" a=""/>', 'malformed'],
    ['100,001 items', holding(item(1).repeat(FEED_MAX_ITEMS + 1)), 'too_many_items'],
    ['a million items without identity', holding('<item/>'.repeat(MB)), 'too_many_items'],
    [
      'a table of contents without end',
      `<rdf:RDF><channel><items><rdf:Seq>${'<rdf:li/>'.repeat(MB)}`,
      'too_many_items',
    ],
    ['three million bare ampersands', titled('&'.repeat(3 * MB)), 'too_many_escapes'],
    ['the end within a tag', '<rss><channel><item><guid', 'malformed'],
    ['the end within an attribute', '<rss><channel><item a="', 'malformed'],
    ['the end within CDATA', '<rss><channel><title><![CDATA[a', 'malformed'],
    ['the end within a comment', '<rss><channel><!-- a', 'malformed'],
    ['the end within an instruction', '<rss><channel><?a', 'malformed'],
    ['the end within a reference', '<rss><channel>&am', 'malformed'],
    ['the end before the root', '<?xml version="1.0"?>\n<!-- a -->', 'malformed'],
    ['a page', '<!DOCTYPE html><html><body>Not found</body></html>', 'other_document'],
    ['a page of today', '<!doctype html><title>Not found<p>a<br>', 'malformed'],
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', 'other_document'],
    ['a name without end', `<${'a'.repeat(MB)}>`, 'other_document'],
    ['JSON', '{"items": []}', 'malformed'],
    ['nothing', '', 'malformed'],
    ['white space', ' \n'.repeat(MB), 'malformed'],
    ['marks', '\ufeff'.repeat(MB), 'malformed'],
    ['one byte', '<', 'malformed'],
    ['an image', Uint8Array.from({ length: MB }, (_, n) => (n * 7919) >> 3), 'malformed'],
    ['zeros', new Uint8Array(MB), 'malformed'],
    ['UTF-32 with a mark', utf32(`\ufeff${titled('a')}`), 'malformed'],
    ['UTF-32 without one', utf32(titled('a')), 'malformed'],
    ['a control character', titled('a\u0008'), 'malformed'],
    ['NUL', titled('a\u0000'), 'malformed'],
    ['U+FFFE', titled('a\ufffe'), 'malformed'],
    ['CDATA in CDATA', titled('<![CDATA[a<![CDATA[b]]>c]]>'), 'malformed'],
    ['a root that another tag closes', '<rss></channel>', 'malformed'],
    ['an item that another tag closes', holding('<item><guid>1</item></guid>'), 'malformed'],
    ['a declaration in the middle', holding('<?xml version="1.0"?>'), 'malformed'],
    ['an attribute without quotes', '<rss version=2.0/>', 'malformed'],
    ['text before the root', `a${titled('a')}`, 'malformed'],
  ])('%s', (_, document, code) => {
    const bytes = typeof document === 'string' ? utf8(document) : document;
    expect(within(() => thrownBy(() => openFeed(bytes)))).toEqual({ name: 'NotAFeed', code });
  });
});

function thrownBy(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    const { name, code } = error as { name: string; code: string };
    return { name, code };
  }
}

describe('what is read all the same, and what of it', () => {
  const declared = (encoding: string) => `<?xml version="1.0" encoding="${encoding}"?>${titled('ü')}`;
  const latin1 = (text: string) => Buffer.from(text, 'latin1');

  it.each<[string, Uint8Array | string, string, string?]>([
    ['a bare DOCTYPE, which is not looked up', `<!DOCTYPE rss SYSTEM "http://127.0.0.1:1/[x">${titled('a')}`, 'a'],
    ['a bare ampersand', titled('a & b'), 'a & b'],
    ['an entity that nobody declared', titled('&l10;'), '&l10;'],
    ['a megabyte of comments', `${'<!---->'.repeat(MB / 7)}${titled('a')}`, 'a'],
    ['no declaration', titled('ü'), 'ü'],
    ['a mark', `\ufeff${titled('ü')}`, 'ü'],
    ['a mark that another charset follows', `\ufeff${declared('ISO-8859-1')}`, 'ü', 'text/xml; charset=latin1'],
    ['a declaration that lies', utf8(declared('UTF-16')), 'ü'],
    ['a charset that nobody knows', utf8(declared('ebcdic-cp-us')), 'ü', 'text/xml; charset=utf-7'],
    ['a content type that lies', latin1(declared('ISO-8859-1')), 'ü', 'text/xml; charset=utf-8'],
    ['bytes that are no UTF-8', latin1(declared('UTF-8')), '\ufffd'],
    ['UTF-16, the lesser end first, with a mark', utf16(`\ufeff${declared('UTF-16')}`), 'ü'],
    ['UTF-16, the lesser end first, without', utf16(declared('UTF-16')), 'ü'],
    ['UTF-16, the greater end first, with a mark', utf16(`\ufeff${declared('UTF-16')}`).swap16(), 'ü'],
    ['UTF-16, the greater end first, without', utf16(`\n${declared('UTF-16')}`).swap16(), 'ü'],
    ['UTF-16 that says it is UTF-8', utf16(declared('UTF-8')), 'ü', 'text/xml; charset=utf-8'],
    ['half a surrogate pair', utf16(titled('a\ud800b')), 'a\ufffdb'],
    ['half a surrogate pair by its number', titled('&#xd800;'), '&#xd800;'],
    ['the end of CDATA, parted', titled('<![CDATA[a]]]]><![CDATA[>b]]>'), 'a]]>b'],
    ['instructions', `<?xml-stylesheet href="file:///a"?>${titled('<?php echo 1 ?>a')}`, 'a'],
    ['an inclusion, which is not followed', titled('a<xi:include href="file:///etc/passwd"/>'), 'a'],
    ['names of what every object has', titled('a<__proto__ constructor="" __proto__=""/>'), 'a'],
    ['a prefixed root', '<x:rss xmlns:x="u"><x:channel><x:title>a</x:title></x:channel></x:rss>', 'a'],
    [
      'a root of its own namespace',
      `<rss xmlns="urn:x" xmlns:rss="urn:x"><channel><title>a</title></channel></rss>`,
      'a',
    ],
    ['a prefix called __proto__', `<rss xmlns:__proto__="u"><channel><title>a</title></channel></rss>`, 'a'],
    [
      'two channels, of which the first speaks',
      `<rss><channel><title>a</title></channel><channel><title>b</title></channel></rss>`,
      'a',
    ],
    ['two roots, of which the first counts', `${titled('a')}${titled('b')}`, 'a'],
    ['a server’s complaint at the end', `${titled('a')}${'<b>Warning</p> & '.repeat(100_000)}`, 'a'],
  ])('%s', (_, document, title, ...[contentType]) => {
    const bytes = typeof document === 'string' ? utf8(document) : document;
    const { feed, text } = within(() => openFeed(bytes, contentType));
    expect(feed.title).toBe(title);
    // What is served says the same, to a strict parser, whatever its client is told of the charset.
    expect(openFeed(utf8(text), 'text/xml; charset=utf-8')).toMatchObject({ feed, text });
  });

  it.each<[string, string, string[]]>([
    ['a guid with commas', holding(item('a, b,http://c')), ['a, b,http://c,']],
    ['nested items', holding(`<item><guid>1</guid>${item(2)}</item>`), ['1,']],
    ['an item outside of the channel', `<rss><channel/>${item(1)}</rss>`, ['1,']],
    ['items of two channels', `<rss><channel>${item(1)}</channel><channel>${item(2)}</channel></rss>`, ['1,', '2,']],
    ['an item in a comment, and one in CDATA', holding(`<!-- ${item(1)} --><a><![CDATA[${item(2)}]]></a>`), []],
    ['an item within another element', holding(`<image>${item(1)}</image>`), []],
    ['one guid many times', holding(item(1).repeat(3)), ['1,', '1,', '1,']],
    [
      'names of what every object has',
      holding(item('__proto__') + item('constructor')),
      ['__proto__,', 'constructor,'],
    ],
  ])('%s', (_, document, items) => {
    const open = openFeed(utf8(document));
    expect(open.items.map(itemOf)).toEqual(items);
    for (const item of items) expect(openFeed(utf8(onlyItem(open, item)!)).items.map(itemOf)).toEqual([item]);
  });
});

describe('what is large takes time and memory in proportion', () => {
  const open = (document: string) => within(() => openFeed(utf8(document)));
  const everything = (document: string) => {
    const feed = open(document);
    const { items } = feed;
    const alone = within(() => items.slice(0, 1_000).map((item) => onlyItem(feed, itemOf(item))!));
    const merged = within(() => mergeFeeds([{ url: 'https://a.example/', open: feed }], mergeOptions));
    return { feed, alone, merged };
  };
  const mergeOptions = {
    title: 'a',
    description: 'a',
    link: 'https://a.example/',
    image: undefined,
    self: 'https://a.example/',
    order: 'newest' as const,
    linkFor: () => undefined,
    unavailable: [],
  };

  it('15 MB in one element', () => {
    const { feed, alone, merged } = everything(
      holding(`<item><guid>1</guid><title>${'a'.repeat(15 * MB)}</title></item>`),
    );
    expect(feed.items[0]!.title).toHaveLength(15 * MB);
    expect(alone[0]).toBe(feed.text);
    expect(merged.length).toBeLessThan(10_000);
  });

  it('100,000 items', () => {
    const { feed, alone, merged } = everything(holding(many(FEED_MAX_ITEMS, item)));
    expect(feed.items).toHaveLength(FEED_MAX_ITEMS);
    expect(alone[999]).toBe(holding(item(999)));
    expect(itemsOf(merged)).toHaveLength(100);
    expect(feed.weight).toBeLessThan(100 * MB);
  });

  it.each([
    ['an attribute of 200 KB', `<item a="${'a'.repeat(LONG)}"><guid>1</guid></item>`],
    ['a guid of 200 KB', item('a'.repeat(LONG))],
    ['a name of 100 KB', `<item><${'a'.repeat(LONG / 2)}/><guid>1</guid></item>`],
    ['a prefix of 100 KB', `<item><${'a'.repeat(LONG / 2)}:a xmlns:${'a'.repeat(LONG / 2)}="u"/><guid>1</guid></item>`],
    [
      'as many attributes as there may be, of 1 KB',
      `<item ${many(1_000, (n) => `a${n}="${'a'.repeat(1_000)}" `)}><guid>1</guid></item>`,
    ],
    [
      'names of 1 KB, as deep as may be',
      `<item><guid>1</guid>${many(90, () => `<${'a'.repeat(1_000)}>`)}${many(90, () => `</${'a'.repeat(1_000)}>`)}</item>`,
    ],
    [
      'blanks between everything',
      `${' '.repeat(LONG / 4)}<item>${' '.repeat(LONG / 4)}<guid>1</guid>${'\n'.repeat(LONG / 4)}</item>${'\r\n'.repeat(LONG / 4)}`,
    ],
    ['very many elements', `<item><guid>1</guid>${'<a/>'.repeat(LONG / 4)}</item>`],
    ['very many comments', `<item><guid>1</guid>${'<!---->'.repeat(LONG / 8)}</item>`],
    ['very many pieces of CDATA', `<item><guid>${'<![CDATA[a]]>'.repeat(LONG / 20)}</guid></item>`],
    ['very many references', item('&amp;'.repeat(LONG / 5))],
    ['very many bare ampersands', item('& '.repeat(LONG / 8))],
    [
      'very many line ends of two characters',
      `<item\r\n><guid>1</guid><description>${'\r\n'.repeat(LONG / 4)}</description></item>`,
    ],
    ['prefixes that nobody declared, 900 of them', `<item><guid>1</guid>${many(900, (n) => `<a${n}:b/>`)}</item>`],
  ])('%s', (_, document) => {
    const { feed, alone, merged } = everything(holding(document));
    expect(feed.items).toHaveLength(1);
    expect(alone[0]!.replace(/\s/g, '')).toBe(feed.text.replace(/\s/g, ''));
    expect(itemsOf(merged)).toHaveLength(1);
  });

  it('as deep as may be, and wide at every depth', () => {
    const level = many(900, (n) => ` xmlns:a${n}="u${n}"`);
    const depth = FEED_MAX_DEPTH - 3;
    const deep = many(depth, () => `<a${level}>`) + many(depth, () => '</a>');
    const { merged } = everything(holding(`<item><guid>1</guid>${deep}</item>`));
    expect(readStrictly(merged).root.name).toBe('rss');
  });

  it('channels that declare namespaces, fifty thousand of them', () => {
    const feed = open(
      `<rss ${many(900, (n) => `xmlns:a${n}="u" `)}>${`<channel xmlns:b="u">${item(1)}</channel>`.repeat(50_000)}</rss>`,
    );
    expect(feed.items).toHaveLength(50_000);
  });
});
