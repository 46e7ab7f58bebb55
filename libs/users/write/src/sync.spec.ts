import fc from 'fast-check';
import { CLOCK_SKEW_MS, clockShift } from './sync';

const NOW = Date.UTC(2026, 0, 1);

describe('the shift of a device’s times', () => {
  it.each([
    ['no time was told', undefined, 0],
    ['the clock is right', NOW, 0],
    ['it is off by a minute', NOW + 60_000, 0],
    ['it is ahead by more', NOW + 61_000, -60_000],
    ['it is behind by an hour and a bit', NOW - 3_610_000, 3_600_000],
  ])('when %s', (_, clientTime, shift) => {
    expect(clockShift(clientTime, NOW)).toBe(shift);
  });

  it('is in whole minutes, and leaves an error of at most a minute', () => {
    const error = fc.integer({ min: -1e9, max: 1e9 });
    fc.assert(
      fc.property(error, (by) => {
        const shift = clockShift(NOW - by, NOW);
        expect(Math.abs(shift % 60_000)).toBe(0);
        expect(Math.abs(by - shift)).toBeLessThanOrEqual(CLOCK_SKEW_MS);
      }),
    );
  });

  it('stays as it was while the error changes little, also between two minutes', () => {
    const error = fc.integer({ min: -1e9, max: 1e9 });
    const jitter = fc.array(fc.integer({ min: -30_000, max: 30_000 }), { maxLength: 10 });
    fc.assert(
      fc.property(error, jitter, (by, jitters) => {
        const first = clockShift(NOW - by, NOW);
        const center = first; // the device's error as it was rounded
        for (const offset of jitters) expect(clockShift(NOW - (center + offset), NOW, first)).toBe(first);
      }),
    );
  });
});
