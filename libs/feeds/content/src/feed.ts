import { episodeKey } from '@balados/feeds-ids';

/** Namespace by its prefix, as one start tag declares them; the default namespace has the empty prefix. */
export type Namespaces = ReadonlyMap<string, string>;

export interface FeedItem {
  /** The item's guid or Atom id, else its link; empty when it has neither. */
  guid: string;
  /** URL of the first enclosure; empty when there is none. */
  enclosure: string;
  title: string | null;
  /** Epoch milliseconds. */
  publishedAt: number | null;
  /** Seconds. */
  durationS: number | null;
  /** Where its element begins and ends in the feed's text. */
  start: number;
  end: number;
  /** What the elements around it declare, the outermost first. */
  namespaces: readonly Namespaces[];
}

/** What a feed says of itself, within FEED_TEXT_MAX_LENGTH and FEED_ADDRESS_MAX_LENGTH: it goes to other services in one message. */
export interface FeedMetadata {
  title: string | null;
  author: string | null;
  /** http or https. */
  link: string | null;
  cover: { src: string; srcset: null } | null;
  /** Whether the publisher wants it in no directory (`itunes:block`). */
  blocked: boolean;
}

/** What is cut out of a document that is to hold one item: every item, also one without identity, and RSS 1.0's table of contents. */
export interface Piece {
  start: number;
  end: number;
  /** Undefined for an entry of the table of contents, and for an item that nothing identifies. */
  item: FeedItem | undefined;
  /** RSS 1.0: what the item is called (`rdf:about`), or what the entry points to. */
  resource: string | undefined;
}

export interface OpenFeed {
  /**
   * The document as it is served, in UTF-8: as it came, without byte order mark, leading white space, DOCTYPE and what follows its root and
   * is no XML; references that XML does not know are escaped.
   */
  text: string;
  /** `rss`, `RDF` or `feed`, with its prefix if it has one. */
  root: string;
  feed: FeedMetadata;
  /** As they stand in the document, but for those that have no guid, link or enclosure to be known by. */
  items: FeedItem[];
  pieces: Piece[];
  /** About how many bytes of memory all this takes. */
  weight: number;
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
