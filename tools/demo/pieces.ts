/** One sync carries at most this many episodes, so that its answer comes soon. */
export const SYNC_MAX_ENTRIES = 500;
/** And at most this many bytes of them: the server takes 1 MB in all. */
export const SYNC_MAX_BYTES = 900_000;

/** Cuts what is to be sent, in order; one piece at least, which may be empty. */
export function piecesOf<Entry>(
  entries: readonly Entry[],
  { maxEntries = SYNC_MAX_ENTRIES, maxBytes = SYNC_MAX_BYTES } = {},
): Entry[][] {
  const pieces: Entry[][] = [[]];
  let bytes = 0;
  for (const entry of entries) {
    // and the comma between two
    const size = Buffer.byteLength(JSON.stringify(entry)) + 1;
    const last = pieces.at(-1)!;
    if (last.length > 0 && (last.length === maxEntries || bytes + size > maxBytes)) {
      pieces.push([entry]);
      bytes = size;
    } else {
      last.push(entry);
      bytes += size;
    }
  }
  return pieces;
}
