import { KeyObject } from 'node:crypto';
import { isSigned, locationOf, readPlayLink, splitItem } from '@balados/feeds-ids';
import { hashOfPersonalToken } from '@balados/users-accounts';
import { LRUCache } from 'lru-cache';
import { recentKey } from './recent-plays';

/** Links that are remembered as they were read: players ask for one again and again, piece by piece. */
export const LINKS_KEPT = 20_000;
export const LINKS_KEPT_BYTES = 16 * 1_048_576;

/** All that a link says, found out once. */
export interface Link {
  /** Undefined for what cannot be a token. */
  tokenHash: string | undefined;
  feed: string;
  item: string;
  /** Where it leads, when it is signed; else the feed must say so. */
  location: string | undefined;
  /** By what its play is remembered. */
  recentKey: string;
}

/** Reads the paths of requests. Undefined for what is no link. */
export function linkReader(keys: readonly KeyObject[]): (path: string) => Link | undefined {
  const kept = new LRUCache<string, Link>({
    max: LINKS_KEPT,
    maxSize: LINKS_KEPT_BYTES,
    // What is decoded, and the rest, come to about as much again.
    sizeCalculation: (_link, path) => path.length * 2 + 400,
  });
  return (path) => {
    const known = kept.get(path);
    if (known) return known;
    const link = readPlayLink(path);
    if (!link) return undefined;
    const { token, feed, item } = link;
    const tokenHash = hashOfPersonalToken(token);
    const location = isSigned(link, keys) ? locationOf(splitItem(item).enclosure) : undefined;
    const read = { tokenHash, feed, item, location, recentKey: recentKey(tokenHash ?? '', feed, item) };
    kept.set(path, read);
    return read;
  };
}
