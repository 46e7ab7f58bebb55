import { createHmac, KeyObject, timingSafeEqual } from 'node:crypto';
import { canonicalFeed, canonicalItem, encodeBase64Url, InvalidId, parseFeed, parseItem, splitItem } from './ids';

/** Bytes of the HMAC-SHA256 (RFC 2104) that a link carries: truncated to its first 128 bits. */
export const SIGNATURE_BYTES = 16;

/** What a play link says: whose play of what. `feed` is a canonical URL, `item` is `<guid>,<enclosure>`. */
export interface PlayTarget {
  /** A personal token, in the clear. */
  token: string;
  feed: string;
  item: string;
}

/** A link as it was sent; whether its signature is one of ours is not said by that. */
export type PlayLink = PlayTarget & { signature: string | undefined };

/**
 * `<base>/{token}.{signature}/{feed}/{item}[.ext]`: feed and item in base64url, the extension that of the enclosure, for players that look at
 * it. The same target has the same link for as long as the key is the same: no time is in it.
 * @param base such as `https://play.example`
 * @returns undefined for what no link can name, or which has no enclosure to lead to
 */
export function playLink(base: string, { token, feed, item }: PlayTarget, key: KeyObject): string | undefined {
  let target: PlayTarget;
  try {
    target = { token, feed: canonicalFeed(feed), item: canonicalItem(item) };
  } catch (error) {
    if (error instanceof InvalidId) return undefined;
    throw error;
  }
  const { enclosure } = splitItem(target.item);
  if (locationOf(enclosure) === undefined) return undefined;
  const signature = signatureOf(target, key);
  const [feedId, itemId] = [encodeBase64Url(target.feed), encodeBase64Url(target.item)];
  return `${base.replace(/\/+$/, '')}/${token}.${signature}/${feedId}/${itemId}${extensionOf(enclosure)}`;
}

/** Three segments, the last with an extension or not: none of base64's characters is a dot. */
const PATH = /^\/([^/?#.]+)(?:\.([^/?#.]+))?\/([^/?#.]+)\/([^/?#.]+)(?:\.[A-Za-z0-9]{1,8})?(?:[?#].*)?$/s;
const SIGNATURE = /^[\w-]{22}$/;

/**
 * The path of a request (with its query, which says nothing) → the link that it is; undefined for any other. A signature that cannot be
 * one is none.
 */
export function readPlayLink(path: string): PlayLink | undefined {
  const [, token, signature, feed, item] = PATH.exec(path) ?? [];
  if (token === undefined || feed === undefined || item === undefined) return undefined;
  try {
    return {
      token: decoded(token),
      signature: signature !== undefined && SIGNATURE.test(signature) ? signature : undefined,
      feed: parseFeed(decoded(feed)),
      item: parseItem(decoded(item)),
    };
  } catch (error) {
    if (error instanceof InvalidId || error instanceof URIError) return undefined;
    throw error;
  }
}

/** Once, and never again: what is encoded twice is no base64. */
const decoded = (segment: string): string => (segment.includes('%') ? decodeURIComponent(segment) : segment);

/** Whether one of the keys has signed this link. Takes the same time for every wrong signature. */
export function isSigned(link: PlayLink, keys: readonly KeyObject[]): boolean {
  if (link.signature === undefined) return false;
  // As text, since two texts may say the same bytes.
  const sent = Buffer.from(link.signature);
  return keys.some((key) => timingSafeEqual(sent, Buffer.from(signatureOf(link, key))));
}

/** Line ends stand in none of the three, so no two targets say the same. */
const signatureOf = ({ token, feed, item }: PlayTarget, key: KeyObject): string =>
  createHmac('sha256', key).update(`${token}\n${feed}\n${item}`).digest().toString('base64url', 0, SIGNATURE_BYTES);

const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/**
 * An enclosure as `Location` (RFC 9110, 10.2.2) may say it: as published, or encoded where it has characters that no header has.
 * Undefined for what is no absolute http or https URL.
 */
export function locationOf(enclosure: string): string | undefined {
  if (!/^https?:\/\//i.test(enclosure)) return undefined;
  let url: URL;
  try {
    url = new URL(enclosure);
  } catch {
    return undefined;
  }
  return VISIBLE_ASCII.test(enclosure) ? enclosure : url.href;
}

const EXTENSION = /\.(?:mp3|m4[abv]|aac|og[agv]|opus|flac|wav|mp4|mov|webm|mkv|pdf|epub)$/i;

/** `.mp3` and its kin from the enclosure's path, in lower case; empty when that does not end in one that players know. */
export function extensionOf(enclosure: string): string {
  const path = enclosure.replace(/[?#].*$/s, '');
  return (EXTENSION.exec(path)?.[0] ?? '').toLowerCase();
}
