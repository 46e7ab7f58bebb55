const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** What XML 1.0 has no character for: controls, halves of surrogate pairs, U+FFFE and U+FFFF. */
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

/** Text as it stands in an element or in an attribute's double quotes; what XML has no character for is left out. */
export const escapeXml = (text: string): string =>
  text.replace(NOT_XML, '').replace(/[&<>"]/g, (found) => ESCAPES[found]!);

/** Text as it may stand in a comment: without two hyphens in a row, or one at the end. */
export const commentText = (text: string): string => text.replace(NOT_XML, '').replace(/-(?=-|$)/g, '- ');

/** `<name a="b">text</name>`; attributes that are undefined are left out. */
export function element(name: string, text: string, attributes: Record<string, string | undefined> = {}): string {
  const start = startTag(name, attributes);
  return text === '' ? `${start.slice(0, -1)}/>` : `${start}${escapeXml(text)}</${name}>`;
}

export function startTag(name: string, attributes: Record<string, string | undefined>): string {
  const written = Object.entries(attributes).map(([key, value]) =>
    value === undefined ? '' : ` ${key}="${attribute(value)}"`,
  );
  return `<${name}${written.join('')}>`;
}

/** Line ends and tabs would be read as blanks. */
const attribute = (text: string): string =>
  escapeXml(text).replace(/[\t\r\n]/g, (found) => `&#${found.charCodeAt(0)};`);
