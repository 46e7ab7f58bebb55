import { distinctEpisodes, FeedItem, itemOf } from './feed';
import { FEED_MAX_DEPTH } from './feed-reader';
import { openFeed, PROLOG_MAX_LENGTH } from './open-feed';

const utf8 = (text: string) => new TextEncoder().encode(text);
const latin1 = (text: string) => Buffer.from(text, 'latin1');
const rss = (content: string) => utf8(`<rss version="2.0"><channel>${content}</channel></rss>`);
const item = (content: string) => openFeed(rss(`<item>${content}</item>`)).items[0];
/** What is known of an item, but for where it stands. */
const said = ({ guid, enclosure, title, publishedAt, durationS }: FeedItem) => ({
  guid,
  enclosure,
  title,
  publishedAt,
  durationS,
});

describe('RSS 2.0', () => {
  it('is read: the podcast and its items, in their order', () => {
    const feed = openFeed(
      utf8(`<?xml version="1.0" encoding="UTF-8"?>
        <rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">
          <channel>
            <title>Night Trains</title>
            <image><title>not this</title><url>https://a.example/cover.png</url></image>
            <itunes:author>Ada</itunes:author>
            <link>https://a.example/</link><atom:link rel="self" href="https://a.example/feed"/>
            <item>
              <title><![CDATA[Over & <under>]]></title>
              <guid isPermaLink="false"> one, two </guid>
              <link>https://a.example/1</link>
              <enclosure url="https://cdn.example/1.mp3?a=1&amp;b=2" length="1" type="audio/mpeg"/>
              <pubDate>Thu, 01 Jan 2026 08:30:00 +0100</pubDate>
              <itunes:duration>1:02:03</itunes:duration>
            </item>
            <item><guid>3</guid></item>
          </channel>
        </rss>`),
    );
    expect(feed.feed).toEqual({
      title: 'Night Trains',
      author: 'Ada',
      link: 'https://a.example/',
      cover: { src: 'https://a.example/cover.png', srcset: null },
      blocked: false,
    });
    expect(feed.items.map(said)).toEqual([
      {
        guid: 'one, two',
        enclosure: 'https://cdn.example/1.mp3?a=1&b=2',
        title: 'Over & <under>',
        publishedAt: Date.UTC(2026, 0, 1, 7, 30),
        durationS: 3_723,
      },
      { guid: '3', enclosure: '', title: null, publishedAt: null, durationS: null },
    ]);
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
    expect(item(`${other}<guid>1</guid><title>yes</title>`)).toMatchObject({
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
    const feed = openFeed(
      utf8(`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
        <channel rdf:about="https://a.example/"><title>Old Shortwave</title><dc:creator>Bo</dc:creator></channel>
        <item rdf:about="https://a.example/1"><title>One</title><link>https://a.example/1</link><dc:date>2026-01-01T00:00:00Z</dc:date></item>
      </rdf:RDF>`),
    );
    expect(feed.feed).toMatchObject({ title: 'Old Shortwave', author: 'Bo' });
    expect(feed.items).toMatchObject([
      { guid: 'https://a.example/1', enclosure: '', title: 'One', publishedAt: Date.UTC(2026, 0, 1) },
    ]);
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
    expect(openFeed(utf8(entry(prefix)))).toMatchObject({
      feed: { title: 'Field Notes', author: 'Cy', link: null },
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
    const { items } = openFeed(
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
    [
      'is another when the bytes make no text in the one that is claimed',
      latin1(titled('<?xml version="1.0" encoding="ISO-8859-1"?>', 'Grüße')),
      'text/xml; charset=utf-8',
    ],
    ['is not UTF-16 where single bytes say so', utf8(titled('<?xml version="1.0" encoding="UTF-16"?>', 'Grüße')), ''],
    ['nor where the content type alone does', utf8(titled('', 'Grüße')), 'text/xml; charset=utf-16le'],
    ['may be UTF-16, the greater end first', utf16(titled('\ufeff', 'Grüße')).swap16(), undefined],
  ])('%s', (_, bytes, contentType) => expect(openFeed(bytes, contentType).feed.title).toBe('Grüße'));
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
  ])('%s', (_, xml, title) => expect(openFeed(utf8(xml)).feed.title).toBe(title));
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
    expect(() => openFeed(utf8(xml))).toThrow(expect.objectContaining({ name: 'NotAFeed', code }));
  });

  it('is not what is deep, but not too deep', () => {
    expect(openFeed(utf8(`<rss>${nested(FEED_MAX_DEPTH - 1)}</rss>`)).items).toEqual([]);
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

describe('the duration of an item', () => {
  it.each<[string, number | null, string]>([
    ['3723', 3_723, 'seconds'],
    ['3723.5', 3_723.5, 'a fraction'],
    ['2:03', 123, 'minutes'],
    ['1:02:03', 3_723, 'hours'],
    ['01:02:03.250', 3_723.25, 'a fraction after hours'],
    ['90:00', 5_400, 'more minutes than an hour has'],
    ['PT1H2M3S', 3_723, 'ISO 8601'],
    ['P1DT0.5S', 86_400.5, 'ISO 8601 with days'],
    ['0', null, 'nothing, which says that nobody knows'],
    ['00:00:00', null, 'nothing, in full'],
    ['P', null, 'ISO 8601 of nothing'],
    ['-5', null, 'less than nothing'],
    ['1:2:3:4', null, 'too many parts'],
    ['10000001', null, 'longer than a position may be'],
    ['an hour', null, 'words'],
  ])('%j → %j: %s', (written, seconds) =>
    expect(item(`<guid>1</guid><itunes:duration> ${written} </itunes:duration>`)?.durationS).toBe(seconds),
  );
});

describe('what a feed says of itself', () => {
  const feed = (content: string) => openFeed(rss(content)).feed;

  it.each([
    ['<itunes:image href="https://a.example/i.png"/><image><url>https://a.example/r.png</url></image>', 'i.png'],
    ['<image><url> https://a.example/r.png </url></image>', 'r.png'],
    ['<itunes:image href="data:image/png,"/>', undefined],
    ['<image><url>/relative.png</url></image>', undefined],
    ['<item><itunes:image href="https://a.example/i.png"/></item>', undefined],
  ])('its cover: %s → %j', (content, name) =>
    expect(feed(content).cover).toEqual(name ? { src: `https://a.example/${name}`, srcset: null } : null),
  );

  it.each([
    ['<itunes:block>Yes</itunes:block>', true],
    ['<itunes:block> yes </itunes:block>', true],
    ['<itunes:block>no</itunes:block><itunes:block>yes</itunes:block>', true],
    ['<googleplay:block>yes</googleplay:block>', true],
    ['<podcast:block>yes</podcast:block>', true],
    ['<podcast:block id="one">yes</podcast:block>', false],
    ['<itunes:block>no</itunes:block>', false],
    ['<itunes:block/>', false],
    ['<item><itunes:block>yes</itunes:block></item>', false],
  ])('whether it is blocked: %s → %j', (content, blocked) => expect(feed(content).blocked).toBe(blocked));

  it('is found under another prefix than the usual', () => {
    const { feed } = openFeed(
      utf8(`<rss xmlns:i="http://www.itunes.com/DTDs/Podcast-1.0.dtd"><channel><i:block>yes</i:block></channel></rss>`),
    );
    expect(feed.blocked).toBe(true);
  });

  it('has a link only where a page may link to', () => {
    expect(feed('<link>https://a.example/</link>').link).toBe('https://a.example/');
    expect(feed('<link>javascript:alert(1)</link>').link).toBeNull();
  });
});

describe('the text that is served', () => {
  it.each([
    ['<rss><channel>\r\n<!-- a --><title><![CDATA[a & b]]>&amp;</title></channel></rss>\n<!-- b -->\n', 'all of it'],
    ['<?xml version="1.0"?><rss/>', 'a declaration without encoding'],
    ['<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<?xml-stylesheet href="a.xsl"?><rss/>', 'instructions'],
  ])('is %j as it came: %s', (xml) => expect(openFeed(utf8(xml)).text).toBe(xml));

  it.each([
    ['\ufeff\n <rss/>', '<rss/>', 'mark and white space'],
    ['<rss>&nbsp;&</rss>', '<rss>&amp;nbsp;&amp;</rss>', 'references'],
    ['<?xml version="1.0" encoding="klingon"?><rss/>', '<?xml version="1.0" encoding="utf-8"?><rss/>', 'the encoding'],
    [
      `<?xml version='1.0' encoding='x-no' standalone='yes'?><rss/>`,
      `<?xml version='1.0' encoding='utf-8' standalone='yes'?><rss/>`,
      'the encoding alone',
    ],
    ['<!-- <!DOCTYPE a> -->\n<!DOCTYPE rss SYSTEM "[.dtd">\n<rss/>', '<!-- <!DOCTYPE a> -->\n\n<rss/>', 'a DOCTYPE'],
    ['<rss></rss>\n<b>Warning', '<rss></rss>', 'what follows the root and is no XML'],
    ['<rss/><rss/>', '<rss/>', 'another root'],
  ])('%j → %j: %s', (xml, text) => expect(openFeed(utf8(xml)).text).toBe(text));

  it('holds each item where it says', () => {
    const first = '<item\r\n a="1"><guid>1</guid>&#x1F600;😀</item >';
    const xml = `<!DOCTYPE rss>\n<rss><channel>&oacute;<title>ü😀</title>\r\n${first}<item/>\r<item><guid>2</guid></item></channel></rss>`;
    const { text, items } = openFeed(utf8(xml));
    expect(items.map(({ start, end }) => text.slice(start, end))).toEqual([first, '<item><guid>2</guid></item>']);
  });
});

it('places are right wherever the parser is given the rest of the text', () => {
  const head = '<!DOCTYPE rss><rss><channel>';
  const item = '<item\r\n><guid>1</guid>😀\r\n</item>';
  // Behind the first bracket, within the name, within a line's end, within a pair, within the closing tag
  for (const at of [1, 3, 6, item.indexOf('😀') + 1, item.indexOf('\n</item>'), item.length - 3]) {
    const padding = ' '.repeat(PROLOG_MAX_LENGTH - head.length - at);
    const { text, items } = openFeed(utf8(`${head}${padding}${item}</channel></rss>`));
    expect(items.map(({ guid, start, end }) => [guid, text.slice(start, end)])).toEqual([['1', item]]);
  }
});
