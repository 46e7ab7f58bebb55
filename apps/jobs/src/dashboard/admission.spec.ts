import type { FastifyRequest } from 'fastify';
import { Admission, isForeign, SESSION_MS } from './admission';

const TOKEN = 'x'.repeat(32);
const requestOf = (headers: Record<string, string>, ip = '203.0.113.1', protocol = 'http'): FastifyRequest =>
  ({ headers, ip, protocol }) as never;
const withCookie = (set: string): FastifyRequest => requestOf({ cookie: `other=1; ${set.split(';')[0]}` });

it('gives a cookie for the token that every copy takes until its time is over, and none that has another token', () => {
  let now = 1_700_000_000_000;
  const [one, other] = [1, 2].map(() => new Admission(TOKEN, 0, () => now));
  const request = withCookie(one!.begin(requestOf({})));
  expect(other!.endOf(request)).toBe(now + SESSION_MS);
  expect(new Admission(`${TOKEN}y`, 0, () => now).endOf(request)).toBeUndefined();
  now += SESSION_MS;
  expect(other!.endOf(request)).toBeUndefined();
});

it('takes no cookie that was changed anywhere, and not one that was emptied', () => {
  const admission = new Admission(TOKEN, 0);
  const set = admission.begin(requestOf({}));
  const value = set.split(';')[0]!;
  for (let place = value.indexOf('=') + 1; place < value.length; place += 1) {
    const changed = value.slice(0, place) + (value[place] === '1' ? '2' : '1') + value.slice(place + 1);
    expect([place, admission.endOf(withCookie(changed))]).toEqual([place, undefined]);
  }
  expect(admission.endOf(withCookie(admission.end(requestOf({}))))).toBeUndefined();
  expect(admission.endOf(withCookie(value))).toBeGreaterThan(Date.now());
});

it('looks at so many wrong tokens of an address in a minute, wherever they stand, and at no right one after that', () => {
  const admission = new Admission(TOKEN, 2);
  const wrong = requestOf({ authorization: 'Bearer no' });
  expect(admission.isToken(requestOf({}), 'no')).toBe(false);
  expect(admission.endOf(wrong)).toBeUndefined();
  for (const request of [wrong, requestOf({ authorization: `Bearer ${TOKEN}` })])
    expect(() => admission.endOf(request)).toThrow('429 too_many_requests');
  expect(admission.isToken(requestOf({}, '203.0.113.2'), TOKEN)).toBe(true);
  expect(admission.isToken(requestOf({}, '203.0.113.2'), 'y'.repeat(1_000_000))).toBe(false);
});

it('sends the cookie over TLS alone where it came by TLS, as far as a proxy or the browser says so', () => {
  const admission = new Admission(TOKEN, 0);
  expect(admission.begin(requestOf({}))).not.toContain('Secure');
  expect(admission.begin(requestOf({ origin: 'http://sync.example' }))).not.toContain('Secure');
  expect(admission.begin(requestOf({ origin: 'https://sync.example' }))).toMatch(/; Secure$/);
  expect(admission.begin(requestOf({}, '203.0.113.1', 'https'))).toMatch(/; Secure$/);
});

it.each([
  [{}, false],
  [{ 'sec-fetch-site': 'same-origin', origin: 'https://elsewhere.example' }, false],
  [{ 'sec-fetch-site': 'none' }, false],
  [{ 'sec-fetch-site': 'same-site' }, true],
  [{ 'sec-fetch-site': 'cross-site' }, true],
  [{ host: 'sync.example:8443', origin: 'https://sync.example:8443' }, false],
  [{ host: 'sync.example', origin: 'https://sync.example.evil.example' }, true],
  [{ host: 'sync.example', origin: 'null' }, true],
])('knows whose page has sent %j', (headers, foreign) => {
  expect(isForeign({ headers } as never)).toBe(foreign);
});
