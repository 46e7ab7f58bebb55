import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { decodeBase64, encodeBase64, encodeBase64Url, InvalidId } from './ids';

const text = fc.string({ unit: 'binary' });

describe('base64 of the wire', () => {
  it('is answered in the standard alphabet with padding', () => {
    expect(encodeBase64('a?>ÿ')).toBe('YT8+w78=');
  });

  it('is base64url without padding in URLs that we make', () => {
    expect(encodeBase64Url('a?>ÿ')).toBe('YT8-w78');
  });

  it.each([
    ['the standard alphabet', 'YT8+w78='],
    ['the standard alphabet without padding', 'YT8+w78'],
    ['the URL alphabet', 'YT8-w78'],
    ['the URL alphabet with padding', 'YT8-w78='],
    ['a plus that form decoding turned into a space', 'YT8 w78='],
  ])('accepts %s', (_, encoded) => expect(decodeBase64(encoded)).toBe('a?>ÿ'));

  it('accepts nothing at all as the empty text', () => expect(decodeBase64('')).toBe(''));

  it('keeps a byte order mark: it is part of what was encoded', () => {
    expect(decodeBase64(encodeBase64('\ufeffx'))).toBe('\ufeffx');
  });

  it.each([
    ['a length that no text has', 'YT8+w'],
    ['padding in the middle', 'YQ==YQ=='],
    ['too much padding', 'YQ==='],
    ['a line break', 'YT8+\nw78='],
    ['a line break at the end', 'YT8+w78=\n'],
    ['another alphabet', 'YT8*w78='],
    ['a percent sign', 'YT8%2Bw78%3D'],
    ['bytes that are not UTF-8', Buffer.from([0xc3, 0x28]).toString('base64')],
    ['UTF-8 that is cut short', Buffer.from([0xe2, 0x82]).toString('base64')],
    ['UTF-8 that is longer than need be', Buffer.from([0xc0, 0xaf]).toString('base64')],
    ['half a surrogate pair', Buffer.from([0xed, 0xa0, 0x80]).toString('base64')],
  ])('refuses %s', (_, encoded) => {
    expect(() => decodeBase64(encoded)).toThrow(expect.objectContaining({ code: 'invalid_base64' }));
  });

  it('refuses a megabyte of padding as fast as it reads one', () => {
    const started = performance.now();
    expect(() => decodeBase64(`${'='.repeat(1_000_000)}x`)).toThrow(InvalidId);
    // By the square of its length it would take a quarter of an hour.
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('still reads after it has refused', () => {
    expect(() => decodeBase64(Buffer.from([0xe2, 0x82]).toString('base64'))).toThrow();
    expect(decodeBase64('YQ==')).toBe('a');
  });

  it('gives back any text, whichever way it was written', () => {
    fc.assert(
      fc.property(text, (written) => {
        const standard = encodeBase64(written);
        for (const form of [
          standard,
          standard.replace(/=+$/, ''),
          encodeBase64Url(written),
          standard.replaceAll('+', ' '),
        ])
          expect(decodeBase64(form)).toBe(written);
      }),
    );
  });

  it('reads the bytes that Node reads, and refuses what is not their text', () => {
    const drawn = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'AZaz09+/-_ =\n'), maxLength: 24 }),
      fc.uint8Array({ maxLength: 24 }).map((bytes) => Buffer.from(bytes).toString('base64').replace(/=+$/, '')),
    );
    const padding = fc.constantFrom('', '=', '==', '===');
    const textOf = (written: string): string | undefined => {
      const significant = written.replaceAll(' ', '+').replace(/={1,2}$/, '');
      if (/[^\w+/-]/.test(significant) || significant.length % 4 === 1) return undefined;
      const bytes = Buffer.from(significant, 'base64');
      return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
    };
    fc.assert(
      fc.property(drawn, padding, (body, end) => {
        let decoded: string | undefined;
        try {
          decoded = decodeBase64(body + end);
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_base64' });
        }
        expect(decoded).toBe(textOf(body + end));
      }),
      { numRuns: 1_000 },
    );
  });
});
