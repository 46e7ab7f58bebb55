import { element, startTag } from './xml-text';

/** Text is handed on in pieces of about this many characters. */
const PIECE_CHARACTERS = 65_536;

/** XML has no character for these. Escaped they lead to the same place. */
const NOT_XML = /[\ufffe\uffff]/g;

/** Feeds as an OPML 2.0 document, in pieces; each is called by its address. */
export function* writeOpml(title: string, feeds: Iterable<string>): Generator<string> {
  let piece = `<?xml version="1.0" encoding="UTF-8"?>
<opml version="2.0">
  <head>
    ${element('title', title)}
  </head>
  <body>
`;
  for (const feed of feeds) {
    const url = feed.replace(NOT_XML, encodeURIComponent);
    piece += `    ${startTag('outline', { type: 'rss', text: url, xmlUrl: url }).slice(0, -1)}/>\n`;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield piece;
    piece = '';
  }
  yield `${piece}  </body>\n</opml>\n`;
}
