import { randomUUID } from 'node:crypto';
import { bundled, NO_EVENTS } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { countingProjector } from './counting.fixture';
import { SWITCH_EVENTS, tailOf } from './switch-over';
import { newEvent } from './testing';

const row = { projector: countingProjector.name, segment: 0, position: null, store_id: null };
const leftOf = async (...bundles: number[]): Promise<number | undefined> => {
  const store = new InMemoryEventStore();
  const events = bundles.flatMap((size) => bundled(Array.from({ length: size }, () => newEvent())));
  expect(events).toHaveLength(bundles.length);
  await store.append(`counted-${randomUUID()}`, NO_EVENTS, events);
  const rebuildable = { projector: countingProjector, searchPath: [], tables: [], readersIndexes: [], copied: [] };
  return (await tailOf({ rebuildable, store }, [row]))?.events.length;
};

it('tables are switched over with no more to apply than it takes a moment for, however few it is stored as', async () => {
  expect(await leftOf(SWITCH_EVENTS / 2, SWITCH_EVENTS / 2)).toBe(2);
  expect(await leftOf(SWITCH_EVENTS / 2, SWITCH_EVENTS / 2 + 1)).toBeUndefined();
  // It cannot become less.
  expect(await leftOf(SWITCH_EVENTS + 1)).toBe(1);
});
