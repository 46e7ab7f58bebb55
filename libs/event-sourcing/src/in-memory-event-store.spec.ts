import { NewEvent, NO_EVENTS, RevisionConflict, StoredEvent, StreamGone } from './event-store';
import { InMemoryEventStore } from './testing';

const event = (id: string): NewEvent => ({ id, type: 'Happened', data: { ü: 1 }, metadata: {} });

async function ids(store: InMemoryEventStore, stream: string, fromRevision?: number) {
  const found: string[] = [];
  for await (const { id } of store.read(stream, fromRevision)) found.push(id);
  return found;
}

describe('the event store in memory', () => {
  let store: InMemoryEventStore;
  beforeEach(() => {
    store = new InMemoryEventStore();
  });

  it('has no events in a stream that nobody wrote to', async () => {
    expect(await ids(store, 'a-1')).toEqual([]);
    expect(await store.head('a-1')).toBe(NO_EVENTS);
    expect(await store.headPosition()).toBeUndefined();
  });

  it('appends in order and reads from any revision on', async () => {
    expect(await store.append('a-1', NO_EVENTS, [event('x'), event('y')])).toBe(1);
    expect(await store.append('a-1', 1, [event('z')])).toBe(2);
    expect(await ids(store, 'a-1')).toEqual(['x', 'y', 'z']);
    expect(await ids(store, 'a-1', 1)).toEqual(['y', 'z']);
    expect(await ids(store, 'a-1', 3)).toEqual([]);
    expect(await store.head('a-1')).toBe(2);
  });

  it.each([NO_EVENTS, 0, 2])('refuses an append after revision %d when the stream is at 1', async (expected) => {
    await store.append('a-1', NO_EVENTS, [event('x'), event('y')]);
    await expect(store.append('a-1', expected, [event('z')])).rejects.toThrow(RevisionConflict);
    expect(await ids(store, 'a-1')).toEqual(['x', 'y']);
  });

  it('recognises the same ids sent again to the same place', async () => {
    await store.append('a-1', NO_EVENTS, [event('x'), event('y')]);
    await store.append('a-1', 1, [event('z')]);
    expect(await store.append('a-1', NO_EVENTS, [event('x'), event('y')])).toBe(1);
    await expect(store.append('a-1', NO_EVENTS, [event('x'), event('other')])).rejects.toThrow(RevisionConflict);
    await expect(store.append('a-1', 0, [event('x')])).rejects.toThrow(RevisionConflict);
    expect(store.log.map(({ id }) => id)).toEqual(['x', 'y', 'z']);
  });

  it('lets one of two win', async () => {
    const both = [store.append('a-1', NO_EVENTS, [event('x')]), store.append('a-1', NO_EVENTS, [event('y')])];
    const outcomes = await Promise.allSettled(both);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(store.log).toHaveLength(1);
  });

  it('keeps a deleted stream deleted', async () => {
    await store.append('a-1', NO_EVENTS, [event('x')]);
    await store.tombstone('a-1', await store.head('a-1'));
    await expect(store.append('a-1', NO_EVENTS, [event('y')])).rejects.toThrow(StreamGone);
    await expect(ids(store, 'a-1')).rejects.toThrow(StreamGone);
    await expect(store.head('a-1')).rejects.toThrow(StreamGone);
  });

  it('deletes a stream where it was left only', async () => {
    await store.append('a-1', NO_EVENTS, [event('x')]);
    await expect(store.tombstone('a-1', NO_EVENTS)).rejects.toThrow(RevisionConflict);
    await store.tombstone('a-1', 0);
    await expect(store.tombstone('a-1', 0)).rejects.toThrow(StreamGone);
  });

  it('hides what comes before a revision, and never shows it again', async () => {
    await store.append('a-1', NO_EVENTS, [event('x'), event('y'), event('z')]);
    await store.truncateBefore('a-1', 2);
    await store.truncateBefore('a-1', 1);
    expect(await ids(store, 'a-1')).toHaveLength(1);
    expect(await store.head('a-1')).toBe(2);
  });

  it('tells subscribers all that matches, passes over the rest, says when they have caught up, and goes on', async () => {
    await store.append('a-1', NO_EVENTS, [event('x')]);
    await store.append('b-1', NO_EVENTS, [event('y')]);
    const stop = new AbortController();
    const told: unknown[] = [];
    for await (const one of store.subscribe({ after: undefined, prefixes: ['a-'], signal: stop.signal })) {
      told.push('id' in one ? one.id : one);
      if ('caughtUp' in one) await store.append('a-1', 0, [event('z')]);
      if ('id' in one && one.id === 'z') stop.abort();
    }
    expect(told).toEqual(['x', { checkpoint: store.log[1]!.position }, { caughtUp: true }, 'z']);
  });

  it('goes on after a position, and ends when asked to while it waits', async () => {
    await store.append('a-1', NO_EVENTS, [event('x'), event('y')]);
    const stop = new AbortController();
    const subscription = store.subscribe({ after: store.log[0]!.position, prefixes: ['a-'], signal: stop.signal });
    expect((await subscription.next()).value as StoredEvent).toMatchObject({ id: 'y', revision: 1 });
    expect((await subscription.next()).value).toEqual({ caughtUp: true });
    const last = subscription.next();
    stop.abort();
    expect(await last).toEqual({ done: true, value: undefined });
  });
});
