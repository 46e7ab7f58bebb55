import { TextDecoder } from 'node:util';

/** The XML declaration stands within this many bytes of the start. */
const DECLARATION_MAX_BYTES = 1_024;
const DECLARED_ENCODING = /^(\s*<\?xml\s[^>]*?\sencoding\s*=\s*["'])([^"'>]+)(?=["'])/;
const UTF_16 = /^utf-?16|^(?:iso-10646-)?ucs-?2|^unicode/i;

/**
 * The text of an XML document, without byte order mark and leading white space, its declaration saying UTF-8 where it says anything. The
 * charset is that of the byte order mark, else of the content type, else of the XML declaration (RFC 7303), else UTF-8; one that nobody
 * knows, or in which the bytes make no text, is passed over. When they make none in any, what the first does not have becomes U+FFFD.
 */
export function decodeXml(bytes: Uint8Array, contentType = ''): string {
  const charsets = charsetsOf(bytes, contentType);
  return asUtf8(firstText(charsets, bytes) ?? new TextDecoder(charsets[0]).decode(bytes));
}

/** The same; undefined when the bytes make no text in any of these. */
export function decodeXmlStrictly(bytes: Uint8Array, contentType = ''): string | undefined {
  const text = firstText(charsetsOf(bytes, contentType), bytes);
  return text === undefined ? undefined : asUtf8(text);
}

function charsetsOf(bytes: Uint8Array, contentType: string): string[] {
  const certain = ofMark(bytes);
  // Both of these are read from single bytes: such a document is no UTF-16, whatever it says.
  const claimed = [ofContentType(contentType), ofDeclaration(bytes)].filter(
    (charset) => !charset || !UTF_16.test(charset),
  );
  return certain ? [certain] : [...new Set([...claimed, 'utf-8'])].filter(isKnown);
}

const asUtf8 = (text: string): string => sayingUtf8(text.replace(/^[\s\ufeff]+/, ''));

function firstText(charsets: readonly string[], bytes: Uint8Array): string | undefined {
  for (const charset of charsets) {
    try {
      return new TextDecoder(charset, { fatal: true }).decode(bytes);
    } catch {
      // the next may fit
    }
  }
  return undefined;
}

function isKnown(charset: string | undefined): charset is string {
  try {
    return charset !== undefined && new TextDecoder(charset).encoding !== '';
  } catch {
    return false;
  }
}

function ofMark([first, second, third]: Uint8Array): string | undefined {
  if (first === 0xef && second === 0xbb && third === 0xbf) return 'utf-8';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  // "<" or white space in two bytes: UTF-16 without a mark, which no declaration could be read from
  if (first && second === 0) return 'utf-16le';
  if (first === 0 && second) return 'utf-16be';
  return undefined;
}

const ofContentType = (contentType: string): string | undefined =>
  /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType)?.[1];

function ofDeclaration(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.subarray(0, DECLARATION_MAX_BYTES)).toString('latin1');
  return DECLARED_ENCODING.exec(start)?.[2];
}

/** The text as one that is sent in UTF-8: a declaration that names another charset names this. */
const sayingUtf8 = (text: string): string =>
  text.replace(DECLARED_ENCODING, (whole, before: string, encoding: string) =>
    encoding.toLowerCase() === 'utf-8' ? whole : `${before}utf-8`,
  );
