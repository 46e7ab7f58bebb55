import { assert, integer, property } from 'fast-check';
import { ANSWERS_STALE_MS, Told, told } from './stale-answers';

const MAX_AGE_S = 29;
const answer: Told = {
  type: 'application/json',
  body: '{"people":["Ada"]}',
  bytes: 18,
  etag: '"whole"',
  headers: ['cache-control', `public, max-age=${MAX_AGE_S}, must-revalidate`, 'etag', '"whole"', 'x-other', 'stays'],
};
const outage = { reduce: () => ({ people: [] }), headers: { withheld: 'true' } };
const headersOf = ({ headers }: Told) =>
  Object.fromEntries(headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1]]] : [])));

it('is whole for as long as a cache might give it, reduced for a while, and then gone', () => {
  assert(
    property(integer({ min: 0, max: 2 * ANSWERS_STALE_MS }), (ageMs) => {
      const given = told({ ...answer }, ageMs, outage);
      if (ageMs > ANSWERS_STALE_MS) return expect(given).toBeUndefined();
      const { etag, age, ...headers } = headersOf(given!);
      expect(Number(age) * 1_000).toBeGreaterThanOrEqual(ageMs);
      const isWhole = ageMs <= MAX_AGE_S * 1_000;
      expect(given!.body).toBe(isWhole ? answer.body : '{"people":[]}');
      expect(given!.bytes).toBe(given!.body.length);
      expect([etag, etag === answer.etag]).toEqual([given!.etag, isWhole]);
      expect(headers).toEqual({
        'x-other': 'stays',
        'balados-stale': 'true',
        'cache-control': isWhole ? answer.headers[1] : 'public, no-cache',
        ...(!isWhole && { withheld: 'true' }),
      });
    }),
  );
});

it('that is no JSON is gone as soon as it would be reduced', () => {
  assert(
    property(integer({ min: 0, max: 2 * ANSWERS_STALE_MS }), (ageMs) => {
      const given = told({ ...answer, type: 'text/plain; charset=utf-8', body: 'Ada' }, ageMs, outage);
      expect(given?.body).toBe(ageMs <= MAX_AGE_S * 1_000 ? 'Ada' : undefined);
    }),
  );
});

it('that said of no age how long it holds is never whole', () => {
  const given = told({ ...answer, headers: ['cache-control', 'public'] }, 1, outage);
  expect(given!.body).toBe('{"people":[]}');
});
