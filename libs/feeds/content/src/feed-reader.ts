import { SaxesTagPlain } from 'saxes';
import { BLOCKS, Dialect, DIALECTS, knownPrefix, Place, places, SPEAKING_ATTRIBUTES } from './dialects';
import { FeedItem, Namespaces, OpenFeed, Piece } from './feed';
import { NotAFeed } from './not-a-feed';
import { parseDate } from './parse-date';
import { parseDuration } from './parse-duration';

/** Elements within elements; feeds have seven or so. */
export const FEED_MAX_DEPTH = 100;
/** Attributes of one element; a root that declares every namespace there is has thirty. */
export const FEED_MAX_ATTRIBUTES = 1_000;
/** Items of one feed; entries of a table of contents count too. */
export const FEED_MAX_ITEMS = 100_000;

/** A longer title or author of a feed is cut, and a longer address is none, in characters. */
export const FEED_TEXT_MAX_LENGTH = 1_024;
export const FEED_ADDRESS_MAX_LENGTH = 2_048;

/** What an item, or the feed itself, says: texts by the name of their element; of those that come twice the first. */
type Said = Map<string, string>;

/** A place in a document's text. */
interface Range {
  start: number;
  end: number;
}

/** Follows a parser through a feed and notes what it says, and where. */
export class FeedReader {
  /** Where the root ends, once it has. */
  end: number | undefined;
  private root = '';
  /** The root's, with its colon. */
  private prefix = '';
  private dialect!: Dialect;
  private places!: ReadonlyMap<string, Place>;
  /** What the prefixes are to us that the root declares or has: each ends in a colon. */
  private readonly prefixes = new Map<string, string>();
  private namespaces: readonly Namespaces[] = [];
  private rootNamespaces: readonly Namespaces[] = [];
  /** Path of each open element below the root; undefined where nothing is said to us. */
  private readonly open: (string | undefined)[] = [];
  private readonly ofFeed: Said = new Map();
  private blocked = false;
  private readonly items: FeedItem[] = [];
  private readonly pieces: Piece[] = [];
  private said: Said = new Map();
  /** The text that is being read: whose it is, and the depth of its element. */
  private reading: { place: Place; text: string; depth: number } | undefined;
  private start = 0;
  private attributes = 0;
  private prologEnd = 0;
  private doctype: Range = { start: 0, end: 0 };

  /** @param position of the parser: just behind what it tells of */
  constructor(
    private readonly source: string,
    private readonly position: () => number,
  ) {}

  get hasRoot(): boolean {
    return this.root !== '';
  }

  passedProlog(): void {
    if (!this.hasRoot) this.prologEnd = this.position();
  }

  passesDoctype(content: string): void {
    if (content.replace(/"[^"]*"|'[^']*'/g, '').includes('['))
      throw new NotAFeed('internal_subset', 'a DOCTYPE with an internal subset is not read');
    this.doctype = { start: this.source.indexOf('<!DOCTYPE', this.prologEnd), end: this.position() };
  }

  begins(name: string): void {
    // A line's end behind the name is of one character or two.
    if (this.open.length <= 5) this.start = this.source.lastIndexOf('<', this.position() - name.length - 1);
    this.attributes = 0;
  }

  attribute(): void {
    this.attributes += 1;
    if (this.attributes > FEED_MAX_ATTRIBUTES)
      throw new NotAFeed('too_many_attributes', `an element has more than ${FEED_MAX_ATTRIBUTES} attributes`);
  }

  opened({ name, attributes }: SaxesTagPlain): void {
    const depth = this.open.length;
    if (depth === FEED_MAX_DEPTH) throw new NotAFeed('too_deep', `elements are nested deeper than ${FEED_MAX_DEPTH}`);
    if (depth === 0) {
      this.begin(name, attributes);
      this.open.push('');
      return;
    }
    const around = this.open[depth - 1];
    const path = around === undefined ? undefined : around + (around && '/') + this.known(name);
    const place = path === undefined ? undefined : this.places.get(path);
    this.open.push(place && path);
    if (!place) return;
    if (place.name !== '') this.says(place, attributes);
    else if (place.scope === 'item') this.beginsItem(attributes, depth);
    else if (place.scope === 'listed') this.piece(undefined, attributes[`${this.prefix}resource`]);
    else if (path === this.dialect.feed) this.namespaces = [...this.rootNamespaces, declared(attributes)];
  }

  text(text: string): void {
    if (this.reading) this.reading.text += text;
  }

  closed(): void {
    const depth = this.open.length;
    if (this.reading?.depth === depth) {
      this.say(this.reading.place, this.reading.text);
      this.reading = undefined;
    }
    const path = this.open.pop();
    const place = path === undefined ? undefined : this.places.get(path);
    if (depth === 1) this.end = this.position();
    else if (place?.name === '' && place.scope === 'item') this.endsItem();
    else if (place?.scope === 'listed') this.pieces.at(-1)!.end = this.position();
  }

  result(): Pick<OpenFeed, 'root' | 'feed' | 'items' | 'pieces'> & { doctype: Range } {
    const cover = web(first(this.ofFeed, this.dialect.cover));
    return {
      root: this.root,
      feed: {
        title: cut(this.ofFeed.get('title')),
        author: cut(first(this.ofFeed, this.dialect.author)),
        link: web(this.ofFeed.get('link')),
        cover: cover === null ? null : { src: cover, srcset: null },
        blocked: this.blocked,
      },
      items: this.items,
      pieces: this.pieces,
      doctype: this.doctype,
    };
  }

  private begin(root: string, attributes: Record<string, string>): void {
    const colon = root.indexOf(':') + 1;
    const dialect = DIALECTS.get(root.slice(colon));
    if (!dialect) throw new NotAFeed('other_document', `<${root.slice(0, 100)}> is the root of no feed`);
    this.root = root;
    this.dialect = dialect;
    this.places = places(dialect);
    const namespaces = declared(attributes);
    for (const [prefix, namespace] of namespaces) {
      const known = knownPrefix(dialect, namespace);
      if (prefix !== '' && known !== undefined) this.prefixes.set(`${prefix}:`, known);
    }
    // What has the root's prefix is of the feed's own language.
    this.prefix = root.slice(0, colon);
    if (colon > 0) this.prefixes.set(this.prefix, '');
    this.rootNamespaces = this.namespaces = [namespaces];
  }

  /** An element's name with its prefix as we know it. */
  private known(name: string): string {
    const colon = name.indexOf(':') + 1;
    if (colon === 0) return name;
    const prefix = this.prefixes.get(name.slice(0, colon));
    return prefix === undefined ? name : prefix + name.slice(colon);
  }

  private beginsItem(attributes: Record<string, string>, depth: number): void {
    this.said = new Map();
    const namespaces = depth === 1 ? this.rootNamespaces : this.namespaces;
    const item: FeedItem = {
      guid: '',
      enclosure: '',
      title: null,
      publishedAt: null,
      durationS: null,
      start: this.start,
      end: 0,
      namespaces,
    };
    this.piece(item, attributes[`${this.prefix}about`]);
  }

  private piece(item: FeedItem | undefined, resource: string | undefined): void {
    if (this.pieces.length === FEED_MAX_ITEMS)
      throw new NotAFeed('too_many_items', `there are more than ${FEED_MAX_ITEMS} items`);
    this.pieces.push({ start: this.start, end: 0, item, resource });
  }

  private endsItem(): void {
    const { said } = this;
    const piece = this.pieces.at(-1)!;
    const item = piece.item!;
    item.guid = first(said, this.dialect.guid) ?? '';
    item.enclosure = said.get('enclosure') ?? '';
    item.title = said.get('title') ?? null;
    item.publishedAt = parseDate(first(said, this.dialect.published));
    item.durationS = parseDuration(said.get('itunes:duration'));
    piece.end = item.end = this.position();
    if (item.guid !== '' || item.enclosure !== '') this.items.push(item);
    else piece.item = undefined;
  }

  private says(place: Place, attributes: Record<string, string>): void {
    const attribute = SPEAKING_ATTRIBUTES.get(place.name);
    if (attribute) return this.say(place, attributes[attribute]);
    // Atom's links say what they are; those of RSS are text.
    if (place.name === 'link' && attributes['rel'] === 'enclosure')
      this.say({ scope: place.scope, name: 'enclosure' }, attributes['href']);
    else if (place.name === 'link' && (attributes['rel'] ?? 'alternate') === 'alternate')
      this.say(place, attributes['href']);
    // One with an id is addressed to a single directory.
    if (place.name === 'podcast:block' && attributes['id'] !== undefined) return;
    this.reading ??= { place, text: '', depth: this.open.length };
  }

  private say({ scope, name }: Place, text: string | undefined): void {
    const trimmed = text?.trim();
    if (!trimmed) return;
    if (scope === 'feed' && BLOCKS.includes(name)) this.blocked ||= /^(?:yes|true)$/i.test(trimmed);
    const said = scope === 'feed' ? this.ofFeed : this.said;
    if (!said.has(name)) said.set(name, trimmed);
  }
}

/** The namespaces that a start tag declares. */
export function declared(attributes: Record<string, string>): Namespaces {
  const namespaces = new Map<string, string>();
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'xmlns') namespaces.set('', value.trim());
    else if (name.startsWith('xmlns:')) namespaces.set(name.slice('xmlns:'.length), value.trim());
  }
  return namespaces;
}

function first(said: Said, names: readonly string[]): string | undefined {
  return names.map((name) => said.get(name)).find((text) => text !== undefined);
}

/** Not between the two halves of a character. */
const cut = (text: string | undefined): string | null =>
  text?.slice(0, FEED_TEXT_MAX_LENGTH).replace(/[\ud800-\udbff]$/, '') ?? null;

/** Of metadata only what a page may link to. */
const web = (url: string | undefined): string | null =>
  url && url.length <= FEED_ADDRESS_MAX_LENGTH && /^https?:\/\//i.test(url) ? url : null;
