import fc from 'fast-check';
import { APP_PASSWORD_BYTES, formatAppPassword, readAppPassword } from './app-password';

const bytes = fc
  .uint8Array({ minLength: APP_PASSWORD_BYTES, maxLength: APP_PASSWORD_BYTES })
  .map((drawn) => Buffer.from(drawn));

it('is 24 letters and digits in four groups', () => {
  expect(formatAppPassword(Buffer.alloc(APP_PASSWORD_BYTES))).toBe('000000-000000-000000-000000');
  expect(formatAppPassword(Buffer.alloc(32, 255))).toBe('zzzzzz-zzzzzz-zzzzzz-zzzzzz');
});

it('is another one for other bytes, and read as it was given', () => {
  fc.assert(
    fc.property(bytes, bytes, (one, other) => {
      const password = formatAppPassword(one);
      expect(password).toMatch(/^([0-9a-hjkmnp-tv-z]{6}-){3}[0-9a-hjkmnp-tv-z]{6}$/);
      expect(password === formatAppPassword(other)).toBe(one.equals(other));
      for (const typed of [
        password,
        password.toUpperCase(),
        password.replaceAll('-', ''),
        ` ${password.replaceAll('-', ' ')}\n`,
        password.replaceAll('0', 'O').replaceAll('1', 'l'),
      ])
        expect(readAppPassword(typed)).toBe(password);
    }),
  );
});

it.each([
  '',
  'correct horse battery staple',
  '000000-000000-000000-00000',
  '000000-000000-000000-00000u',
  '٠'.repeat(24),
])('does not take %j for one', (typed) => expect(readAppPassword(typed)).toBeUndefined());
