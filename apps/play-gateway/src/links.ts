import { KeyObject } from 'node:crypto';
import { isSigned, locationOf, readPlayLink, splitItem } from '@balados/feeds-ids';
import { hashOfPersonalToken } from '@balados/users-accounts';
import { recentKey } from './recent-plays';

/** All that a link says. */
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
  return (path) => {
    const link = readPlayLink(path);
    if (!link) return undefined;
    const { token, feed, item } = link;
    const tokenHash = hashOfPersonalToken(token);
    const location = isSigned(link, keys) ? locationOf(splitItem(item).enclosure) : undefined;
    return { tokenHash, feed, item, location, recentKey: recentKey(tokenHash ?? '', feed, item) };
  };
}
