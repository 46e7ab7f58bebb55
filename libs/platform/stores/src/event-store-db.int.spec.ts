import { randomUUID } from 'node:crypto';
import {
  CaughtUp,
  Checkpoint,
  NO_EVENTS,
  RevisionConflict,
  StoredEvent,
  StoreUnavailable,
  StreamGone,
} from '@balados/event-sourcing';
import { waitFor } from '@balados/testing';
import { EventStoreDBClient } from '@eventstore/db-client';
import { OperationsService } from '@eventstore/db-client/generated/operations_grpc_pb';
import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { APPEND_DEADLINE_MS, OpenEventStore, openEventStore, READ_TIMEOUT_MS } from './event-store-db';
import { newEvent, startStandIn } from './testing';

let standIn: Awaited<ReturnType<typeof startStandIn>>;
let store: OpenEventStore;

beforeAll(async () => {
  standIn = await startStandIn();
  store = openEventStore({ url: standIn.url });
});

afterAll(async () => {
  await store?.close();
  await standIn?.close();
});

const newStream = (category = 'things') => `${category}-${randomUUID()}`;

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const read: Item[] = [];
  for await (const item of items) read.push(item);
  return read;
}

describe('append and read', () => {
  it('reads what was appended, from anywhere', async () => {
    const stream = newStream();
    const events = [newEvent({ n: 0, text: 'ü "quoted"\n' }), newEvent({ n: 1 }), newEvent({ n: 2 })];
    expect(await store.append(stream, NO_EVENTS, events)).toBe(2);
    const read = await all(store.read(stream));
    expect(read).toEqual(
      events.map((event, revision) => ({ ...event, stream, revision, position: expect.any(BigInt) })),
    );
    expect(read[1]!.position > read[0]!.position).toBe(true);
    expect((await all(store.read(stream, 2))).map(({ revision }) => revision)).toEqual([2]);
    expect(await all(store.read(stream, 3))).toEqual([]);
    expect(await store.head(stream)).toBe(2);
    expect(await store.headPosition()).toBe(read[2]!.position);
  });

  it('stores events as JSON', async () => {
    const stream = newStream();
    await store.append(stream, NO_EVENTS, [newEvent({ a: 1 })]);
    const client = EventStoreDBClient.connectionString(standIn.url);
    for await (const { event } of client.readStream(stream)) expect(event).toMatchObject({ isJson: true });
    await client.dispose();
  });

  it('takes a stream that does not exist for an empty one', async () => {
    expect(await all(store.read(newStream()))).toEqual([]);
    expect(await store.head(newStream())).toBe(NO_EVENTS);
  });

  it('refuses an append at another revision, and takes the same one twice', async () => {
    const stream = newStream();
    const events = [newEvent(), newEvent()];
    await store.append(stream, NO_EVENTS, events);
    await expect(store.append(stream, NO_EVENTS, [newEvent()])).rejects.toThrow(RevisionConflict);
    await expect(store.append(stream, 5, [newEvent()])).rejects.toThrow(RevisionConflict);
    expect(await store.append(stream, NO_EVENTS, events)).toBe(1);
    expect(await store.head(stream)).toBe(1);
  });

  it('tells whoever opened it what came of their appends, and of no others', async () => {
    const told: unknown[] = [];
    const watched = openEventStore({
      url: standIn.url,
      onAppend: (outcome, events, seconds) => told.push([outcome, events, seconds > 0]),
    });
    const stream = newStream();
    await watched.append(stream, NO_EVENTS, [newEvent(), newEvent()]);
    await store.append(stream, 1, [newEvent()]);
    await expect(watched.append(stream, 1, [newEvent()])).rejects.toThrow(RevisionConflict);
    await store.tombstone(stream, 2);
    await expect(watched.append(stream, 2, [newEvent()])).rejects.toThrow(StreamGone);
    await watched.close();
    expect(told).toEqual([
      ['appended', 2, true],
      ['conflict', 1, true],
      ['gone', 1, true],
    ]);
  });

  it('knows a stream that was deleted for good', async () => {
    const stream = newStream();
    await store.append(stream, NO_EVENTS, [newEvent()]);
    const client = EventStoreDBClient.connectionString(standIn.url);
    await client.tombstoneStream(stream);
    await client.dispose();
    await expect(store.append(stream, 0, [newEvent()])).rejects.toThrow(StreamGone);
    await expect(all(store.read(stream))).rejects.toThrow(StreamGone);
    await expect(store.head(stream)).rejects.toThrow(StreamGone);
  });

  it('deletes a stream for good, where it was left, and one that never was', async () => {
    const stream = newStream();
    await store.append(stream, NO_EVENTS, [newEvent(), newEvent()]);
    await expect(store.tombstone(stream, 0)).rejects.toThrow(RevisionConflict);
    await store.tombstone(stream, 1);
    await expect(store.append(stream, 1, [newEvent()])).rejects.toThrow(StreamGone);
    await expect(store.tombstone(stream, 1)).rejects.toThrow(StreamGone);
    await expect(store.truncateBefore(stream, 1)).rejects.toThrow(StreamGone);
    const never = newStream();
    await store.tombstone(never, NO_EVENTS);
    await expect(store.append(never, NO_EVENTS, [newEvent()])).rejects.toThrow(StreamGone);
  });

  it('hides what comes before a revision, and never shows it again', async () => {
    const stream = newStream();
    await store.append(stream, NO_EVENTS, [newEvent(), newEvent(), newEvent()]);
    await Promise.all([2, 1, 2].map((revision) => store.truncateBefore(stream, revision)));
    await store.truncateBefore(stream, 0);
    for (const from of [0, 1, 2])
      expect((await all(store.read(stream, from))).map(({ revision }) => revision)).toEqual([2]);
    expect(await store.append(stream, 2, [newEvent()])).toBe(3);
    expect(await store.head(stream)).toBe(3);
  });

  it('has the store remove what was cut away', async () => {
    const stream = newStream();
    const events = Array.from({ length: 5 }, () => newEvent());
    await store.append(stream, NO_EVENTS, events);
    await store.truncateBefore(stream, 4);
    await waitFor(() => store.scavenge(), { what: 'no other scavenge to be under way' });
    const client = EventStoreDBClient.connectionString(standIn.url);
    const inLog = async () => (await all(client.readAll())).filter(({ event }) => event?.streamId === stream);
    await waitFor(async () => (await inLog()).length === 1, { what: 'the log to hold the last one alone' });
    expect((await inLog())[0]!.event!.id).toBe(events[4]!.id);
    await client.dispose();
  });

  it.each([
    [status.PERMISSION_DENIED, Error, 'refuses to scavenge'],
    [status.UNAVAILABLE, StoreUnavailable, 'no scavenge was begun'],
  ])('says why a store does not scavenge: %i', async (code, type, said) => {
    const server = new Server();
    server.addService(OperationsService, {
      startScavenge: (_call: unknown, callback: sendUnaryData<never>) => callback({ code, details: 'not for you' }),
    } as unknown as UntypedServiceImplementation);
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    const refusing = openEventStore({ url: `esdb://127.0.0.1:${port}?tls=false` });
    const failure = await refusing.scavenge().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(type);
    expect((failure as Error).message).toMatch(new RegExp(`${said}.*not for you`));
    await refusing.close();
    server.forceShutdown();
  });

  it('shows subscribers a tombstone as a position that moves on', async () => {
    const category = `things${randomUUID().replaceAll('-', '')}`;
    const [gone, next] = [newStream(category), newStream(category)];
    await store.append(gone, NO_EVENTS, [newEvent()]);
    const after = await store.headPosition();
    await store.tombstone(gone, 0);
    const position = await store.headPosition();
    await store.append(next, NO_EVENTS, [newEvent()]);
    const seen: unknown[] = [];
    for await (const item of store.subscribe({
      after,
      prefixes: [`${category}-`],
      signal: new AbortController().signal,
    })) {
      if ('checkpoint' in item) seen.push(item.checkpoint);
      if (!('revision' in item)) continue;
      expect(item.stream).toBe(next);
      break;
    }
    expect(seen).toContain(position);
  });

  it('keeps many concurrent appends to one stream apart', async () => {
    const stream = newStream();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, () => store.append(stream, NO_EVENTS, [newEvent()])),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('gives one id to the store, whoever asks first', async () => {
    const other = openEventStore({ url: `${standIn.url}&connectionName=other` });
    const [one, two] = await Promise.all([store.storeId(), other.storeId()]);
    expect(one).toBe(two);
    await other.close();
  });

  it('serves those who still have it open when another closes', async () => {
    const second = openEventStore({ url: standIn.url });
    await second.close();
    await second.close();
    expect(await store.head(newStream())).toBe(NO_EVENTS);
  });

  it('refuses what comes after its end, and ends subscriptions', async () => {
    const closed = openEventStore({ url: `${standIn.url}&connectionName=closed` });
    const subscription = all(
      closed.subscribe({ after: undefined, prefixes: ['none-'], signal: new AbortController().signal }),
    );
    await closed.head(newStream());
    await closed.close();
    await subscription;
    await expect(closed.append(newStream(), NO_EVENTS, [newEvent()])).rejects.toThrow(StoreUnavailable);
  });
});

type Item = StoredEvent | Checkpoint | CaughtUp;

/** What a subscription delivers, gathered until `stop`. */
function subscribed(prefixes: string[], after?: bigint) {
  const controller = new AbortController();
  const items: Item[] = [];
  const done = (async () => {
    for await (const item of store.subscribe({ after, prefixes, signal: controller.signal })) items.push(item);
  })();
  return {
    items,
    events: () => items.filter((item): item is StoredEvent => 'revision' in item),
    async stop() {
      controller.abort();
      await done;
    },
  };
}

describe('subscribe', () => {
  it('delivers its prefixes alone, says once that it caught up, and goes on', async () => {
    const category = `c${randomUUID().slice(0, 8)}`;
    await store.append(newStream(category), NO_EVENTS, [newEvent({ n: 0 }), newEvent({ n: 1 })]);
    await store.append(newStream('other'), NO_EVENTS, [newEvent()]);
    const { items, events, stop } = subscribed([`${category}-`]);
    await waitFor(() => items.some((item) => 'caughtUp' in item), { what: 'the caught-up sign' });
    expect(events()).toHaveLength(2);
    await store.append(newStream(category), NO_EVENTS, [newEvent({ n: 2 })]);
    await waitFor(() => events().length === 3, { what: 'the live event' });
    expect(events().map(({ data }) => data)).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }]);
    expect(items.filter((item) => 'caughtUp' in item)).toHaveLength(1);
    await stop();
  });

  it('puts checkpoints and the caught-up sign behind the events before them, for slow readers too', async () => {
    const category = `c${randomUUID().slice(0, 8)}`;
    const start = await store.headPosition();
    for (let round = 0; round < 3; round += 1) {
      await store.append(
        newStream(category),
        NO_EVENTS,
        Array.from({ length: 100 }, (_, n) => newEvent({ n })),
      );
      await store.append(
        newStream('other'),
        NO_EVENTS,
        Array.from({ length: 100 }, (_, n) => newEvent({ n })),
      );
    }
    const head = await store.headPosition();
    const controller = new AbortController();
    const positions: bigint[] = [];
    let events = 0;
    let checkpoints = 0;
    for await (const item of store.subscribe({ after: start, prefixes: [`${category}-`], signal: controller.signal })) {
      if ('caughtUp' in item) {
        expect(events).toBe(300);
        break;
      }
      if ('checkpoint' in item) checkpoints += 1;
      else events += 1;
      positions.push('checkpoint' in item ? item.checkpoint : item.position);
      // The reader lags behind what the client has buffered.
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(checkpoints).toBeGreaterThan(2);
    for (const [index, position] of positions.entries()) expect(position >= (positions[index - 1] ?? 0n)).toBe(true);
    expect(positions.at(-1)! <= head!).toBe(true);
  });

  it('starts after the position that it is given', async () => {
    const category = `c${randomUUID().slice(0, 8)}`;
    const stream = newStream(category);
    await store.append(stream, NO_EVENTS, [newEvent({ n: 0 }), newEvent({ n: 1 }), newEvent({ n: 2 })]);
    const [, second] = await all(store.read(stream));
    const { events, stop } = subscribed([`${category}-`], second!.position);
    await waitFor(() => events().length > 0, { what: 'the rest' });
    expect(events().map(({ data }) => data)).toEqual([{ n: 2 }]);
    await stop();
  });

  it('ends at once when it is told to', async () => {
    const { items, stop } = subscribed(['nothing-']);
    await waitFor(() => items.length > 0, { what: 'the caught-up sign' });
    const started = Date.now();
    await stop();
    expect(Date.now() - started).toBeLessThan(1_000);
  });
});

describe('when the store fails', () => {
  it('is frozen: every call fails within its named time, and works again afterwards', async () => {
    const stream = newStream();
    await store.append(stream, NO_EVENTS, [newEvent()]);
    process.kill(standIn.child.pid, 'SIGSTOP');
    const started = Date.now();
    const timed = async (work: Promise<unknown>) => {
      const error = await work.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      return { error, ms: Date.now() - started };
    };
    // So much that the client's buffers are full when the connection goes.
    const filler = 'x'.repeat(500_000);
    const appends = Array.from({ length: 60 }, () =>
      timed(store.append(newStream(), NO_EVENTS, [newEvent({ filler })])),
    );
    const reads = [timed(store.head(stream)), timed(all(store.read(stream))), timed(store.headPosition())];
    const outcomes = await Promise.all([...appends, ...reads]);
    process.kill(standIn.child.pid, 'SIGCONT');
    for (const { error } of outcomes) expect(error).toBeInstanceOf(StoreUnavailable);
    for (const { ms } of outcomes.slice(0, 60)) expect(ms).toBeLessThan(APPEND_DEADLINE_MS + 1_000);
    for (const { ms } of outcomes.slice(60)) expect(ms).toBeLessThan(READ_TIMEOUT_MS + 1_000);

    const thawed = Date.now();
    expect(await store.append(stream, 0, [newEvent()])).toBe(1);
    expect(await store.head(stream)).toBe(1);
    expect(Date.now() - thawed).toBeLessThan(5_000);
  });

  it('is frozen for a moment: appends wait it out', async () => {
    const stream = newStream();
    process.kill(standIn.child.pid, 'SIGSTOP');
    const appending = store.append(stream, NO_EVENTS, [newEvent()]);
    setTimeout(() => process.kill(standIn.child.pid, 'SIGCONT'), 4_000);
    expect(await appending).toBe(0);
    expect(await all(store.read(stream))).toHaveLength(1);
  });

  it('is killed under load: each acknowledged append is there once, in order, and subscribers lose and repeat nothing', async () => {
    const category = `c${randomUUID().slice(0, 8)}`;
    const { events, stop } = subscribed([`${category}-`]);
    const acknowledged = new Map<string, string[]>();
    let finished = false;
    const writer = async () => {
      const stream = newStream(category);
      const ids: string[] = [];
      acknowledged.set(stream, ids);
      while (!finished) {
        const event = newEvent({ stream, n: ids.length });
        // What is reported unavailable is sent again as it was, as a caller would.
        for (;;) {
          try {
            await store.append(stream, ids.length - 1, [event]);
            break;
          } catch (error) {
            if (!(error instanceof StoreUnavailable)) throw error;
          }
        }
        ids.push(event.id);
      }
    };
    const writers = Array.from({ length: 16 }, writer);
    const total = () => [...acknowledged.values()].reduce((sum, ids) => sum + ids.length, 0);
    for (let kill = 0; kill < 2; kill += 1) {
      const before = total();
      await waitFor(() => total() > before + 300, { what: 'writers to get going' });
      process.kill(standIn.child.pid, 'SIGKILL');
      const killed = total();
      await waitFor(() => total() > killed + 300, { what: 'writers to go on' });
    }
    finished = true;
    await Promise.all(writers);

    for (const [stream, ids] of acknowledged) expect((await all(store.read(stream))).map(({ id }) => id)).toEqual(ids);
    await waitFor(() => events().length >= total(), { what: 'the subscriber to have seen them all' });
    for (const [stream, ids] of acknowledged)
      expect(
        events()
          .filter((event) => event.stream === stream)
          .map(({ id }) => id),
      ).toEqual(ids);
    await stop();
  });
});
