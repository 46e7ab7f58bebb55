import { episodeKey } from '@balados/feeds-ids';
import { SaxesParser, SaxesTagPlain } from 'saxes';
import { decodeXml } from './decode-xml';
import { escapeReferences } from './escape-references';
import { parseDate } from './parse-date';

/** Elements within elements; feeds have seven or so. */
export const FEED_MAX_DEPTH = 100;

export interface FeedItem {
  /** The item's guid or Atom id, else its link; empty when it has neither. */
  guid: string;
  /** URL of the first enclosure; empty when there is none. */
  enclosure: string;
  title: string | null;
  /** Epoch milliseconds. */
  publishedAt: number | null;
}

export interface Feed {
  title: string | null;
  author: string | null;
  /** As they stand in the document, but for those that have no guid, link or enclosure to be known by. */
  items: FeedItem[];
}

export type NotAFeedCode = 'malformed' | 'other_document' | 'internal_subset' | 'too_deep';

/** Why a document is not served as a feed. */
export class NotAFeed extends Error {
  constructor(
    readonly code: NotAFeedCode,
    message: string,
  ) {
    super(message);
    this.name = 'NotAFeed';
  }
}

/** `<guid>,<enclosure>`: what `rss_source_item` encodes. */
export const itemOf = ({ guid, enclosure }: Pick<FeedItem, 'guid' | 'enclosure'>): string => `${guid},${enclosure}`;

/** The episodes of one feed: of items with the same guid the first counts. */
export function distinctEpisodes(items: readonly FeedItem[]): FeedItem[] {
  const byKey = new Map<string, FeedItem>();
  for (const item of items) {
    const key = episodeKey(itemOf(item));
    if (!byKey.has(key)) byKey.set(key, item);
  }
  return [...byKey.values()];
}

/**
 * Reads RSS 2.0, RSS 1.0 (RDF) and Atom. References that XML does not know are taken as text; a bare DOCTYPE is passed over.
 * @param contentType of the HTTP answer, for its charset
 * @throws NotAFeed
 */
export function parseFeed(bytes: Uint8Array, contentType?: string): Feed {
  const reader = new FeedReader();
  const parser = new SaxesParser({ xmlns: false, position: false });
  parser.on('error', (error) => {
    // What follows the root is no part of the feed.
    if (!reader.ended) throw new NotAFeed('malformed', error.message);
  });
  parser.on('doctype', (doctype) => {
    if (doctype.includes('[')) throw new NotAFeed('internal_subset', 'a DOCTYPE with an internal subset is not read');
  });
  parser.on('opentag', (tag) => reader.opened(tag));
  parser.on('text', (text) => reader.text(text));
  parser.on('cdata', (text) => reader.text(text));
  parser.on('closetag', () => reader.closed());
  parser.write(escapeReferences(decodeXml(bytes, contentType))).close();
  return reader.result();
}

/** What an item, or the feed itself, says: texts by the name of their element; of those that come twice the first. */
type Said = Map<string, string>;

/** Where a kind of document has its parts, as paths of element names, and what its texts mean; of several the first counts. */
interface Dialect {
  feed: string;
  item: string;
  guid: readonly string[];
  published: readonly string[];
  author: readonly string[];
}

const RSS: Dialect = {
  feed: 'rss/channel/',
  item: 'rss/channel/item/',
  guid: ['guid', 'link'],
  published: ['pubDate', 'dc:date'],
  author: ['itunes:author', 'author', 'managingEditor', 'dc:creator'],
};
const RDF: Dialect = { ...RSS, feed: 'RDF/channel/', item: 'RDF/item/' };
const ATOM: Dialect = {
  feed: 'feed/',
  item: 'feed/entry/',
  guid: ['id', 'link'],
  published: ['published', 'updated'],
  author: ['author/name', 'itunes:author'],
};
const DIALECTS = new Map([
  ['rss', RSS],
  ['RDF', RDF],
  ['feed', ATOM],
]);

class FeedReader {
  ended = false;
  private dialect = RSS;
  private wanted = new Set<string>();
  /** The root's namespace prefix, with its colon: what has the same one is of the feed's own language. */
  private prefix = '';
  /** Paths of the open elements, each with a slash at its end. */
  private readonly open: string[] = [];
  private readonly ofFeed: Said = new Map();
  private readonly ofItems: Said[] = [];
  /** The text that is being read: whose it is, and the depth of its element. */
  private reading: { said: Said; name: string; text: string; depth: number } | undefined;

  opened({ name, attributes }: SaxesTagPlain): void {
    if (this.open.length === 0) this.begin(name);
    if (this.open.length === FEED_MAX_DEPTH)
      throw new NotAFeed('too_deep', `elements are nested deeper than ${FEED_MAX_DEPTH}`);
    const own = name.startsWith(this.prefix) ? name.slice(this.prefix.length) : name;
    const path = `${this.open.at(-1) ?? ''}${own}/`;
    this.open.push(path);
    if (path === this.dialect.item) this.ofItems.push(new Map());
    else if (path.startsWith(this.dialect.item)) this.element(this.dialect.item, this.ofItems.at(-1)!, attributes);
    else if (path.startsWith(this.dialect.feed)) this.element(this.dialect.feed, this.ofFeed, attributes);
  }

  text(text: string): void {
    if (this.reading) this.reading.text += text;
  }

  closed(): void {
    const depth = this.open.length;
    if (this.reading?.depth === depth) {
      say(this.reading.said, this.reading.name, this.reading.text);
      this.reading = undefined;
    }
    this.open.pop();
    this.ended = depth === 1;
  }

  result(): Feed {
    return {
      title: this.ofFeed.get('title') ?? null,
      author: first(this.ofFeed, this.dialect.author) ?? null,
      items: this.ofItems
        .map((said) => ({
          guid: first(said, this.dialect.guid) ?? '',
          enclosure: said.get('enclosure') ?? '',
          title: said.get('title') ?? null,
          publishedAt: parseDate(first(said, this.dialect.published)),
        }))
        .filter(({ guid, enclosure }) => guid !== '' || enclosure !== ''),
    };
  }

  private begin(root: string): void {
    const colon = root.indexOf(':') + 1;
    const dialect = DIALECTS.get(root.slice(colon));
    if (!dialect) throw new NotAFeed('other_document', `<${root}> is the root of no feed`);
    this.dialect = dialect;
    this.prefix = root.slice(0, colon);
    this.wanted = new Set(['title', ...dialect.guid, ...dialect.published, ...dialect.author]);
  }

  private element(scope: string, said: Said, attributes: Record<string, string>): void {
    const name = this.open.at(-1)!.slice(scope.length, -1);
    if (name === 'enclosure') say(said, 'enclosure', attributes['url']);
    // Atom's links say what they are; those of RSS are text.
    if (name === 'link' && attributes['rel'] === 'enclosure') say(said, 'enclosure', attributes['href']);
    else if (name === 'link' && (attributes['rel'] ?? 'alternate') === 'alternate')
      say(said, 'link', attributes['href']);
    if (!this.reading && this.wanted.has(name)) this.reading = { said, name, text: '', depth: this.open.length };
  }
}

function say(said: Said, name: string, text: string | undefined): void {
  const trimmed = text?.trim();
  if (trimmed && !said.has(name)) said.set(name, trimmed);
}

function first(said: Said, names: readonly string[]): string | undefined {
  return names.map((name) => said.get(name)).find((text) => text !== undefined);
}
