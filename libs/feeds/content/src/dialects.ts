import { USUAL_NAMESPACES } from './namespaces';

/** A place in a feed's document that means something to us. */
export interface Place {
  /** What speaks here: the feed, an item, or an entry of RSS 1.0's table of contents. */
  scope: 'feed' | 'item' | 'listed' | undefined;
  /** Name of what is said here, relative to its scope; empty for the scope's own element. */
  name: string;
}

/** Where a kind of document has its parts, and what its texts mean; of several names the first that is there counts. */
export interface Dialect {
  /** Paths of element names below the root, of what speaks. */
  feed: string;
  items: readonly string[];
  listed: string | undefined;
  /** What is read of each, as paths below it. */
  guid: readonly string[];
  published: readonly string[];
  author: readonly string[];
  cover: readonly string[];
  /** The language's own namespaces: what has them is known by its bare name. */
  namespaces: readonly string[];
}

const RSS: Dialect = {
  feed: 'channel',
  items: ['channel/item', 'item'],
  listed: undefined,
  guid: ['guid', 'link'],
  published: ['pubDate', 'dc:date'],
  author: ['itunes:author', 'author', 'managingEditor', 'dc:creator'],
  cover: ['itunes:image', 'image/url', 'googleplay:image'],
  namespaces: [],
};
const RDF: Dialect = {
  ...RSS,
  listed: 'channel/items/Seq/li',
  namespaces: ['http://purl.org/rss/1.0/', 'http://www.w3.org/1999/02/22-rdf-syntax-ns#'],
};
const ATOM: Dialect = {
  feed: '',
  items: ['entry'],
  listed: undefined,
  guid: ['id', 'link'],
  published: ['published', 'updated'],
  author: ['author/name', 'itunes:author'],
  cover: ['itunes:image', 'logo', 'icon'],
  namespaces: ['http://www.w3.org/2005/Atom', 'http://purl.org/atom/ns#'],
};

export const DIALECTS: ReadonlyMap<string, Dialect> = new Map([
  ['rss', RSS],
  ['RDF', RDF],
  ['feed', ATOM],
]);

/** Any of these with "yes" keeps a feed out of directories. */
export const BLOCKS = ['itunes:block', 'googleplay:block', 'podcast:block'];

/** Elements that speak by an attribute. */
export const SPEAKING_ATTRIBUTES: ReadonlyMap<string, string> = new Map([
  ['enclosure', 'url'],
  ['itunes:image', 'href'],
  ['googleplay:image', 'href'],
]);

/** The usual prefix of each namespace: some write theirs in other letters. */
const USUAL_PREFIXES: ReadonlyMap<string, string> = new Map(
  [...USUAL_NAMESPACES].map(([prefix, namespace]) => [namespace.toLowerCase(), prefix]),
);

/** What a prefix that the root declares is to us, with its colon: empty for the dialect's own namespaces; undefined for one that we do not know. */
export function knownPrefix(dialect: Dialect, namespace: string): string | undefined {
  if (dialect.namespaces.includes(namespace)) return '';
  const known = USUAL_PREFIXES.get(namespace.toLowerCase());
  return known === undefined ? undefined : `${known}:`;
}

const placesOf = new Map<Dialect, ReadonlyMap<string, Place>>();

/** Every place of a dialect by its path, the ways to them included: what is not here need not be followed. */
export function places(dialect: Dialect): ReadonlyMap<string, Place> {
  const made = placesOf.get(dialect);
  if (made) return made;
  const found = new Map<string, Place>();
  const add = (scope: Place['scope'], base: string, name: string) => {
    const steps = [base, name].filter(Boolean).join('/').split('/').filter(Boolean);
    for (let length = 1; length < steps.length; length++) {
      const way = steps.slice(0, length).join('/');
      if (!found.has(way)) found.set(way, { scope: undefined, name: '' });
    }
    found.set(steps.join('/'), { scope, name });
  };
  for (const name of ['title', 'link', ...dialect.author, ...dialect.cover, ...BLOCKS]) add('feed', dialect.feed, name);
  // RSS 1.0 has its image beside the channel.
  if (dialect.listed) add('feed', '', 'image/url');
  if (dialect.listed) add('listed', dialect.listed, '');
  for (const item of dialect.items) {
    add('item', item, '');
    for (const name of ['title', 'link', 'enclosure', 'itunes:duration', ...dialect.guid, ...dialect.published])
      add('item', item, name);
  }
  placesOf.set(dialect, found);
  return found;
}
