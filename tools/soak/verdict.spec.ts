import { assert, double, integer, property } from 'fast-check';
import { floor, Point, rise, thirds } from './verdict';

const finite = { noNaN: true, min: -1_000, max: 1_000 };

it('a line rises by what it rises, wherever it begins', () => {
  assert(
    property(double(finite), double(finite), integer({ min: 2, max: 50 }), (slope, start, count) => {
      const points = Array.from({ length: count }, (_, at): Point => [at, start + slope * at]);
      expect(rise(points)).toBeCloseTo(slope * (count - 1), 4);
    }),
  );
});

it('what goes up and down does not rise', () => {
  const saw = Array.from({ length: 61 }, (_, at): Point => [at, at % 2]);
  expect(rise(saw)).toBeCloseTo(0, 6);
  expect(rise([[0, 5]])).toBe(0);
});

it('the floor of a saw is its bottom, and rises as that does', () => {
  // A heap that is collected every tenth time, and of which ever more stays.
  const heap = Array.from({ length: 60 }, (_, at): Point => [at, (at % 10) * 7 + Math.floor(at / 10)]);
  expect(floor(heap, 10).map(([, value]) => value)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(rise(floor(heap, 10))).toBeCloseTo(5, 6);
  // An end that is not long enough to have a collection in it.
  expect(floor([...heap, [60, 900]], 10)).toHaveLength(6);
});

it('first and last third are apart, and of the time that is asked for', () => {
  const { first, last } = thirds(
    Array.from({ length: 40 }, (_, at) => at),
    (at) => at,
    9,
    39,
  );
  expect([first[0], first.at(-1), last[0], last.at(-1)]).toEqual([9, 18, 29, 39]);
});
