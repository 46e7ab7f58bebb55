import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventStore, NO_EVENTS, StoreUnavailable, streamOf } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { createLogger } from '@balados/platform-service';
import { waitFor } from '@balados/testing';
import { AccountsUnavailable } from '@balados/users-accounts';
import { usersEvents } from '@balados/users-contracts';
import { openListenerStreams } from '@balados/users-write';
import { Delivered, Delivery } from './delivery';
import { Journal } from './journal';
import { Play } from './journal-lines';

const log = createLogger('test', 'silent');
const FEED = 'https://feeds.example/show.xml';
const NOON = Date.UTC(2026, 0, 1, 12);

let folder: string;
let journal: Journal;
let delivery: Delivery;
let store: InMemoryEventStore;
/** The event store, or the tokens, do not answer. */
let away: boolean;
let results: Delivered[];
const owners = new Map<string, string>();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'balados-delivery-'));
  store = new InMemoryEventStore(() => Promise.resolve());
  away = false;
  results = [];
  journal = await Journal.open(folder, {
    maxBytes: 1_048_576,
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
  for await (const stored of store.read(streamOf('listening', userId))) all.push(usersEvents.decode(stored));
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

it('stops, although the store is away, and loses nothing', async () => {
  away = true;
  await journal.append(play({ userId: randomUUID() }));
  await delivery.close();
  expect(journal.waiting).toBe(1);
});
