import { waitFor } from '@balados/testing';
import fc from 'fast-check';
import {
  BUSY_FROM,
  FILLING_FROM,
  GATHER_MS,
  gatheringAt,
  LONGEST_DELAY_MS,
  LONGEST_REST_MS,
  measureLoop,
  restAfter,
  standsBack,
} from './links-first';

/** Of all doubles nine in ten are as good as none. */
const share = fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100);
const time = fc.integer({ min: 0, max: 4 * LONGEST_DELAY_MS });

it('stands back while links come, and never from plays that are late or from a journal that is filling', () => {
  fc.assert(
    fc.property(share, share, time, (busy, filled, waitedMs) => {
      const stands = standsBack({ busy, filled, waitedMs });
      if (waitedMs >= LONGEST_DELAY_MS || filled >= FILLING_FROM || busy < BUSY_FROM) expect(stands).toBe(false);
      else expect(stands).toBe(true);
    }),
  );
});

it('rests no longer than the work took, and not at all while the journal is filling', () => {
  fc.assert(
    fc.property(share, time, (filled, tookMs) => {
      const isFilling = filled >= FILLING_FROM;
      expect(restAfter(tookMs, filled)).toBe(isFilling ? 0 : Math.min(tookMs, LONGEST_REST_MS));
      expect(gatheringAt(filled)).toBe(isFilling ? 0 : GATHER_MS);
    }),
  );
});

it('sees that the event loop is busy, and that it is not', async () => {
  const busy = measureLoop();
  for (const end = performance.now() + 50; performance.now() < end;);
  await new Promise(setImmediate);
  const idle = measureLoop();
  expect(busy()).toBeGreaterThan(BUSY_FROM);
  await waitFor(() => idle() < BUSY_FROM, { what: 'the event loop to have idled for longer than not' });
});
