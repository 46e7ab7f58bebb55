import * as fc from 'fast-check';
import { Counters } from './counters';

const WINDOW_MS = 1_000;

it('counts each key in windows that begin with its first hit', () => {
  let now = 0;
  const counters = new Counters(WINDOW_MS, 10, () => now);
  expect(counters.count('a')).toEqual({ hits: 1, endsInMs: 1_000 });
  now = 400;
  expect([counters.count('a'), counters.count('b')]).toEqual([
    { hits: 2, endsInMs: 600 },
    { hits: 1, endsInMs: 1_000 },
  ]);
  now = 999;
  expect(counters.peek('a')).toEqual({ hits: 2, endsInMs: 1 });
  now = 1_000;
  expect(counters.peek('a').hits).toBe(0);
  expect(counters.count('a')).toEqual({ hits: 1, endsInMs: 1_000 });
});

it('says to the library when a key is over its limit, and for how many seconds', async () => {
  let now = 0;
  const counters = new Counters(WINDOW_MS * 60, 10, () => now);
  const blocked: boolean[] = [];
  for (let hit = 0; hit < 4; hit += 1) blocked.push((await counters.increment('a', 0, 2)).isBlocked);
  expect(blocked).toEqual([false, false, true, true]);
  now = 500;
  expect((await counters.increment('a', 0, 2)).timeToBlockExpire).toBe(60);
});

it('remembers at least the younger half of what it may hold', () => {
  const counters = new Counters(WINDOW_MS, 6, () => 0);
  for (const key of 'abcdefgh') counters.count(key);
  expect([...'fgh'].map((key) => counters.peek(key).hits)).toEqual([1, 1, 1]);
  expect(counters.peek('a').hits).toBe(0);
});

it('never holds more keys than it may, and never counts too much', () => {
  const hits = fc.array(fc.record({ key: fc.nat(12), wait: fc.nat(700) }), { maxLength: 200 });
  fc.assert(
    fc.property(hits, (sequence) => {
      let now = 0;
      const counters = new Counters(WINDOW_MS, 6, () => now);
      const all: { key: number; at: number }[] = [];
      for (const { key, wait } of sequence) {
        now += wait;
        all.push({ key, at: now });
        const { hits } = counters.count(String(key));
        const inWindow = all.filter((hit) => hit.key === key && hit.at > now - WINDOW_MS).length;
        expect(hits).toBeGreaterThan(0);
        expect(hits).toBeLessThanOrEqual(inWindow);
        expect(counters.size).toBeLessThanOrEqual(6);
      }
    }),
  );
});
