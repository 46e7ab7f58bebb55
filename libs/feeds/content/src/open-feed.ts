import { SaxesParser } from 'saxes';
import { decodeXml } from './decode-xml';
import { escapeReferences } from './escape-references';
import { OpenFeed } from './feed';
import { FeedReader } from './feed-reader';
import { NotAFeed } from './not-a-feed';

/** Where there is a DOCTYPE the root begins within this many characters: the parser takes long over one of megabytes. */
export const PROLOG_MAX_LENGTH = 262_144;

const BYTES_PER_CHARACTER = 2;
/** An item, its piece and its strings, which are slices of the text. */
const BYTES_PER_ITEM = 400;

/**
 * Reads RSS 2.0, RSS 1.0 (RDF) and Atom, in one pass and in time and memory that are in proportion to the length. References that XML does
 * not know are taken as text; a bare DOCTYPE is passed over, and nothing that a document points to is ever read.
 * @param contentType of the HTTP answer, for its charset
 * @throws NotAFeed
 */
export function openFeed(bytes: Uint8Array, contentType?: string): OpenFeed {
  const source = escapeReferences(decodeXml(bytes, contentType));
  const parser = new SaxesParser({ xmlns: false });
  const reader = new FeedReader(source, () => parser.position);
  parser.on('error', (error) => {
    // A root that is closed by another's tag ends and is wrong at the same place.
    if (reader.end !== undefined && parser.position > reader.end) throw new AfterTheRoot();
    throw new NotAFeed('malformed', error.message);
  });
  parser.on('xmldecl', () => reader.passedProlog());
  parser.on('comment', () => reader.passedProlog());
  parser.on('processinginstruction', () => reader.passedProlog());
  parser.on('doctype', (doctype) => reader.passesDoctype(doctype));
  parser.on('opentagstart', ({ name }) => reader.begins(name));
  parser.on('attribute', () => reader.attribute());
  parser.on('opentag', (tag) => reader.opened(tag));
  parser.on('text', (text) => reader.text(text));
  parser.on('cdata', (text) => reader.text(text));
  parser.on('closetag', () => reader.closed());
  let end = source.length;
  try {
    // In one piece where that may be: the parser takes twice as long over a part of a string.
    const first = source.includes('<!DOCTYPE') ? PROLOG_MAX_LENGTH : source.length;
    parser.write(source.slice(0, first));
    if (!reader.hasRoot && source.length > first)
      throw new NotAFeed('malformed', `no root within the first ${PROLOG_MAX_LENGTH} characters`);
    parser.write(source.slice(first)).close();
  } catch (error) {
    if (!(error instanceof AfterTheRoot)) throw error;
    end = reader.end!;
  }
  const { doctype, ...read } = reader.result();
  const text = source.slice(0, doctype.start) + source.slice(doctype.end, end);
  const length = doctype.end - doctype.start;
  for (const range of length > 0 ? [...read.items, ...read.pieces] : []) {
    range.start -= length;
    range.end -= length;
  }
  return { text, ...read, weight: text.length * BYTES_PER_CHARACTER + read.pieces.length * BYTES_PER_ITEM };
}

/** Ends the reading where what follows the root is no part of the feed, such as a server's complaint. */
class AfterTheRoot extends Error {}
