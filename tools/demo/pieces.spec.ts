import fc from 'fast-check';
import { piecesOf, SYNC_MAX_BYTES, SYNC_MAX_ENTRIES } from './pieces';

const bytesOf = (entries: readonly unknown[]) => Buffer.byteLength(JSON.stringify(entries));

describe('what a device sends', () => {
  it('is one piece, also when there is nothing: the device wants to hear what others did', () => {
    expect(piecesOf([])).toEqual([[]]);
    expect(piecesOf([1, 2])).toEqual([[1, 2]]);
  });

  it('is cut by count and by size', () => {
    expect(piecesOf([1, 2, 3], { maxEntries: 2 })).toEqual([[1, 2], [3]]);
    expect(piecesOf(['aaaa', 'b', 'cccc'], { maxBytes: 12 })).toEqual([['aaaa', 'b'], ['cccc']]);
    expect(piecesOf(['far too large', 'b'], { maxBytes: 5 })).toEqual([['far too large'], ['b']]);
  });

  it('fits what the server takes, and is whole and in order', () => {
    const entry = fc.oneof(fc.nat(200), fc.nat(SYNC_MAX_BYTES / 2)).map((length) => 'ü'.repeat(length));
    fc.assert(
      fc.property(fc.array(entry), fc.nat(2 * SYNC_MAX_ENTRIES), (some, more) => {
        const entries = [...some, ...Array.from({ length: more }, (_, index) => `${index}`)];
        const pieces = piecesOf(entries);
        expect(pieces.flat()).toEqual(entries);
        for (const piece of pieces) {
          expect(piece.length).toBeLessThanOrEqual(SYNC_MAX_ENTRIES);
          // the brackets around it
          if (piece.length > 1) expect(bytesOf(piece)).toBeLessThanOrEqual(SYNC_MAX_BYTES + 1);
        }
      }),
      { numRuns: 50 },
    );
  });
});
