import * as fc from 'fast-check';
import { toUsername, USERNAME_MAX_CHARACTERS, usernameKey } from './usernames';

describe('a username', () => {
  it.each(['ann', 'Ann-Marie_7', 'a.b', 'Ænðr', '中島みゆき', 'Ωμέγα', '👩🎧🐧', 'x'.repeat(USERNAME_MAX_CHARACTERS)])(
    'may be %j',
    (name) => expect(toUsername(name)).toBe(name),
  );

  it('is trimmed', () => expect(toUsername('  ann\n')).toBe('ann'));

  it.each([
    ['too short', 'ab'],
    ['too short once trimmed', ' ab '],
    ['too long', 'x'.repeat(USERNAME_MAX_CHARACTERS + 1)],
    ['with a space', 'ann lee'],
    ['with a no-break space', 'ann\u00a0lee'],
    ['with a line end', 'ann\nlee'],
    ['with a NUL', 'ann\0'],
    ['with a zero-width space', 'ann\u200b'],
    ['with a zero-width joiner', 'an\u200dn'],
    ['written right to left by a control', '\u202eann'],
    ['of Hangul fillers', '\u3164\u3164\u3164'],
    ['of empty Braille cells', '\u2800\u2800\u2800'],
    ['with a lone surrogate', 'ann\ud800'],
    ['with a private character', 'ann\ue000'],
    ['empty', ''],
  ])('is not one %s', (_what, name) =>
    expect(() => toUsername(name)).toThrow(expect.objectContaining({ code: 'invalid_username' })),
  );
});

describe('the key of a username', () => {
  it.each([
    ['ann', 'ANN'],
    ['Straße', 'STRASSE'],
    ['ẞorg', 'ssorg'],
    ['ﬁne', 'FINE'],
    ['ａｎｎ', 'ann'],
    ['ann①', 'ann1'],
    ['Zoe\u0308', 'ZO\u00cb'],
    ['ΟΔΟΣ', 'οδοσ'],
    ['Å', '\u212b'],
  ])('is the same for %s and %s', (one, other) => expect(usernameKey(one)).toBe(usernameKey(other)));

  it.each([
    ['ann', 'anna'],
    ['zoe', 'zoë'],
    ['a.b', 'ab'],
  ])('differs for %s and %s', (one, other) => expect(usernameKey(one)).not.toBe(usernameKey(other)));

  it('is its own key, and that of every composed or decomposed form', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const key = usernameKey(text);
        expect(usernameKey(key)).toBe(key);
        expect(usernameKey(text.normalize('NFD'))).toBe(key);
        expect(usernameKey(text.normalize('NFKC'))).toBe(key);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is that of every character in upper and in lower case', () => {
    const different: string[] = [];
    for (let point = 0x21; point <= 0x1ffff; point++) {
      const character = String.fromCodePoint(point);
      if (!/[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(character)) continue;
      const keys = [character, character.toUpperCase(), character.toLowerCase()].map(usernameKey);
      if (new Set(keys).size > 1) different.push(character);
    }
    expect(different).toEqual([]);
  });
});
