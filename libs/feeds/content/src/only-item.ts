import { splitItem } from '@balados/feeds-ids';
import { itemOf, OpenFeed, Piece } from './feed';

/** A feed taken apart: what stands around its pieces, and the pieces by the item that they are of. */
interface Apart {
  around: string;
  /** Of each piece: where it belongs in `around`, and where it stands in the text with the white space before it. */
  places: Map<Piece, { at: number; start: number }>;
  /** The first of each `<guid>,<enclosure>`. */
  items: Map<string, Piece>;
  /** RSS 1.0: entries of the table of contents, by what they point to. */
  listed: Map<string, Piece>;
}

/** Taken apart when first asked for, and for as long as the feed is held. */
const apart = new WeakMap<OpenFeed, Apart>();

/**
 * The feed with one item alone, the first whose guid and enclosure are those of `item` (`<guid>,<enclosure>`; the link stands in for a guid that is missing):
 * its source text verbatim, and around it all that is no item, untouched. Of RSS 1.0's table of contents its entry is left.
 * Undefined when there is no such item. But for the first of a feed, it takes no time to speak of.
 */
export function onlyItem(open: OpenFeed, item: string): string | undefined {
  let parts = apart.get(open);
  if (!parts) apart.set(open, (parts = takeApart(open)));
  const piece = parts.items.get(itemOf(splitItem(item)));
  if (!piece) return undefined;
  const entry = piece.resource === undefined ? undefined : parts.listed.get(piece.resource);
  let text = '';
  let copied = 0;
  for (const kept of entry ? [entry, piece].sort((a, b) => a.start - b.start) : [piece]) {
    const { at, start } = parts.places.get(kept)!;
    text += parts.around.slice(copied, at) + open.text.slice(start, kept.end);
    copied = at;
  }
  return text + parts.around.slice(copied);
}

function takeApart({ text, pieces }: OpenFeed): Apart {
  const parts: Apart = { around: '', places: new Map(), items: new Map(), listed: new Map() };
  const around: string[] = [];
  let copied = 0;
  let length = 0;
  for (const piece of pieces) {
    const start = lineBefore(text, piece.start, copied);
    around.push(text.slice(copied, start));
    length += start - copied;
    copied = piece.end;
    parts.places.set(piece, { at: length, start });
    const item = piece.item && itemOf(piece.item);
    if (item !== undefined && !parts.items.has(item)) parts.items.set(item, piece);
    if (!piece.item && piece.resource !== undefined) parts.listed.set(piece.resource, piece);
  }
  around.push(text.slice(copied));
  parts.around = around.join('');
  return parts;
}

/** Where the white space before a piece begins: it goes with it, lest a hundred items leave a hundred empty lines. */
function lineBefore(text: string, start: number, from: number): number {
  while (start > from && ' \t\r\n'.includes(text.charAt(start - 1))) start -= 1;
  return start;
}
