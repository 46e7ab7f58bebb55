import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventStore, NO_EVENTS, StoreUnavailable, streamOf } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { createLogger } from '@balados/platform-service';
import { waitFor } from '@balados/testing';
import { AccountsUnavailable } from '@balados/users-accounts';
import { usersEvents } from '@balados/users-contracts';
import { openListenerStreams } from '@balados/users-write';
import { Delivered, DELIVERED_TOGETHER, Delivery } from './delivery';
import { Journal } from './journal';
import { Play, toLine } from './journal-lines';
import { FILLING_FROM } from './links-first';

const log = createLogger('test', 'silent');
const FEED = 'https://feeds.example/show.xml';
const MAX_BYTES = 1_048_576;
const NOON = Date.UTC(2026, 0, 1, 12);

let folder: string;
let journal: Journal;
let delivery: Delivery;
let store: InMemoryEventStore;
/** The event store, or the tokens, do not answer. */
let away: boolean;
let results: Delivered[];
/** How busy links keep the process. */
let busy: number;
/** How often that was looked at. */
let looks: number;
const owners = new Map<string, string>();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'balados-delivery-'));
  store = new InMemoryEventStore(() => Promise.resolve());
  away = false;
  results = [];
  busy = 0;
  looks = 0;
  journal = await Journal.open(folder, {
    maxBytes: MAX_BYTES,
    log,
    onWritten: () => delivery.wake(),
    onLost: () => undefined,
    onFound: () => undefined,
  });
  const reachable = new Proxy(store, {
    get: (target, name: keyof EventStore) => {
      const value: unknown = target[name];
      if (typeof value !== 'function') return value;
      return (...given: unknown[]): unknown => {
        if (away) throw new StoreUnavailable('away');
        return (value as (...given: unknown[]) => unknown).apply(target, given);
      };
    },
  });
  delivery = new Delivery({
    journal,
    streams: openListenerStreams(reachable, 1_048_576),
    tokens: {
      ownerOfHash: async (hash) => {
        if (away) throw new AccountsUnavailable('away');
        return owners.get(hash) ?? '';
      },
    },
    log,
    onDelivered: (result) => results.push(result),
    measure: () => () => {
      looks += 1;
      return busy;
    },
  });
});
afterEach(async () => {
  await delivery.close();
  await journal.close();
  rmSync(folder, { recursive: true, force: true });
});

const play = (said: Partial<Play>, name = 1): Play => ({
  heardAt: NOON,
  tokenHash: 'ab'.repeat(32),
  userId: null,
  feed: FEED,
  item: `guid-${name},https://media.example/${name}.mp3`,
  correlationId: `request-${name}`,
  ...said,
});

async function events(userId: string) {
  const all = [];
  for await (const stored of store.read(streamOf('listening', userId))) all.push(...usersEvents.decode(stored));
  return all;
}

const settled = (count: number) => waitFor(() => results.length === count, { what: `${count} deliveries` });

it('records a play on the day on which it was heard, under the request that it came by', async () => {
  const userId = randomUUID();
  await journal.append(play({ userId }));
  await settled(1);
  const [event] = await events(userId);
  expect(event).toMatchObject({
    type: 'PlayRecorded',
    data: { feed: FEED, item: play({}).item, heardAt: '2026-01-01T12:00:00.000Z' },
    metadata: { recordedAt: '2026-01-01T12:00:00.000Z', correlationId: 'request-1' },
  });
  await waitFor(() => readdirSync(folder).length === 0, { what: 'an empty folder' });
});

it('finds out then whose token it was, and drops what is nobody’s', async () => {
  const userId = randomUUID();
  owners.set('cd'.repeat(32), userId);
  await Promise.all([play({ tokenHash: 'cd'.repeat(32) }), play({})].map((each) => journal.append(each)));
  await settled(2);
  expect(results.sort()).toEqual(['recorded', 'unknown_token']);
  expect(await events(userId)).toHaveLength(1);
});

it('drops repeats of a day, and the plays of an account that is gone', async () => {
  const [userId, gone] = [randomUUID(), randomUUID()];
  await store.tombstone(streamOf('listening', gone), NO_EVENTS);
  for (const each of [play({ userId }), play({ userId, heardAt: NOON + 1 }), play({ userId: gone })])
    await journal.append(each);
  await settled(3);
  expect(results.sort()).toEqual(['account_gone', 'recorded', 'repeat']);
  expect(await events(userId)).toHaveLength(1);
  await waitFor(() => journal.waiting === 0, { what: 'an empty journal' });
});

it('keeps what cannot be delivered until it can be, in order', async () => {
  const [userId, late] = [randomUUID(), randomUUID()];
  owners.set('ef'.repeat(32), late);
  away = true;
  const names = Array.from({ length: 200 }, (_, index) => index);
  for (const name of names) await journal.append(play({ userId, heardAt: NOON + name }, name));
  await journal.append(play({ tokenHash: 'ef'.repeat(32) }));
  expect(journal.waiting).toBe(201);
  away = false;
  await settled(201);
  const items = (await events(userId)).map(({ data }) => (data as { item: string }).item);
  expect(items).toEqual(names.map((name) => play({}, name).item));
  expect(await events(late)).toHaveLength(1);
  expect(journal.waiting).toBe(0);
});

it('takes several plays of one listener in one append, each under its own request', async () => {
  const appends: number[] = [];
  const append = store.append.bind(store);
  store.append = (stream, revision, events) => {
    appends.push(events.length);
    return append(stream, revision, events);
  };
  const [one, other] = [randomUUID(), randomUUID()];
  const plays = [play({ userId: one }, 1), play({ userId: other }, 2), play({ userId: one }, 3)];
  await Promise.all([...plays, play({ userId: one, heardAt: NOON + 1 }, 1)].map((each) => journal.append(each)));
  await settled(4);
  expect(appends.sort()).toEqual([1, 2]);
  expect(results.sort()).toEqual(['recorded', 'recorded', 'recorded', 'repeat']);
  expect((await events(one)).map(({ metadata }) => metadata.correlationId)).toEqual(['request-1', 'request-3']);
});

const looked = (more: number) => {
  const before = looks;
  return waitFor(() => looks >= before + more, { what: `${more} looks` });
};

it('stands back while links come, and takes all when they no longer do', async () => {
  busy = 1;
  const userId = randomUUID();
  await journal.append(play({ userId }));
  await looked(2);
  // They go into the same file: none is begun for delivery meanwhile.
  await journal.append(play({ userId }, 2));
  await looked(2);
  expect(results).toEqual([]);
  expect(readdirSync(folder)).toEqual(['1.plays']);
  busy = 0;
  await settled(2);
  expect(await events(userId)).toHaveLength(2);
});

it('takes plays however many links come once the journal is filling', async () => {
  busy = 1;
  const userId = randomUUID();
  const bytes = toLine(play({ userId })).length;
  const many = Array.from({ length: Math.ceil((FILLING_FROM * MAX_BYTES) / bytes) + 10 }, (_, name) => name);
  await journal.append(play({ userId }));
  await looked(1);
  expect(results).toEqual([]);
  await Promise.all(many.map((name) => journal.append(play({ userId }, 1_000 + name))));
  await settled(many.length + 1);
});

it('takes all of a file whose plays cannot be noted, on a disk that is full, and makes room', async () => {
  busy = 1;
  const userId = randomUUID();
  const names = Array.from({ length: 2 * DELIVERED_TOGETHER + 1 }, (_, name) => name);
  await Promise.all(names.map((name) => journal.append(play({ userId }, name))));
  // Nothing can be written there.
  symlinkSync(join(folder, 'none', 'none'), join(folder, '1.done'));
  busy = 0;
  await waitFor(() => readdirSync(folder).length === 0, { what: 'an empty folder' });
  expect(results).toEqual(names.map(() => 'recorded'));
});

it('goes on past a file that cannot be read, or is there no more', async () => {
  const userId = randomUUID();
  for (const name of [1, 2, 3]) {
    away = true;
    await journal.append(play({ userId }, name));
    // Which is begun for delivery, and waits.
    await waitFor(() => journal.waitsSince(name - 1) !== undefined, { what: 'a file' });
    await journal.segmentAfter(name - 1);
  }
  rmSync(join(folder, '1.plays'));
  rmSync(join(folder, '2.plays'));
  mkdirSync(join(folder, '2.plays'));
  away = false;
  await settled(1);
  await waitFor(() => readdirSync(folder).join() === '2.plays', { what: 'the one that cannot be read' });
  expect((await events(userId)).map(({ metadata }) => metadata.correlationId)).toEqual(['request-3']);
});

it('lets nobody wait for a play that cannot be delivered', async () => {
  const [poisoned, userId] = [randomUUID(), randomUUID()];
  let tries = 0;
  const read = store.read.bind(store);
  store.read = (stream, ...given) => {
    if (stream !== streamOf('listening', poisoned)) return read(stream, ...given);
    tries += 1;
    throw new Error('an event that nobody knows');
  };
  await journal.append(play({ userId: poisoned, heardAt: Date.now() }));
  await waitFor(() => tries >= 4, { what: 'some tries' });
  const before = tries;
  for (let name = 0; name < 20; name += 1) {
    await journal.append(play({ userId }, name));
    await settled(name + 1);
  }
  expect(tries).toBeLessThan(before + 5);
  expect(journal.waiting).toBe(1);
  store.read = read;
  await settled(21);
  expect(await events(poisoned)).toHaveLength(1);
});

it('stands back as long also when a clock is set', async () => {
  busy = 1;
  await journal.append(play({ userId: randomUUID() }));
  await looked(1);
  const clock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 86_400_000);
  try {
    await looked(2);
    expect(results).toEqual([]);
  } finally {
    clock.mockRestore();
  }
  busy = 0;
  await settled(1);
});

it('stops, although the store is away, and loses nothing', async () => {
  away = true;
  await journal.append(play({ userId: randomUUID() }));
  await delivery.close();
  expect(journal.waiting).toBe(1);
});
