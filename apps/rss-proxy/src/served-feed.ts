import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { FeedItem, itemOf, OpenFeed, openFeed } from '@balados/feeds-content';
import { splitItem } from '@balados/feeds-ids';
import { etagOf } from '@balados/platform-service';

/** A place in the index of items, beside the text that it holds. */
const BYTES_PER_PLACE = 64;

/** A feed as it is held: read once, and ready to be sent. */
export interface ServedFeed {
  open: OpenFeed;
  /** The first of each `<guid>,<enclosure>`. */
  items: ReadonlyMap<string, FeedItem>;
  /** The document in UTF-8. */
  body: Buffer;
  /** The same in gzip: made when it is asked for the first time, since who reads one item need not wait for it. */
  compressed: () => Promise<Buffer>;
  etag: string;
  etagOfCompressed: string;
  weight: number;
}

/** @throws NotAFeed */
export function readFeed(bytes: Uint8Array, contentType: string | undefined): ServedFeed {
  const open = openFeed(bytes, contentType);
  const body = Buffer.from(open.text);
  let compressed: Promise<Buffer> | undefined;
  const items = new Map<string, FeedItem>();
  let places = 0;
  for (const item of open.items) {
    const key = itemOf(item);
    if (items.has(key)) continue;
    items.set(key, item);
    places += key.length * 2 + BYTES_PER_PLACE;
  }
  const etag = etagOf(body);
  return {
    open,
    items,
    body,
    compressed: () => (compressed ??= promisify(gzip)(body)),
    etag,
    etagOfCompressed: etag.replace(/"$/, '-gzip"'),
    // In gzip it is hardly ever longer.
    weight: open.weight + 2 * body.length + places,
  };
}

/** The item of this guid and this enclosure, as the feed has it. */
export const itemIn = ({ items }: ServedFeed, item: string): FeedItem | undefined => items.get(itemOf(splitItem(item)));
