import { Parser } from 'xml2js';
import { decodeXmlStrictly } from './decode-xml';
import { escapeReferences } from './escape-references';
import { NotAFeed } from './not-a-feed';

/** Most elements of a document, deepest nesting in levels, and most attributes of one element. */
export const OPML_MAX_ELEMENTS = 30_000;
export const OPML_MAX_DEPTH = 32;
export const OPML_MAX_ATTRIBUTES = 100;
/** The parser names what it does not like: of a longer message the beginning is enough, in characters. */
const MESSAGE_MAX_LENGTH = 200;

/** Why a document is not read as OPML: `malformed` is no XML at all. Line and column count from 1, where there is a place. */
export class NotOpml extends Error {
  constructor(
    readonly code: 'malformed' | 'not_opml' | 'opml_too_large',
    message: string,
    readonly line: number | null = null,
    readonly column: number | null = null,
  ) {
    super(message.slice(0, MESSAGE_MAX_LENGTH));
    this.name = 'NotOpml';
  }
}

/** An outline that speaks of a feed, with what it says as it stands there. */
export interface OpmlEntry {
  /** Empty when the outline calls itself a feed and has no address. */
  url: string;
  /** `text`, else `title`; null when it has neither. */
  title: string | null;
  /** Where it begins, from 1. */
  line: number;
}

interface Outline {
  $: Record<string, string>;
  outline?: Outline[];
}
interface Tree {
  opml?: { body?: Outline[] };
}

/** No name in XML has a `#`: what these hold is no attribute's and no element's. */
const LINE = '#line';
const TEXT = '#text';

/**
 * The feeds of an OPML document of any version, in their order, out of folders of any depth; names of elements and attributes in any case.
 * A reference that XML does not know is taken as text. Nothing that the document points to is read.
 * @param contentType of the request, for its charset
 * @throws NotOpml
 */
export function readOpml(bytes: Uint8Array, contentType?: string): OpmlEntry[] {
  const text = decodeXmlStrictly(bytes, contentType);
  if (text === undefined) throw new NotOpml('malformed', 'The bytes are no text in the charset that they claim.');
  const { opml } = (parse(text) ?? {}) as Tree;
  if (!opml?.body) throw new NotOpml('not_opml', 'This is no OPML: it has no <opml> with a <body>.');
  return opml.body.flatMap(feedsIn);
}

function feedsIn({ outline: outlines = [] }: Outline): OpmlEntry[] {
  return outlines.flatMap((outline) => {
    const { xmlurl, url = '', type, text, title, [LINE]: line } = outline.$;
    const isFeed = xmlurl !== undefined || /^(?:rss|atom)$/i.test(type ?? '');
    const own = { url: xmlurl ?? url, title: text || title || null, line: Number(line) };
    return [...(isFeed ? [own] : []), ...feedsIn(outline)];
  });
}

/** What xml2js makes of the text, while a guard looks at each element as it begins: by itself it reads on whatever comes. */
function parse(text: string): unknown {
  const parser = new Parser({
    charkey: TEXT,
    normalizeTags: true,
    attrNameProcessors: [(name) => name.toLowerCase()],
  });
  const guarded = guard((parser as unknown as { saxParser: Sax }).saxParser);
  const source = withKnownReferences(text);
  let tree: unknown;
  let failure: unknown;
  try {
    // It calls back before it returns.
    parser.parseString(source, (error, result) => {
      failure = error;
      tree = result;
    });
  } catch (error) {
    failure = error;
  }
  if (guarded.refusal) throw guarded.refusal;
  // It stumbles over an attribute that has the name of a method.
  if (failure) throw new NotOpml('malformed', (failure as Error).message);
  return tree;
}

function withKnownReferences(text: string): string {
  try {
    return escapeReferences(text);
  } catch (error) {
    if (error instanceof NotAFeed) throw new NotOpml('opml_too_large', error.message);
    throw error;
  }
}

/** Of the parser beneath xml2js; it counts lines and columns from 0. */
interface Sax {
  line: number;
  column: number;
  /** Empty unless one has begun; within one it reads elements as well. */
  doctype: string | true;
  onerror(error: Error): void;
  ondoctype(): void;
  onopentagstart(): void;
  onattribute(): void;
  onopentag(tag: { attributes: Record<string, string> }): void;
  onclosetag(): void;
}

function guard(sax: Sax): { refusal?: NotOpml } {
  const { onopentag, onclosetag } = sax;
  const guarded: { refusal?: NotOpml } = {};
  let [elements, depth, attributes, line] = [0, 0, 0, 0];
  const refuse = (code: NotOpml['code'], message: string): never => {
    throw (guarded.refusal ??= new NotOpml(code, message, sax.line + 1, sax.column));
  };
  sax.onerror = ({ message }) => refuse('malformed', message.split('\n')[0]!);
  const refuseDoctype = (): never => refuse('not_opml', 'A document type declaration is not taken.');
  sax.ondoctype = refuseDoctype;
  sax.onopentagstart = () => {
    [attributes, line] = [0, sax.line + 1];
    if (sax.doctype) refuseDoctype();
    if (elements > 0 && depth === 0) refuse('malformed', 'There is more than one root.');
    if ((elements += 1) > OPML_MAX_ELEMENTS) refuse('opml_too_large', `More than ${OPML_MAX_ELEMENTS} elements.`);
    if ((depth += 1) > OPML_MAX_DEPTH) refuse('opml_too_large', `Nested deeper than ${OPML_MAX_DEPTH} levels.`);
  };
  sax.onattribute = () => {
    if ((attributes += 1) > OPML_MAX_ATTRIBUTES)
      refuse('opml_too_large', `More than ${OPML_MAX_ATTRIBUTES} attributes of one element.`);
  };
  sax.onopentag = (tag) => {
    // So that no element is empty, which xml2js would make a string of.
    tag.attributes[LINE] = String(line);
    onopentag(tag);
  };
  sax.onclosetag = () => {
    depth -= 1;
    onclosetag();
  };
  return guarded;
}
