import fc from 'fast-check';
import { NotOpml, OPML_MAX_ATTRIBUTES, OPML_MAX_DEPTH, OPML_MAX_ELEMENTS, readOpml } from './read-opml';
import { writeOpml } from './write-opml';

const read = (text: string | Uint8Array, contentType?: string) => readOpml(Buffer.from(text as string), contentType);
const urlsOf = (text: string | Uint8Array, contentType?: string) => read(text, contentType).map(({ url }) => url);
const holding = (outlines: string, declaration = '') =>
  `${declaration}<opml version="2.0"><body>${outlines}</body></opml>`;
const feed = (url: string, more = '') => `<outline type="rss" xmlUrl="${url}"${more}/>`;
const A = 'https://feeds.example/a';
const B = 'https://feeds.example/b';

function refusalOf(text: string | Uint8Array, contentType?: string): NotOpml {
  try {
    read(text, contentType);
  } catch (error) {
    if (error instanceof NotOpml) return error;
    throw error;
  }
  throw new Error('it was read');
}

describe('files as apps write them', () => {
  it('AntennaPod', () => {
    const file = `<?xml version='1.0' encoding='UTF-8' standalone='no' ?>
<opml version="2.0">
  <head>
    <title>AntennaPod Subscriptions</title>
    <dateCreated>24 Nov 26 09:12:03 +0100</dateCreated>
  </head>
  <body>
    <outline text="Nachtzüge &amp; mehr" title="Nachtzüge &amp; mehr" type="rss" xmlUrl="https://feeds.example/trains?format=mp3&amp;page=1" htmlUrl="https://trains.example/" />
    <outline text="The Pond" title="The Pond" type="rss" xmlUrl="https://feeds.example/pond" />
  </body>
</opml>`;
    expect(read(file)).toEqual([
      { url: 'https://feeds.example/trains?format=mp3&page=1', title: 'Nachtzüge & mehr', line: 8 },
      { url: 'https://feeds.example/pond', title: 'The Pond', line: 9 },
    ]);
  });

  it('gPodder, whose text is a description and whose lines are as long as it', () => {
    const file = `<?xml version="1.0" encoding="utf-8"?>
<opml version="2.0"><head><title>gPodder subscriptions</title><dateCreated>Tue, 24 Nov 2026 09:12:03 +0100</dateCreated></head><body><outline text="All about ponds.&#10;&#10;Every week &lt;b&gt;new&lt;/b&gt;." title="The Pond" type="rss" xmlUrl="https://feeds.example/pond"/><outline text="" title="Trains" type="rss" xmlUrl="${A}"/></body></opml>`;
    expect(read(file)).toEqual([
      { url: 'https://feeds.example/pond', title: 'All about ponds.\n\nEvery week <b>new</b>.', line: 2 },
      { url: A, title: 'Trains', line: 2 },
    ]);
  });

  it('Overcast, with its folder and, in the long form, episodes and playlists', () => {
    const file = `<?xml version="1.0" encoding="utf-8"?>
<opml version="1.0">
  <head><title>Overcast Podcast Subscriptions</title></head>
  <body>
    <outline text="playlists">
      <outline type="podcast-playlist" title="All Episodes" smart="1" sorting="chronological" />
    </outline>
    <outline text="feeds">
      <outline type="rss" overcastId="126160" text="The Pond" title="The Pond" xmlUrl="https://feeds.example/pond" htmlUrl="https://pond.example" subscribed="1">
        <outline type="podcast-episode" overcastId="1" title="Frogs" url="https://pond.example/1" enclosureUrl="https://media.example/1.mp3" played="1"/>
        <outline type="podcast-episode" overcastId="2" title="Reeds" enclosureUrl="https://media.example/2.mp3"/>
      </outline>
      <outline type="rss" overcastId="126161" text="Trains" title="Trains" xmlUrl="${A}" htmlUrl="https://trains.example" />
    </outline>
  </body>
</opml>`;
    expect(read(file)).toEqual([
      { url: 'https://feeds.example/pond', title: 'The Pond', line: 9 },
      { url: A, title: 'Trains', line: 13 },
    ]);
  });

  it('Pocket Casts, with its feeds in a folder', () => {
    const file = `<?xml version='1.0' encoding='utf-8' standalone='yes' ?>
<opml version="1.0">
  <head>
    <title>Pocket Casts Feeds</title>
  </head>
  <body>
    <outline text="feeds">
      <outline type="rss" text="The Pond" xmlUrl="https://feeds.example/pond" />
      <outline type="rss" text="Trains" xmlUrl="${A}" />
    </outline>
  </body>
</opml>`;
    expect(urlsOf(file)).toEqual(['https://feeds.example/pond', A]);
  });

  it('older ones, with other letters in the names, another name for the address, and bare ampersands', () => {
    expect(urlsOf(holding(`<outline xmlurl="${A}"/><outline XMLURL="${B}"/>`))).toEqual([A, B]);
    expect(urlsOf(`<OPML><Head/><Body><Outline type="RSS" URL="${A}"/></Body></OPML>`)).toEqual([A]);
    expect(urlsOf(holding(feed(`${A}?b=1&c=2&nbsp;`)))).toEqual([`${A}?b=1&c=2&nbsp;`]);
  });
});

describe('what is read', () => {
  it('what calls itself a feed and has no address, so that it can be told', () => {
    expect(read(holding('<outline type="rss" text="lost"/>\n<outline type="rss" xmlUrl=""/>'))).toEqual([
      { url: '', title: 'lost', line: 1 },
      { url: '', title: null, line: 2 },
    ]);
  });

  it('no outline that is none: folders, links, other files, notes, empty ones', () => {
    const other = `<outline/><outline></outline><outline text="folder"><outline>text</outline></outline>
      <outline type="link" url="${A}"/><outline type="include" url="${A}"/><other xmlUrl="${A}"/><!-- ${feed(A)} --><![CDATA[${feed(A)}]]>`;
    expect(urlsOf(holding(other))).toEqual([]);
    expect(urlsOf(holding(`${other}${feed(B)}${other}`))).toEqual([B]);
  });

  it('feeds in the order of the file, whatever folders they are in', () => {
    expect(
      urlsOf(holding(`${feed('1')}<outline>${feed('2')}<outline>${feed('3')}</outline></outline>${feed('4')}`)),
    ).toEqual(['1', '2', '3', '4']);
  });

  it('the charset of the file, whichever it is', () => {
    const text = holding(feed(`${A}/é`));
    const declared = (charset: string) => `<?xml version="1.0" encoding="${charset}"?>${text}`;
    for (const [bytes, contentType] of [
      [`\ufeff${text}`],
      [Buffer.from(declared('ISO-8859-1'), 'latin1')],
      [Buffer.from(text, 'latin1'), 'text/xml; charset=iso-8859-1'],
      [Buffer.from(`\ufeff${declared('UTF-16')}`, 'utf16le')],
      [Buffer.from(`\ufeff${declared('utf-16')}`, 'utf16le').swap16()],
      [declared('klingon')],
    ] as const)
      expect(urlsOf(bytes, contentType)).toEqual([`${A}/é`]);
  });

  it('names that mean something to JavaScript as any others', () => {
    const names = ['__proto__', 'constructor', 'prototype', 'toString', '_', 'cdata', 'valueOf'];
    const elements = names
      .map((name) => `<${name} ${names.map((each) => `${each}="x"`).join(' ')}>x<${name}/></${name}>`)
      .join('');
    const attributes = names.map((name) => ` ${name}="${A}"`).join('');
    expect(
      urlsOf(
        `<opml>${elements}<body>${elements}<outline${attributes} text="x">${elements}</outline>${feed(B, attributes)}</body></opml>`,
      ),
    ).toEqual([B]);
    expect(({} as Record<string, unknown>)['xmlurl']).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});

describe('what is refused', () => {
  it.each([
    ['nothing', '', null, null],
    ['blanks', ' \n', null, null],
    ['no XML', 'subscriptions', 1, 1],
    ['JSON', '{"subscriptions": []}', 1, 1],
    ['an end that is missing', '<opml>\n<body>', 2, 6],
    ['another end', '<opml>\n<body></opml>', 2, 13],
    ['an attribute without quotes', '<opml>\n<body><outline xmlUrl=a/></body></opml>', 2, 23],
    ['an attribute without a value', '<opml><body>\n\n<outline a/></body></opml>', 3, 11],
    ['what follows the root', `${holding(feed(A))}\n<opml/>`, 2, 6],
  ])('%s, with the place', (_what, text, line, column) => {
    const refusal = refusalOf(text);
    expect([refusal.code, refusal.line, refusal.column]).toEqual([line ? 'malformed' : 'not_opml', line, column]);
  });

  it.each([
    ['a feed', '<rss version="2.0"><channel/></rss>'],
    ['a page', '<html><body><outline xmlUrl="a"/></body></html>'],
    ['no body', '<opml><head/></opml>'],
    ['a document type', `<!DOCTYPE opml SYSTEM "http://127.0.0.1/x.dtd">${holding(feed(A))}`],
    ['a document type that never ends', `<!DOCTYPE [>${holding(feed(A))}`],
    ['an entity', `<!DOCTYPE opml [<!ENTITY a "https://feeds.example/a">]>${holding(feed('&a;'))}`],
    ['an outside entity', `<!DOCTYPE opml [<!ENTITY a SYSTEM "file:///etc/passwd">]>${holding(feed('&a;'))}`],
  ])('%s', (_what, text) => expect(refusalOf(text).code).toBe('not_opml'));

  it('a name over which the parser stumbles', () => {
    expect(refusalOf(holding('<outline hasOwnProperty="a" b="c"/>')).code).toBe('malformed');
  });

  it('bytes that are no text in the charset that they claim', () => {
    expect(refusalOf(Buffer.from(holding(feed(`${A}/é`)), 'latin1')).code).toBe('malformed');
    expect(refusalOf(Buffer.from([0xff, 0xfe, 0x00, 0xd8])).code).toBe('malformed');
  });

  it.each([
    ['elements', OPML_MAX_ELEMENTS - 2, (count: number) => holding('<outline/>'.repeat(count))],
    ['levels', OPML_MAX_DEPTH - 2, (count: number) => holding('<outline>'.repeat(count) + '</outline>'.repeat(count))],
    [
      'attributes',
      OPML_MAX_ATTRIBUTES,
      (count: number) => holding(`<outline ${Array.from({ length: count }, (_, n) => `a${n}=""`).join(' ')}/>`),
    ],
  ])('more %s than may be', (_what, most, document) => {
    expect(urlsOf(document(most))).toEqual([]);
    expect(refusalOf(document(most + 1)).code).toBe('opml_too_large');
  });

  it('as it is read, however much follows', () => {
    const MANY = 4_000_000;
    for (const text of [
      '<a>'.repeat(MANY / 3),
      `<opml ${'a="" '.repeat(MANY / 5)}`,
      `<opml>${'<'.repeat(MANY)}`,
      '&'.repeat(MANY),
    ])
      expect(refusalOf(text)).toBeInstanceOf(NotOpml);
  });

  it('whatever is sent, for a reason', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '<opml>',
        '</opml>',
        '<body>',
        '</body>',
        '<outline xmlUrl="a">',
        '</outline>',
        '<outline/>',
        '<!--',
        '-->',
      ),
      fc.constantFrom(
        '<?xml version="1.0"?>',
        '<![CDATA[',
        ']]>',
        '<!DOCTYPE a',
        '[',
        ']',
        '>',
        '<',
        '&',
        '&#55296;',
        '"',
        '=',
        ' a',
      ),
      fc.string({ unit: 'binary', maxLength: 8 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const text = pieces.join('');
        for (const each of [text, `<opml><body>${text}</body></opml>`])
          try {
            read(each);
          } catch (error) {
            expect(error).toBeInstanceOf(NotOpml);
          }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('what is written', () => {
  const written = (feeds: Iterable<string>) => [...writeOpml('Mine', feeds)].join('');

  it('is OPML 2.0', () => {
    expect(written([`${A}?b=1&c="d"<e>`])).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<opml version="2.0">
  <head>
    <title>Mine</title>
  </head>
  <body>
    <outline type="rss" text="${A}?b=1&amp;c=&quot;d&quot;&lt;e&gt;" xmlUrl="${A}?b=1&amp;c=&quot;d&quot;&lt;e&gt;"/>
  </body>
</opml>
`);
  });

  it('is read as what it was', () => {
    // As canonical addresses are: without blanks at the end, and controls nowhere.
    const character = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 1 })
      // eslint-disable-next-line no-control-regex
      .filter((each) => !/[\u0000-\u001f\u007f-\u009f\ufffe\uffff]/.test(each));
    const path = fc.oneof(
      fc.string({ unit: character }),
      fc.string({ unit: fc.constantFrom('&', '<', '>', '"', "'", ';', '#', 'amp;', ']]>', ' ') }),
    );
    fc.assert(
      fc.property(fc.array(path, { maxLength: 50 }), (paths) => {
        const feeds = paths.map((each) => `https://feeds.example/${each}`);
        expect(urlsOf(written(feeds))).toEqual(feeds);
      }),
    );
  });

  it('is read as an address that leads to the same place where XML has no character for it', () => {
    expect(urlsOf(written([`${A}\uffff\ufffe`]))).toEqual([`${A}%EF%BF%BF%EF%BF%BE`]);
  });

  it('comes in pieces', () => {
    const feeds = Array.from({ length: 10_000 }, (_, n) => `https://feeds.example/${n}`);
    const pieces = [...writeOpml('Mine', feeds)];
    expect(pieces.length).toBeGreaterThan(10);
    expect(urlsOf(pieces.join(''))).toEqual(feeds);
  });
});
