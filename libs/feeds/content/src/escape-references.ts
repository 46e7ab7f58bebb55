import { NotAFeed } from './not-a-feed';

/** References escaped in one document: each makes it four characters longer. Feeds have a few. */
export const ESCAPES_MAX = 1_000_000;

const KNOWN = /^&(?:amp|lt|gt|quot|apos|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));/;
/** Longest reference that is known, `&#1114111;`, in characters. */
const REFERENCE_MAX_LENGTH = 10;

/** What is no text: between these nothing is a reference. */
const OPAQUE = [
  ['<![CDATA[', ']]>'],
  ['<!--', '-->'],
  ['<?', '?>'],
] as const;

/**
 * Escapes every `&` of an XML text that begins no reference which XML itself knows: a bare one, an entity of HTML such as `&nbsp;`, a
 * character that XML does not have. Nothing else differs. Takes time in proportion to the length.
 * @throws NotAFeed when there are more than ESCAPES_MAX
 */
export function escapeReferences(xml: string): string {
  const found: string[] = [];
  let copied = 0;
  let at = 0;
  while ((at = nextOf(xml, at)) >= 0) {
    if (xml[at] === '&') {
      if (!isKnown(xml.slice(at, at + REFERENCE_MAX_LENGTH))) {
        found.push(xml.slice(copied, at), '&amp;');
        if (found.length > 2 * ESCAPES_MAX)
          throw new NotAFeed('too_many_escapes', `more than ${ESCAPES_MAX} references that XML does not know`);
        copied = at + 1;
      }
      at += 1;
      continue;
    }
    const opaque = OPAQUE.find(([start]) => xml.startsWith(start, at));
    if (!opaque) {
      at += 1;
      continue;
    }
    const end = xml.indexOf(opaque[1], at + opaque[0].length);
    // Never closed: the parser will say so.
    if (end < 0) break;
    at = end + opaque[1].length;
  }
  if (found.length === 0) return xml;
  return found.join('') + xml.slice(copied);
}

const INTERESTING = /&|<[!?]/g;
function nextOf(xml: string, from: number): number {
  INTERESTING.lastIndex = from;
  return INTERESTING.exec(xml)?.index ?? -1;
}

function isKnown(text: string): boolean {
  const match = KNOWN.exec(text);
  if (!match) return false;
  const [, decimal, hexadecimal] = match;
  if (decimal !== undefined) return isXmlCharacter(parseInt(decimal, 10));
  return hexadecimal === undefined || isXmlCharacter(parseInt(hexadecimal, 16));
}

const isXmlCharacter = (code: number): boolean =>
  code === 0x9 ||
  code === 0xa ||
  code === 0xd ||
  (code >= 0x20 && code <= 0xd7ff) ||
  (code >= 0xe000 && code <= 0xfffd) ||
  (code >= 0x10000 && code <= 0x10ffff);
