import { createHash } from 'node:crypto';

/** Longest canonical feed URL, in characters. */
export const FEED_MAX_LENGTH = 2_048;
/** Longest host of a feed with its port, in characters: a name server knows names of at most 253. */
export const HOST_MAX_LENGTH = 260;
/** Longest item (`<guid>,<enclosure>`), in bytes of UTF-8. */
export const ITEM_MAX_BYTES = 3_000;

/** Why an id of the wire is refused. */
export class InvalidId extends Error {
  constructor(
    readonly code: 'invalid_base64' | 'invalid_feed' | 'invalid_item',
    message: string,
  ) {
    super(message);
    this.name = 'InvalidId';
  }
}

// C0 and C1 controls and DEL: none belongs into a URL or a guid, and NUL cannot be stored.
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
const OTHER_ALPHABET = /[-_]/;
const NOT_ASCII = /[\u0080-\uffff]/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Both alphabets (RFC 4648 §4 and §5), with or without padding. @throws InvalidId when it is neither, or not UTF-8 */
export function decodeBase64(encoded: string): string {
  // A '+' that went through form decoding arrives as a space.
  const text = encoded.includes(' ') ? encoded.replaceAll(' ', '+') : encoded;
  // The form first: what decodes is forgiving. The regular expression takes one pass, whatever it is given.
  if (!BASE64.test(text)) throw new InvalidId('invalid_base64', 'is not base64');
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  if ((text.length - padding) % 4 === 1) throw new InvalidId('invalid_base64', 'is not base64');
  // A sync carries thousands, most of them ASCII, and a decoder that may fail takes its time.
  const significant = padding === 0 ? text : text.slice(0, -padding);
  const bytes = atob(OTHER_ALPHABET.test(significant) ? inStandardAlphabet(significant) : significant);
  if (!NOT_ASCII.test(bytes)) return bytes;
  try {
    return utf8.decode(Buffer.from(bytes, 'latin1'));
  } catch {
    throw new InvalidId('invalid_base64', 'does not decode to UTF-8');
  }
}

const inStandardAlphabet = (text: string): string => text.replaceAll('-', '+').replaceAll('_', '/');

/** Standard alphabet with padding, as JSON bodies answer. */
export const encodeBase64 = (text: string): string =>
  NOT_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('base64') : btoa(text);
/** base64url without padding, for URLs that we make. */
export const encodeBase64Url = (text: string): string => Buffer.from(text, 'utf8').toString('base64url');

/** Undefined for what is no absolute URL. `URL.canParse` of Node 20 and 22 refuses hosts such as bücher.example once it is warm. */
function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/**
 * The canonical URL of a feed: trimmed, scheme and host in lower case, no default port, no fragment; nothing else touched.
 * @throws InvalidId unless it is an absolute http or https URL of at most FEED_MAX_LENGTH characters without control characters
 */
export function canonicalFeed(text: string): string {
  const trimmed = text.trim();
  if (CONTROL.test(trimmed)) throw new InvalidId('invalid_feed', 'contains control characters');
  const parts = /^(https?):\/\/([^/?#]*)([^#]*)/i.exec(trimmed);
  const [, scheme, authority, rest] = (parts ?? ['', '', '', '']) as unknown as [string, string, string, string];
  const at = authority.lastIndexOf('@');
  const userinfo = authority.slice(0, at + 1);
  let host = authority.slice(at + 1).toLowerCase();
  // Before it is parsed, since to encode a host of another script takes the square of its length.
  const url = host !== '' && host.length <= HOST_MAX_LENGTH ? parseUrl(trimmed) : undefined;
  if (!url) throw new InvalidId('invalid_feed', 'is not an absolute http or https URL');
  // URL knows a default port in any spelling, such as :0443.
  if (url.port === '') host = host.replace(/:\d*$/, '');
  // URL forgives backslashes and blanks in the authority; an identity must not.
  if (host === '' || /[\s\\]/.test(authority)) throw new InvalidId('invalid_feed', 'has no valid host');
  // Blanks before a fragment are at the end once it is gone.
  const canonical = `${scheme.toLowerCase()}://${userinfo}${host}${rest}`.trimEnd();
  if (canonical.length > FEED_MAX_LENGTH)
    throw new InvalidId('invalid_feed', `is longer than ${FEED_MAX_LENGTH} characters`);
  return canonical;
}

/** `rss_source_feed` of the wire → canonical URL. @throws InvalidId */
export const parseFeed = (encoded: string): string => canonicalFeed(decodeBase64(encoded));

/** An item's two halves; at least one is not empty. */
export interface ItemParts {
  guid: string;
  enclosure: string;
}

/** Splits `<guid>,<enclosure URL>` at the first `,http://` or `,https://`, since both halves may hold commas. */
export function splitItem(item: string): ItemParts {
  const comma = item.search(/,https?:\/\//i);
  if (comma >= 0) return { guid: item.slice(0, comma), enclosure: item.slice(comma + 1) };
  return { guid: item.endsWith(',') ? item.slice(0, -1) : item, enclosure: '' };
}

/** An item as it is known: trimmed. @throws InvalidId when it is too long, says nothing or contains control characters */
export function canonicalItem(text: string): string {
  const item = text.trim();
  if (Buffer.byteLength(item) > ITEM_MAX_BYTES)
    throw new InvalidId('invalid_item', `is longer than ${ITEM_MAX_BYTES} bytes`);
  if (CONTROL.test(item)) throw new InvalidId('invalid_item', 'contains control characters');
  if (item === '' || item === ',') throw new InvalidId('invalid_item', 'has neither guid nor enclosure');
  return item;
}

/** `rss_source_item` of the wire → `<guid>,<enclosure>`, trimmed. @throws InvalidId */
export const parseItem = (encoded: string): string => canonicalItem(decodeBase64(encoded));

/** What makes an episode the same within its feed: its guid, or the enclosure where there is none. */
export function episodeKey(item: string): string {
  const { guid, enclosure } = splitItem(item);
  return guid === '' ? `,${enclosure}` : guid;
}

/** Key of a feed in tables: the first 16 bytes of SHA-256 as a UUID, since URLs outgrow an index entry. */
export const feedId = (feed: string): string => hashed(feed);
/** Key of an episode of a feed in tables, made like `feedId`. */
export const episodeId = (feed: string, item: string): string => hashed(`${feed}\n${episodeKey(item)}`);
/** Key of an item whatever its feed, to look episodes up by, made like `feedId`. */
export const itemKey = (item: string): string => episodeId('', item);

function hashed(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

/** Words that name a credential when they stand alone: `api_key`, `key2`, but not `monkey`. */
const CREDENTIAL_WORDS =
  /(?:^|[^a-z])(?:authorization|key|sig|pass|pwd|access|session|sid|user|jwt|hash|hmac|policy)s?(?:$|[^a-z])/i;
/** Words that name one wherever they stand: `accesstoken`, `oauth`, but not `author`. */
const CREDENTIAL_PARTS =
  /token|secret|signature|passw|credential|auth(?!or)|sess(?:ion)?id|(?:api|access|private|user|member|feed|rss)key/i;
/** `user:password@` in the path, where proxies and redirects have the URL that they lead to. */
const USERINFO_IN_PATH = /\/[^/:@]*:[^/@]*@/;

/** Whether a URL carries a credential (userinfo, or a query key that names one), itself or a URL within it: such a feed or enclosure is never public. */
export function hasCredentials(text: string): boolean {
  if (text === '') return false;
  const url = parseUrl(text);
  if (!url) return true;
  if (url.username !== '' || url.password !== '' || USERINFO_IN_PATH.test(url.pathname)) return true;
  // Parameters of a path begin with a semicolon, and some servers still part their queries with them; fragments carry tokens of sign-ins.
  const named = [...url.search.slice(1).split(';'), url.hash.slice(1)];
  const parameters = [...url.pathname.split(';').slice(1), ...named].join('&');
  for (const [key, value] of new URLSearchParams(parameters)) {
    // camelCase names are words too: accessKey
    if (CREDENTIAL_PARTS.test(key) || CREDENTIAL_WORDS.test(key.replace(/([a-z])([A-Z])/g, '$1_$2'))) return true;
    if (/^https?:\/\//i.test(value) && hasCredentials(value)) return true;
  }
  return false;
}
