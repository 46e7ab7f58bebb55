import fc from 'fast-check';
import { BUNDLE_MAX_BYTES } from './bundle-event';
import { CHECKPOINT, revisionAfter } from './checkpoint-event';
import { CHECKPOINT_CONFLICTS_MAX, CHECKPOINT_PART_MAX_BYTES, findCheckpoint, takeCheckpoint } from './checkpoint';
import { Claim, Compaction } from './compaction';
import { Recorded, streamOf } from './decider';
import { EventStore, NewEvent } from './event-store';
import { CommandHandler } from './handle';
import { InMemoryEventStore } from './in-memory-event-store';
import { clear, metadata, place, Shelf, shelf, ShelfEvent, shelfEvents } from './shelf.fixture';
import { StateCache } from './state-cache';

const STREAM = streamOf('shelf', 'ada');
const now = () => Promise.resolve();

const claims = ({ type, data }: Recorded<ShelfEvent>): Claim<Recorded<ShelfEvent>>[] =>
  type === 'Placed' ? [{ keeps: 'last', place: data.thing }] : [{ frees: data.thing }];
const take = (store: EventStore) =>
  takeCheckpoint(store, STREAM, { codec: shelfEvents, compaction: new Compaction(claims), metadata: metadata() });
const handlerOf = (store: EventStore, bytes = 0) =>
  new CommandHandler(store, new StateCache(bytes), shelf, shelfEvents);
const cold = (store: EventStore): Promise<{ state: Shelf; revision: number }> =>
  handlerOf(store).query('ada', ({ state, revision }) => ({
    state: { things: new Map([...state.things].sort()), bytes: state.bytes },
    revision,
  }));

/** Things whose names fill three parts. */
const wide = Array.from({ length: 12 }, (_, index) => `${index}`.padEnd(CHECKPOINT_PART_MAX_BYTES / 5, 'x'));

it('a stream that is cut before its checkpoint says the same, to who knows nothing and to who knows it', async () => {
  const names = ['a', 'b', 'c', ...wide.slice(0, 3)];
  const things = fc.subarray([0, 1, 2, 3, 4, 5], { minLength: 1 });
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ place: things }) },
    { weight: 3, arbitrary: fc.record({ clear: things }) },
    { weight: 2, arbitrary: fc.constantFrom('checkpoint' as const, 'cut' as const, 'look' as const) },
  );
  const named = (indexes: readonly number[]) => indexes.map((index) => names[index]!);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const [store, uncut] = [new InMemoryEventStore(now), new InMemoryEventStore(now)];
      const [warm, other] = [handlerOf(store, 100_000_000), handlerOf(uncut)];
      const writer = handlerOf(store);
      for (const said of steps) {
        if (said === 'checkpoint') {
          const { things } = (await cold(store)).state;
          expect(await take(store)).toBe(things.size > 0);
          // So that both have the same revisions.
          for (const stored of store.log.slice(uncut.log.length))
            await uncut.append(STREAM, uncut.log.length - 1, [stored as NewEvent]);
        } else if (said === 'cut') {
          const found = await findCheckpoint(store, STREAM);
          if (found) await store.truncateBefore(STREAM, found.first);
        } else if (said === 'look') await warm.query('ada', () => undefined);
        else {
          const command = 'place' in said ? place(...named(said.place)) : clear(...named(said.clear));
          await writer.handle('ada', command, metadata(), () => undefined);
          await other.handle('ada', command, metadata(), () => undefined);
        }
      }
      const expected = await cold(uncut);
      expect(await cold(store)).toEqual(expected);
      const seen = await warm.query('ada', ({ state }) => new Map([...state.things].sort()));
      expect(seen).toEqual(expected.state.things);
    }),
    { numRuns: 200, examples: [[[{ place: [1] }, 'look', { clear: [1] }, { place: [5] }, 'checkpoint', 'cut']]] },
  );
});

it('is split, and each part but the last leaves who reads it where it has come to', async () => {
  const store = new InMemoryEventStore(now);
  await handlerOf(store).handle('ada', place(...wide), metadata(), () => undefined);
  await take(store);
  const parts = store.log.filter(({ type }) => type === CHECKPOINT);
  expect(parts.length).toBeGreaterThan(2);
  for (const { data } of parts) expect(JSON.stringify(data).length).toBeLessThan(CHECKPOINT_PART_MAX_BYTES + 1_024);
  expect(parts.map(revisionAfter)).toEqual([
    ...parts.slice(1).map(({ data }) => (data as { events: { revision: number }[] }).events[0]!.revision - 1),
    parts.at(-1)!.revision,
  ]);
  expect(await findCheckpoint(store, STREAM)).toEqual({
    first: wide.length,
    last: wide.length + parts.length - 1,
    position: parts.at(-1)!.position,
  });
});

it('is taken by the store in whole parts, however little the events say beside what is told of each', async () => {
  const store = new InMemoryEventStore(now);
  const device = '\u6f22'.repeat(255);
  const about = { ...metadata(), deviceId: device, deviceName: device };
  const small = Array.from({ length: 4_000 }, (_, index) => `${index}`);
  await handlerOf(store).handle('ada', place(...small), about, () => undefined);
  await take(store);
  const sizes = store.log.map((stored) => Buffer.byteLength(JSON.stringify([stored.data, stored.metadata])));
  expect(Math.max(...sizes)).toBeLessThan(CHECKPOINT_PART_MAX_BYTES + BUNDLE_MAX_BYTES);
});

it('nothing is taken for a checkpoint that is not whole', async () => {
  const store = new InMemoryEventStore(now);
  await handlerOf(store).handle('ada', place(...wide), metadata(), () => undefined);
  await take(store);
  const parts = store.log
    .filter(({ type }) => type === CHECKPOINT)
    .map(({ id, type, data, metadata: about }) => ({ id, type, data: data as object, metadata: about as object }));
  // Every way in which somebody may die between the parts, and the next begin.
  for (let died = 0; died < parts.length; died += 1) {
    const broken = new InMemoryEventStore(now);
    await handlerOf(broken).handle('ada', place(...wide), metadata(), () => undefined);
    for (const [nth, part] of parts.slice(0, died).entries())
      await broken.append(STREAM, wide.length - 1 + nth, [part]);
    expect(await findCheckpoint(broken, STREAM)).toBeUndefined();
    await take(broken);
    const found = await findCheckpoint(broken, STREAM);
    expect(found).toMatchObject({ first: wide.length + died, last: wide.length + died + parts.length - 1 });
    await broken.truncateBefore(STREAM, found!.first);
    expect((await cold(broken)).state.things.size).toBe(wide.length);
  }
});

it('begins anew when somebody writes between its parts', async () => {
  const store = new InMemoryEventStore(now);
  const writer = handlerOf(store);
  await writer.handle('ada', place(...wide), metadata(), () => undefined);
  let appends = 0;
  const disturbed = new Proxy(store, {
    get(target, name: keyof InMemoryEventStore) {
      if (name !== 'append') return (target[name] as (...given: unknown[]) => unknown).bind(target);
      return async (...given: Parameters<EventStore['append']>) => {
        appends += 1;
        if (appends === 2 || appends === 4)
          await writer.handle('ada', place(`between ${appends}`), metadata(), () => undefined);
        return target.append(...given);
      };
    },
  });
  let encoded = 0;
  const codec: typeof shelfEvents = {
    ...shelfEvents,
    encode: (...given) => {
      encoded += 1;
      return shelfEvents.encode(...given);
    },
  };
  await takeCheckpoint(disturbed, STREAM, { codec, compaction: new Compaction(claims), metadata: metadata() });
  // What it had encoded it has: else who writes often would always come first.
  expect(encoded).toBe(wide.length + 2);
  const before = await cold(store);
  const found = await findCheckpoint(store, STREAM);
  expect(found!.last).toBe(before.revision);
  await store.truncateBefore(STREAM, found!.first);
  expect(await cold(store)).toEqual(before);
  expect(before.state.things.size).toBe(wide.length + 2);
});

it('gives up in the end when somebody always comes between, and cuts nothing', async () => {
  const store = new InMemoryEventStore(now);
  const writer = handlerOf(store);
  let appends = 0;
  const disturbed = new Proxy(store, {
    get(target, name: keyof InMemoryEventStore) {
      if (name !== 'append') return (target[name] as (...given: unknown[]) => unknown).bind(target);
      return async (...given: Parameters<EventStore['append']>) => {
        appends += 1;
        await writer.handle('ada', place(`between ${appends}`), metadata(), () => undefined);
        return target.append(...given);
      };
    },
  });
  await writer.handle('ada', place('a'), metadata(), () => undefined);
  await expect(take(disturbed)).rejects.toThrow(`${CHECKPOINT_CONFLICTS_MAX} conflicts`);
  expect(appends).toBe(CHECKPOINT_CONFLICTS_MAX);
});

it('of a stream that says nothing there is none', async () => {
  const store = new InMemoryEventStore(now);
  expect(await take(store)).toBe(false);
  await handlerOf(store).handle('ada', place('a'), metadata(), () => undefined);
  await handlerOf(store).handle('ada', clear('a'), metadata(), () => undefined);
  expect(await take(store)).toBe(false);
  expect(store.log).toHaveLength(2);
});

it('a checkpoint does not say where the trace of a request goes on', async () => {
  const store = new InMemoryEventStore(now);
  const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
  await handlerOf(store).handle('ada', place('x'), { ...metadata(), traceparent }, () => undefined);
  expect(store.log.map(({ metadata }) => metadata)).toEqual([expect.objectContaining({ traceparent })]);
  expect(await take(store)).toBe(true);
  expect(store.log[1]!.type).toBe(CHECKPOINT);
  expect(JSON.stringify([store.log[1]!.data, store.log[1]!.metadata])).not.toContain('1'.repeat(32));
});
