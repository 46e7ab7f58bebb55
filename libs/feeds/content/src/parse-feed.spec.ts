import { distinctEpisodes, FEED_MAX_DEPTH, itemOf, parseFeed } from './parse-feed';

const utf8 = (text: string) => new TextEncoder().encode(text);
const latin1 = (text: string) => Buffer.from(text, 'latin1');
const rss = (content: string) => utf8(`<rss version="2.0"><channel>${content}</channel></rss>`);
const item = (content: string) => parseFeed(rss(`<item>${content}</item>`)).items[0];

describe('RSS 2.0', () => {
  it('is read: the podcast and its items, in their order', () => {
    const feed = parseFeed(
      utf8(`<?xml version="1.0" encoding="UTF-8"?>
        <rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">
          <channel>
            <title>Night Trains</title>
            <image><title>not this</title><url>https://a.example/cover.png</url></image>
            <itunes:author>Ada</itunes:author>
            <item>
              <title><![CDATA[Over & <under>]]></title>
              <guid isPermaLink="false"> one, two </guid>
              <link>https://a.example/1</link>
              <enclosure url="https://cdn.example/1.mp3?a=1&amp;b=2" length="1" type="audio/mpeg"/>
              <pubDate>Thu, 01 Jan 2026 08:30:00 +0100</pubDate>
            </item>
            <item><guid>3</guid></item>
          </channel>
        </rss>`),
    );
    expect(feed).toEqual({
      title: 'Night Trains',
      author: 'Ada',
      items: [
        {
          guid: 'one, two',
          enclosure: 'https://cdn.example/1.mp3?a=1&b=2',
          title: 'Over & <under>',
          publishedAt: Date.UTC(2026, 0, 1, 7, 30),
        },
        { guid: '3', enclosure: '', title: null, publishedAt: null },
      ],
    });
    expect(feed.items.map(itemOf)).toEqual(['one, two,https://cdn.example/1.mp3?a=1&b=2', '3,']);
  });

  it('takes the link of an item without a guid, or with an empty one, as its guid', () => {
    expect(item('<link>https://a.example/1</link>')).toMatchObject({ guid: 'https://a.example/1', enclosure: '' });
    expect(item('<guid> </guid><link>https://a.example/1</link>')).toMatchObject({ guid: 'https://a.example/1' });
  });

  it('knows an item by its enclosure when there is neither guid nor link', () => {
    expect(item('<enclosure url="https://cdn.example/1.mp3"/>')).toMatchObject({
      guid: '',
      enclosure: 'https://cdn.example/1.mp3',
    });
  });

  it('passes over an item that nothing identifies', () => expect(item('<title>Soon</title>')).toBeUndefined());

  it('takes the first of what comes twice', () => {
    const twice =
      '<guid>1</guid><guid>2</guid><enclosure url="https://a.example/1"/><enclosure url="https://a.example/2"/>';
    expect(item(twice)).toMatchObject({ guid: '1', enclosure: 'https://a.example/1' });
  });

  it('is not misled by what stands within something else, or speaks another language', () => {
    const other =
      '<source><guid>0</guid><title>no</title></source><itunes:title>no</itunes:title><media:group><enclosure url="no"/></media:group><atom:link rel="enclosure" href="no"/>';
    expect(item(`${other}<guid>1</guid><title>yes</title>`)).toEqual({
      guid: '1',
      enclosure: '',
      title: 'yes',
      publishedAt: null,
    });
  });

  it('reads text through comments, CDATA and markup that should not be there', () => {
    expect(item('<guid>a<!-- x -->b<![CDATA[c]]>&#100;</guid><title>One <b>two</b> three</title>')).toMatchObject({
      guid: 'abcd',
      title: 'One two three',
    });
  });
});

describe('RSS 1.0', () => {
  it('is read: its items stand beside the channel', () => {
    const feed = parseFeed(
      utf8(`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
        <channel rdf:about="https://a.example/"><title>Old Shortwave</title><dc:creator>Bo</dc:creator></channel>
        <item rdf:about="https://a.example/1"><title>One</title><link>https://a.example/1</link><dc:date>2026-01-01T00:00:00Z</dc:date></item>
      </rdf:RDF>`),
    );
    expect(feed).toEqual({
      title: 'Old Shortwave',
      author: 'Bo',
      items: [{ guid: 'https://a.example/1', enclosure: '', title: 'One', publishedAt: Date.UTC(2026, 0, 1) }],
    });
  });
});

describe('Atom', () => {
  const entry = (p: string) => `<${p}feed xmlns="http://www.w3.org/2005/Atom">
    <${p}title>Field Notes</${p}title><${p}author><${p}name>Cy</${p}name></${p}author>
    <${p}link rel="self" href="https://a.example/feed"/>
    <${p}entry>
      <${p}id>urn:1</${p}id><${p}title type="xhtml"><div>One <i>more</i></div></${p}title>
      <${p}link rel="alternate" href="https://a.example/1"/><${p}link rel="enclosure" href="https://cdn.example/1.mp3"/>
      <${p}updated>2026-02-01T00:00:00Z</${p}updated><${p}published>2026-01-01T00:00:00.250+00:00</${p}published>
      <${p}source><${p}id>urn:0</${p}id><${p}title>no</${p}title></${p}source>
    </${p}entry>
    <${p}entry><${p}link href="https://a.example/2"/><${p}updated>2026-02-01T00:00:00Z</${p}updated></${p}entry>
  </${p}feed>`;

  it.each(['', 'atom:'])('is read with the prefix %j', (prefix) => {
    expect(parseFeed(utf8(entry(prefix)))).toEqual({
      title: 'Field Notes',
      author: 'Cy',
      items: [
        {
          guid: 'urn:1',
          enclosure: 'https://cdn.example/1.mp3',
          title: 'One more',
          publishedAt: Date.UTC(2026, 0, 1, 0, 0, 0, 250),
        },
        { guid: 'https://a.example/2', enclosure: '', title: null, publishedAt: Date.UTC(2026, 1, 1) },
      ],
    });
  });
});

describe('of items with the same guid', () => {
  it('the first counts', () => {
    const { items } = parseFeed(
      rss(`<item><guid>1</guid><title>first</title><enclosure url="https://a.example/1"/></item>
           <item><guid>1</guid><title>again</title><enclosure url="https://b.example/1"/></item>
           <item><enclosure url="https://a.example/1"/></item>`),
    );
    expect(items).toHaveLength(3);
    expect(distinctEpisodes(items)).toEqual([items[0], items[2]]);
  });
});

describe('the charset', () => {
  const titled = (declaration: string, title: string) =>
    `${declaration}<rss><channel><title>${title}</title></channel></rss>`;
  const utf16 = (text: string) => Buffer.from(text, 'utf16le');

  it.each([
    ['is UTF-8 when nobody says', utf8(titled('', 'Grüße')), undefined],
    [
      'is that of the XML declaration',
      latin1(titled('<?xml version="1.0" encoding="ISO-8859-1"?>', 'Grüße')),
      undefined,
    ],
    ['may be in single quotes', latin1(titled("<?xml version='1.0' encoding='iso-8859-1'?>", 'Grüße')), undefined],
    [
      'is that of the content type first',
      latin1(titled('<?xml version="1.0" encoding="UTF-8"?>', 'Grüße')),
      'text/xml; charset="ISO-8859-1"',
    ],
    [
      'is that of the byte order mark before all',
      utf8(titled('\ufeff<?xml version="1.0" encoding="ISO-8859-1"?>', 'Grüße')),
      'text/xml; charset=latin1',
    ],
    [
      'is passed over when nobody knows it',
      utf8(titled('<?xml version="1.0" encoding="klingon"?>', 'Grüße')),
      'text/xml; charset=nonsense',
    ],
    ['may be UTF-16 with a mark', utf16(titled('\ufeff<?xml version="1.0" encoding="UTF-16"?>', 'Grüße')), undefined],
    ['may be UTF-16 without a mark', utf16(titled('<?xml version="1.0" encoding="UTF-16"?>', 'Grüße')), undefined],
    ['may be UTF-16, the greater end first', utf16(titled('\ufeff', 'Grüße')).swap16(), undefined],
  ])('%s', (_, bytes, contentType) => expect(parseFeed(bytes, contentType).title).toBe('Grüße'));
});

describe('what publishers get wrong is read all the same', () => {
  it.each([
    [
      'white space before the XML declaration',
      ' \n<?xml version="1.0"?><rss><channel><title>a</title></channel></rss>',
      'a',
    ],
    ['a bare DOCTYPE', '<!DOCTYPE rss SYSTEM "x.dtd"><rss><channel><title>a</title></channel></rss>', 'a'],
    ['a bare ampersand', '<rss><channel><title>a & b</title></channel></rss>', 'a & b'],
    ['an entity of HTML', '<rss><channel><title>a&nbsp;b</title></channel></rss>', 'a&nbsp;b'],
    ['something after the end', '<rss><channel><title>a</title></channel></rss> trailing <', 'a'],
  ])('%s', (_, xml, title) => expect(parseFeed(utf8(xml)).title).toBe(title));
});

describe('what is no feed', () => {
  const nested = (depth: number) => `${'<a>'.repeat(depth)}${'</a>'.repeat(depth)}`;

  it.each([
    ['nothing', '', 'malformed'],
    ['text', 'hello', 'malformed'],
    ['JSON', '{"version":"https://jsonfeed.org/version/1"}', 'malformed'],
    ['a page', '<!DOCTYPE html><html><head><title>404</title></head></html>', 'other_document'],
    ['OPML', '<opml version="2.0"><body/></opml>', 'other_document'],
    ['a feed that breaks off', '<rss><channel><title>a</title><item><guid>1</guid>', 'malformed'],
    ['tags that do not match', '<rss><channel></rss></channel>', 'malformed'],
    [
      'entities of its own',
      '<!DOCTYPE rss [<!ENTITY a "b">]><rss><channel><title>&a;</title></channel></rss>',
      'internal_subset',
    ],
    [
      'entities from elsewhere',
      '<!DOCTYPE rss [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><rss/>',
      'internal_subset',
    ],
    ['elements without end', `<rss>${nested(FEED_MAX_DEPTH)}</rss>`, 'too_deep'],
    ['a great many of them', '<rss>'.repeat(1_000_000), 'too_deep'],
  ])('%s is refused', (_, xml, code) => {
    expect(() => parseFeed(utf8(xml))).toThrow(expect.objectContaining({ name: 'NotAFeed', code }));
  });

  it('is not what is deep, but not too deep', () => {
    expect(parseFeed(utf8(`<rss>${nested(FEED_MAX_DEPTH - 1)}</rss>`)).items).toEqual([]);
  });
});

describe('the date of an item', () => {
  it.each<[string, number | null, string]>([
    ['Thu, 01 Jan 2026 08:30:00 GMT', Date.UTC(2026, 0, 1, 8, 30), 'RFC 822'],
    ['Thu, 01 Jan 2026 08:30:00 EST', Date.UTC(2026, 0, 1, 13, 30), 'a zone by name'],
    ['01 Jan 2026 08:30:00 -0230', Date.UTC(2026, 0, 1, 11, 0), 'a zone by offset'],
    ['Thu, 01 Jan 2026 08:30:00', Date.UTC(2026, 0, 1, 8, 30), 'no zone is UTC, wherever we run'],
    ['2026-01-01T08:30:00.125Z', Date.UTC(2026, 0, 1, 8, 30, 0, 125), 'RFC 3339'],
    ['2026-01-01T08:30:00', Date.UTC(2026, 0, 1, 8, 30), 'no zone is UTC, wherever we run'],
    ['2026-01-01', Date.UTC(2026, 0, 1), 'a day'],
    ['yesterday', null, 'no date'],
    ['', null, 'nothing'],
  ])('%j → %j: %s', (written, time) =>
    expect(item(`<guid>1</guid><pubDate>${written}</pubDate>`)?.publishedAt).toBe(time),
  );
});
