import { element, startTag } from './xml-text';

/** Text is handed on in pieces of about this many characters. */
const PIECE_CHARACTERS = 65_536;

/** XML has no character for these. Escaped they lead to the same place. */
const NOT_XML = /[\ufffe\uffff]/g;

/** A feed that has a title; without one it is called by its address. */
export interface OpmlFeed {
  url: string;
  title: string | null;
}

/** Feeds as an OPML 2.0 document, in pieces. */
export function* writeOpml(title: string, feeds: Iterable<string | OpmlFeed>): Generator<string> {
  let piece = `<?xml version="1.0" encoding="UTF-8"?>
<opml version="2.0">
  <head>
    ${element('title', title)}
  </head>
  <body>
`;
  for (const feed of feeds) {
    const named = typeof feed === 'string' ? { url: feed, title: null } : feed;
    const url = named.url.replace(NOT_XML, encodeURIComponent);
    piece += `    ${startTag('outline', { type: 'rss', text: named.title ?? url, xmlUrl: url }).slice(0, -1)}/>\n`;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield piece;
    piece = '';
  }
  yield `${piece}  </body>\n</opml>\n`;
}
