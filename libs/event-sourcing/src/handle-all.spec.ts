import fc from 'fast-check';
import { NewEvent, StoreUnavailable } from './event-store';
import { CommandHandler, Outcome } from './handle';
import { clear, metadata, place, Shelf, shelf, ShelfCommand, ShelfEvent, shelfEvents, take } from './shelf.fixture';
import { StateCache } from './state-cache';
import { InMemoryEventStore } from './testing';

const STREAM = 'shelf-a';
const handlerOn = (store: InMemoryEventStore) =>
  new CommandHandler(store, new StateCache(1_000_000), shelf, shelfEvents);
const given = (commands: readonly ShelfCommand[]) =>
  commands.map((command, index) => ({ command, metadata: metadata(`request-${index}`) }));

class WatchedStore extends InMemoryEventStore {
  readonly appends: (readonly NewEvent[])[] = [];
  /** Runs before the next append, once. */
  beforeAppend: (() => Promise<unknown>) | undefined;
  afterAppend: () => void = () => undefined;

  override async append(stream: string, expectedRevision: number, events: readonly NewEvent[]) {
    const meddle = this.beforeAppend;
    this.beforeAppend = undefined;
    await meddle?.();
    const revision = await super.append(stream, expectedRevision, events);
    this.appends.push(events);
    this.afterAppend();
    return revision;
  }
}

const things = fc.uniqueArray(fc.constantFrom('x', 'y', 'z'), { minLength: 1 });
const command: fc.Arbitrary<ShelfCommand> = fc.oneof(
  things.map((some) => place(...some)),
  things.map((some) => clear(...some)),
  fc.constantFrom('x', 'y', 'z').map(take),
);
const commands = fc.array(command, { maxLength: 8 });

/** One after the other, by the decider alone. */
function inTurn(state: Shelf, commands: readonly ShelfCommand[]): Outcome<ShelfEvent>[] {
  return commands.map((each) => {
    try {
      const events = shelf.decide(each, state);
      for (const event of events) shelf.evolve(state, { ...event, revision: 0, metadata: metadata() });
      return { events };
    } catch (error) {
      return { error };
    }
  });
}

const folded = (events: readonly ShelfEvent[]): Shelf =>
  events.reduce((state, event) => shelf.evolve(state, { ...event, revision: 0, metadata: metadata() }), {
    ...shelf.initialState(),
  });

it('come to what they come to one after the other, also when another copy was there first, in one append', async () => {
  await fc.assert(
    fc.asyncProperty(commands, commands, commands, async (before, meddling, together) => {
      const store = new WatchedStore();
      const [own, other] = [handlerOn(store), handlerOn(store)];
      await own.handleAll('a', given(before));
      const log = () => store.log.flatMap((event) => shelfEvents.decode(event));
      store.beforeAppend = () => other.handleAll('a', given(meddling));
      const outcomes = await own.handleAll('a', given(together));
      const appended = store.appends.at(-1) ?? [];
      const events = outcomes.flatMap((outcome) => ('events' in outcome ? outcome.events : []));
      const met = log().slice(0, log().length - events.length);
      expect(outcomes).toEqual(inTurn(folded(met), together));
      if (events.length > 0) expect(appended.map(({ data }) => data)).toEqual(events.map(({ data }) => data));
      // And both hold what the log says.
      for (const handler of [own, other])
        await handler.query('a', ({ state, revision }) => {
          expect([...state.things.keys()].sort()).toEqual([...folded(log()).things.keys()].sort());
          expect(revision).toBe(store.log.length - 1);
        });
    }),
  );
});

it('carry their own metadata', async () => {
  const store = new WatchedStore();
  await handlerOn(store).handleAll('a', given([place('x'), take('gone'), place('y')]));
  const ids = store.log.map(({ metadata }) => (metadata as { correlationId: string }).correlationId);
  expect(ids).toEqual(['request-0', 'request-2']);
});

it('are not found to be nothing by a cache that knows too little', async () => {
  const store = new WatchedStore();
  const [own, other] = [handlerOn(store), handlerOn(store)];
  await own.handleAll('a', given([place('x')]));
  await other.handleAll('a', given([clear('x')]));
  const [outcome] = await own.handleAll('a', given([place('x')]));
  expect(outcome).toMatchObject({ events: [{ type: 'Placed' }] });
});

it('leave no fold that is ahead of a store that did not answer', async () => {
  const store = new WatchedStore();
  const handler = handlerOn(store);
  await handler.handleAll('a', given([place('x')]));
  store.beforeAppend = () => Promise.reject(new StoreUnavailable('no answer'));
  await expect(handler.handleAll('a', given([place('y')]))).rejects.toThrow(StoreUnavailable);
  expect(await handler.query('a', ({ state }) => [...state.things.keys()])).toEqual(['x']);
  expect(store.log.map(({ stream }) => stream)).toEqual([STREAM]);
});

it('are told one by one, with what came of them, and so are conflicts', async () => {
  const store = new WatchedStore();
  const told: string[] = [];
  const cache = new StateCache(1_000_000);
  const handler = new CommandHandler(store, cache, shelf, shelfEvents, {
    handled: (command, outcome) => told.push(`${command} ${outcome}`),
    conflicted: (category) => told.push(`conflict ${category}`),
  });
  const one = (command: ShelfCommand) => handler.handle('a', command, metadata(), () => undefined);
  await handler.handleAll('a', given([place('x'), place('x'), take('y')]));
  expect(told.splice(0)).toEqual(['Place appended', 'Place nothing', 'Take refused']);
  store.beforeAppend = () => handlerOn(store).handle('a', place('y'), metadata(), () => undefined);
  await one(take('x'));
  await one(place('y'));
  await expect(one(take('x'))).rejects.toThrow('not on the shelf');
  expect(told.splice(0)).toEqual(['conflict shelf', 'Take appended', 'Place nothing', 'Take refused']);
  store.afterAppend = () => {
    throw new StoreUnavailable('no answer');
  };
  await expect(one(place('z'))).rejects.toThrow(StoreUnavailable);
  await expect(handler.handleAll('a', given([place('w')]))).rejects.toThrow(StoreUnavailable);
  expect(told).toEqual(['Place unavailable', 'Place unavailable']);
  expect(cache.lookups).toEqual({ hits: 4, misses: 2 });
});
