import { TextDecoder } from 'node:util';

/** The XML declaration stands within this many bytes of the start. */
const DECLARATION_MAX_BYTES = 1_024;

/**
 * The text of an XML document, without byte order mark and leading white space. The charset is that of the byte order mark, else of the
 * content type, else of the XML declaration (RFC 7303), else UTF-8; one that nobody knows is passed over.
 * Bytes that the charset does not have become U+FFFD.
 */
export function decodeXml(bytes: Uint8Array, contentType = ''): string {
  const charsets = [ofMark(bytes), ofContentType(contentType), ofDeclaration(bytes), 'utf-8'];
  for (const charset of charsets) {
    if (charset === undefined) continue;
    let decoder: TextDecoder;
    try {
      decoder = new TextDecoder(charset);
    } catch {
      continue;
    }
    return decoder.decode(bytes).replace(/^[\s\ufeff]+/, '');
  }
  throw new Error('UTF-8 is always known');
}

function ofMark([first, second, third]: Uint8Array): string | undefined {
  if (first === 0xef && second === 0xbb && third === 0xbf) return 'utf-8';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  // "<" in two bytes: UTF-16 without a mark, which no declaration could be read from
  if (first === 0x3c && second === 0x00) return 'utf-16le';
  if (first === 0x00 && second === 0x3c) return 'utf-16be';
  return undefined;
}

const ofContentType = (contentType: string): string | undefined =>
  /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType)?.[1];

function ofDeclaration(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.subarray(0, DECLARATION_MAX_BYTES)).toString('latin1');
  return /^\s*<\?xml\s[^>]*?\sencoding\s*=\s*["']([^"']+)["']/.exec(start)?.[1];
}
