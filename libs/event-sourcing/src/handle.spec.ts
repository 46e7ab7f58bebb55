import fc from 'fast-check';
import { BUNDLE, typesOf } from './bundle-event';
import { NewEvent, NO_EVENTS, RevisionConflict, StoreUnavailable, StreamGone } from './event-store';
import { APPEND_MAX_BYTES, CommandHandler, pieces } from './handle';
import { clear, contents, metadata, place, shelf, shelfEvents, take } from './shelf.fixture';
import { StateCache } from './state-cache';
import { InMemoryEventStore } from './testing';
import { MAX_CONFLICTS, TooContended } from './too-contended';

const LISTENER = 'a';
const STREAM = 'shelf-a';
const ROOMY = 64 * 1024 * 1024;

/** What the handler asked of the store, and ways for the store to fail. */
class WatchedStore extends InMemoryEventStore {
  readonly reads: [stream: string, fromRevision: number][] = [];
  readonly appends: (readonly NewEvent[])[] = [];
  /** Runs before each append. */
  beforeAppend: () => Promise<void> | void = () => undefined;
  afterAppend: () => void = () => undefined;
  /** Breaks a read off after this many events. */
  readAtMost = Infinity;

  override async append(stream: string, expectedRevision: number, events: readonly NewEvent[]) {
    this.appends.push(events);
    await this.beforeAppend();
    const revision = await super.append(stream, expectedRevision, events);
    this.afterAppend();
    return revision;
  }

  override async *read(stream: string, fromRevision = 0) {
    this.reads.push([stream, fromRevision]);
    let left = this.readAtMost;
    for await (const event of super.read(stream, fromRevision)) {
      if (left-- <= 0) throw new StoreUnavailable('broken off');
      yield event;
    }
  }
}

function handlerOf(store: InMemoryEventStore, cache = new StateCache(ROOMY)) {
  const handler = new CommandHandler(store, cache, shelf, shelfEvents);
  return {
    run: (command: Parameters<typeof shelf.decide>[0], listener = LISTENER) =>
      handler.handle(listener, command, metadata(), (handled) => ({
        events: handled.events.map(({ type, data, revision }) => `${revision} ${type} ${data.thing}`),
        contents: contents(handled),
        revision: handled.revision,
      })),
    look: (listener = LISTENER) => handler.query(listener, contents),
    handler,
    cache,
  };
}

describe('a command', () => {
  let store: WatchedStore;
  beforeEach(() => {
    store = new WatchedStore();
  });

  it('appends what was decided and answers with its events and the state after them', async () => {
    expect(await handlerOf(store).run(place('x', 'y'))).toEqual({
      events: ['0 Placed x', '0 Placed y'],
      contents: ['x', 'y'],
      revision: 0,
    });
    expect(await handlerOf(store).run(place('z'))).toMatchObject({ events: ['1 Placed z'], revision: 1 });
    expect(store.log.map((event) => [event.stream, event.type, typesOf(event)])).toEqual([
      [STREAM, BUNDLE, ['Placed', 'Placed']],
      [STREAM, 'Placed', ['Placed']],
    ]);
  });

  it('costs one append and no read when its stream is cached', async () => {
    const { run } = handlerOf(store);
    await run(place('x'));
    store.reads.length = 0;
    await run(place('y'));
    expect(store.reads).toEqual([]);
    expect(store.appends).toHaveLength(2);
  });

  it('appends nothing for what is already so', async () => {
    const { run } = handlerOf(store);
    await run(place('x'));
    expect(await run(place('x'))).toEqual({ events: [], contents: ['x'], revision: 0 });
    expect(store.appends).toHaveLength(1);
  });

  it('reads the stream once when it is not cached, also when there is nothing to do', async () => {
    expect(await handlerOf(store).run(clear('x'))).toEqual({ events: [], contents: [], revision: NO_EVENTS });
    expect(store.reads).toEqual([[STREAM, 0]]);
  });

  it('is refused by the rules, and changes nothing', async () => {
    const { run } = handlerOf(store);
    await expect(run(take('x'))).rejects.toThrow(expect.objectContaining({ code: 'not_there' }));
    expect(store.log).toEqual([]);
  });

  it('is not kept waiting by one that failed before it', async () => {
    const { run } = handlerOf(store);
    const [refused, placed] = await Promise.allSettled([run(take('x')), run(place('x'))]);
    expect([refused.status, placed.status]).toEqual(['rejected', 'fulfilled']);
  });

  it('touches no other listener', async () => {
    const { run, look } = handlerOf(store);
    await Promise.all([run(place('x'), 'a'), run(place('y'), 'b')]);
    expect([await look('a'), await look('b')]).toEqual([['x'], ['y']]);
  });

  it('takes its turn: each of many at once sees what those before it did, and nothing of those after', async () => {
    const { run } = handlerOf(store);
    const things = Array.from({ length: 20 }, (_, index) => String.fromCharCode(97 + index));
    const seen = await Promise.all(things.map((thing) => run(place(thing))));
    expect(seen.map(({ contents }) => contents)).toEqual(things.map((_, index) => things.slice(0, index + 1)));
    expect(seen.map(({ events }) => events)).toEqual(things.map((thing, index) => [`${index} Placed ${thing}`]));
  });

  it('to a stream that is gone for good fails, also when it was cached and there is nothing to do', async () => {
    const { run, look } = handlerOf(store);
    await run(place('x'));
    await store.tombstone(STREAM, await store.head(STREAM));
    await expect(run(place('x'))).rejects.toThrow(StreamGone);
    await expect(run(place('y'))).rejects.toThrow(StreamGone);
    await expect(look()).rejects.toThrow(StreamGone);
  });
});

describe('with another copy of the service beside it, a command', () => {
  let store: WatchedStore;
  let one: ReturnType<typeof handlerOf>;
  let other: ReturnType<typeof handlerOf>;
  beforeEach(async () => {
    store = new WatchedStore();
    one = handlerOf(store);
    other = handlerOf(store);
    await one.run(place('x'));
    await other.look();
  });

  it('is decided again after a conflict', async () => {
    await other.run(place('y'));
    expect(await one.run(place('y', 'z'))).toEqual({
      events: ['2 Placed z'],
      contents: ['x', 'y', 'z'],
      revision: 2,
    });
  });

  it('is not acknowledged by a cache that knows too little', async () => {
    await other.run(clear('x'));
    expect(await one.run(place('x'))).toMatchObject({ events: ['2 Placed x'], contents: ['x'] });
  });

  it('is not refused by a cache that knows too little', async () => {
    await other.run(place('y'));
    expect(await one.run(take('y'))).toMatchObject({ events: ['2 Taken y'], contents: ['x'] });
  });

  it('is refused when the conflict makes it so', async () => {
    await other.run(take('x'));
    await expect(one.run(take('x'))).rejects.toThrow(expect.objectContaining({ code: 'not_there' }));
  });

  it('answers with the state at the head, also when there is nothing to do', async () => {
    await other.run(place('y'));
    expect(await one.run(place('x'))).toEqual({ events: [], contents: ['x', 'y'], revision: 1 });
    expect(await one.look()).toEqual(['x', 'y']);
  });

  it('reads what is new, not all again', async () => {
    await other.run(place('y'));
    store.reads.length = 0;
    await one.run(place('z'));
    expect(store.reads).toEqual([[STREAM, 1]]);
  });

  it('gives up after many conflicts in a row, and leaves nothing behind', async () => {
    let others = 0;
    const interfere = async () => {
      store.beforeAppend = () => undefined;
      await other.run(place(`other ${(others += 1)}`));
      store.beforeAppend = interfere;
    };
    store.beforeAppend = interfere;
    await expect(one.run(place('y'))).rejects.toThrow(TooContended);
    expect(others).toBe(MAX_CONFLICTS);
    store.beforeAppend = () => undefined;
    expect(await other.look()).not.toContain('y');
    expect(await one.run(place('y'))).toMatchObject({ events: [`${MAX_CONFLICTS + 1} Placed y`] });
  });

  it('recovers when the log was put back to an earlier state', async () => {
    await one.run(place('y', 'z'));
    const restored = new WatchedStore();
    await handlerOf(restored).run(place('x'));
    const swapped = handlerOf(restored, one.cache);
    await expect(swapped.run(place('new'))).rejects.toThrow(TooContended);
    expect(await swapped.run(place('new'))).toMatchObject({ contents: ['new', 'x'] });
  });
});

describe('when the store does not answer, a command', () => {
  it('that was applied all the same is found to be so when it is sent again', async () => {
    const store = new WatchedStore();
    const { run } = handlerOf(store);
    await run(place('x'));
    store.afterAppend = () => {
      throw new StoreUnavailable('no answer');
    };
    await expect(run(place('y'))).rejects.toThrow(StoreUnavailable);
    store.afterAppend = () => undefined;
    expect(await run(place('y'))).toEqual({ events: [], contents: ['x', 'y'], revision: 1 });
  });

  it('that was not applied is applied when it is sent again', async () => {
    const store = new WatchedStore();
    const { run } = handlerOf(store);
    await run(place('x'));
    store.beforeAppend = () => {
      throw new StoreUnavailable('no answer');
    };
    await expect(run(place('y'))).rejects.toThrow(StoreUnavailable);
    store.beforeAppend = () => undefined;
    expect(await run(place('y'))).toMatchObject({ events: ['1 Placed y'] });
  });

  it('forgets the fold, which may be behind what the store did', async () => {
    const store = new WatchedStore();
    const { run, cache } = handlerOf(store);
    await run(place('x'));
    store.afterAppend = () => {
      throw new StoreUnavailable('no answer');
    };
    await expect(run(place('y'))).rejects.toThrow(StoreUnavailable);
    expect(cache.get(STREAM)).toBeUndefined();
  });

  it('completes what was applied in part when it is sent again', async () => {
    const store = new WatchedStore();
    const { run, look } = handlerOf(store);
    const things = [1, 2, 3, 4, 5, 6].map((index) => `${index} `.padEnd(200_000, '.'));
    store.afterAppend = () => {
      if (store.appends.length === 2) throw new StoreUnavailable('no answer');
    };
    await expect(run(place(...things))).rejects.toThrow(StoreUnavailable);
    expect(store.log).toHaveLength(4);
    expect((await run(place(...things))).events).toHaveLength(2);
    expect(await look()).toEqual(things);
  });

  it('keeps no fold of a read that broke off', async () => {
    const store = new WatchedStore();
    const { run, look, cache } = handlerOf(store);
    await run(place('x'));
    await handlerOf(store).run(place('y'));
    await handlerOf(store).run(place('z'));
    store.readAtMost = 1;
    await expect(look()).rejects.toThrow(StoreUnavailable);
    expect(cache.get(STREAM)).toBeUndefined();
    store.readAtMost = Infinity;
    expect(await look()).toEqual(['x', 'y', 'z']);
  });
});

describe('a fold that fails', () => {
  it('leaves no half of a state behind', async () => {
    const store = new InMemoryEventStore();
    const cache = new StateCache(ROOMY);
    const failing = { ...shelf };
    const handler = new CommandHandler(store, cache, failing, shelfEvents);
    await handler.handle(LISTENER, place('x'), metadata(), contents);
    failing.evolve = (state, event) => {
      shelf.evolve(state, event);
      throw new Error('a defect');
    };
    await expect(handler.handle(LISTENER, place('y'), metadata(), contents)).rejects.toThrow('a defect');
    expect(cache.get(STREAM)).toBeUndefined();
  });
});

describe('the cache of folds', () => {
  it('is an aid: what it had no room for is read again', async () => {
    const store = new WatchedStore();
    const { run, look, cache } = handlerOf(store, new StateCache(2_048));
    for (const listener of ['a', 'b', 'c']) await run(place('x'), listener);
    expect(cache.size).toBe(2);
    store.reads.length = 0;
    expect(await run(place('y'), 'a')).toMatchObject({ events: ['1 Placed y'], contents: ['x', 'y'] });
    expect(store.reads).toEqual([['shelf-a', 0]]);
    expect(await look('b')).toEqual(['x']);
  });

  it('holds no state that is larger than itself, nor the smaller one that it was', async () => {
    const store = new WatchedStore();
    const { run, look, cache } = handlerOf(store, new StateCache(2_048));
    await run(place('x'));
    await run(place('y'.repeat(4_096)));
    expect([cache.size, cache.bytes]).toEqual([0, 0]);
    expect(await look()).toHaveLength(2);
  });

  it('counts what its states say that they take, and little ones for their keeping', async () => {
    const { run, cache } = handlerOf(new InMemoryEventStore());
    await run(place('x'));
    expect(cache.bytes).toBe(1_024);
    await run(place('y'.repeat(10_000)));
    expect(cache.bytes).toBe(2 * 100 + 10_001);
  });
});

describe('a large decision', () => {
  it('goes in pieces that the store takes, and is whole', async () => {
    const store = new WatchedStore();
    const { run, look } = handlerOf(store);
    const things = Array.from({ length: 12 }, (_, index) => `${index + 10} `.padEnd(150_000, '.'));
    expect((await run(place(...things))).revision).toBe(11);
    expect(store.appends.map((piece) => piece.length)).toEqual([3, 3, 3, 3]);
    expect(await look()).toEqual(things);
  });

  it('is cut where it must be and nowhere else', () => {
    const event = fc.record({
      id: fc.constant('e'),
      type: fc.constant('Placed'),
      data: fc.oneof(fc.nat(2_000), fc.nat(2 * APPEND_MAX_BYTES)).map((length) => ({ text: 'ü'.repeat(length / 2) })),
      metadata: fc.record({ text: fc.string() }),
    });
    const bytesOf = (events: readonly NewEvent[]) =>
      events.reduce(
        (sum, { data, metadata }) =>
          sum + Buffer.byteLength(JSON.stringify(data)) + Buffer.byteLength(JSON.stringify(metadata)),
        0,
      );
    fc.assert(
      fc.property(fc.array(event), (events) => {
        const cut = [...pieces(events)];
        expect(cut.flat()).toEqual(events);
        for (const [index, piece] of cut.entries()) {
          expect(piece.length).toBeGreaterThan(0);
          if (piece.length > 1) expect(bytesOf(piece)).toBeLessThanOrEqual(APPEND_MAX_BYTES);
          const next = cut[index + 1];
          // 100: what an event takes beside its data and metadata
          if (next) expect(bytesOf([...piece, next[0]!]) + 100 * (piece.length + 1)).toBeGreaterThan(APPEND_MAX_BYTES);
        }
      }),
      { numRuns: 50 },
    );
  });
});

it('a conflict names the stream and the revision', () => {
  expect(new RevisionConflict(STREAM, 4).message).toBe('stream shelf-a is no longer at revision 4');
});
