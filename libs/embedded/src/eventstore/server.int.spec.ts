import { randomUUID } from 'node:crypto';
import {
  END,
  EventStoreDBClient,
  jsonEvent,
  persistentSubscriptionToStreamSettingsFromDefaults,
  streamNameFilter,
  WrongExpectedVersionError,
} from '@eventstore/db-client';
import { OperationsClient } from '@eventstore/db-client/generated/operations_grpc_pb';
import { ScavengeResp, StartScavengeReq } from '@eventstore/db-client/generated/operations_pb';
import { credentials } from '@grpc/grpc-js';
import { Client } from 'pg';
import type { Limits } from './limits';
import { startEventStore, type EventStore } from './server';
import { collect, createDatabase, eventually, query, take } from './testing';

/** What only the stand-in promises: how it fails, what it bounds, and that it is the only one to write. */
let database: Awaited<ReturnType<typeof createDatabase>>;
let logged: { message: string; fields: Record<string, unknown> }[];
const opened: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  database = await createDatabase();
  logged = [];
});

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
  await database.drop();
});

const start = async (limits: Partial<Limits> = {}): Promise<EventStore> => {
  const store = await startEventStore({
    databaseUrl: database.url,
    port: 0,
    limits,
    log: (_, message, fields = {}) => logged.push({ message, fields }),
  });
  opened.push(store);
  return store;
};

const connect = ({ connectionString }: EventStore): EventStoreDBClient => {
  const client = EventStoreDBClient.connectionString(connectionString);
  opened.push({ close: () => client.dispose() });
  return client;
};

const event = (n: number) => jsonEvent({ type: 'Counted', data: { n } });
const numbers = (found: { event?: { data: unknown } }[]) => found.map(({ event }) => (event!.data as { n: number }).n);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);
const perCall = { credentials: { username: 'admin', password: 'changeit' } };
const failure = async (attempt: Promise<unknown>): Promise<unknown> =>
  attempt.then(
    () => Promise.reject(new Error('this was expected to fail')),
    (error: unknown) => error,
  );

const killWriterConnection = () =>
  query(
    database.url,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'eventstore writer'`,
  );

/** Keeps every commit waiting until it is released. */
async function holdCommits(): Promise<{ release(): Promise<void> }> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  await client.query('BEGIN; LOCK TABLE events.log IN EXCLUSIVE MODE');
  return { release: () => client.end() };
}

const commitWaits = () =>
  eventually(async () => {
    const [row] = await query(
      database.url,
      `SELECT count(*)::int AS count FROM pg_locks WHERE NOT granted AND relation = 'events.log'::regclass`,
    );
    return row!['count'] === 1;
  });

describe('when commits fail', () => {
  it('keeps every acknowledged append once, any other at most once, and refuses only those of the failed commits', async () => {
    const client = connect(await start());
    const acknowledged = new Map<string, bigint>();
    const refused = new Set<string>();
    const live: string[] = [];
    const subscription = client.subscribeToAll({ filter: streamNameFilter({ prefixes: ['load-'] }) });
    subscription.on('data', ({ event }) => live.push(event!.id));

    let running = true;
    const writers = upTo(32).map(async (index) => {
      for (let n = 0; running; n++) {
        const one = event(n);
        try {
          const { position } = await client.appendToStream(`load-${index}`, one);
          acknowledged.set(one.id, position!.commit);
        } catch {
          refused.add(one.id);
        }
      }
    });
    try {
      for (let kill = 1; kill <= 6; kill++) {
        const before = acknowledged.size;
        await eventually(() => acknowledged.size > before + 200);
        await killWriterConnection();
        await eventually(() => logged.filter(({ message }) => message.includes('taking it again')).length >= kill);
      }
      const before = acknowledged.size;
      await eventually(() => acknowledged.size > before + 200);
    } finally {
      running = false;
    }
    await Promise.all(writers);

    const stored = (await collect(client.readAll())).filter(({ event }) => event!.streamId.startsWith('load-'));
    const ids = stored.map(({ event }) => event!.id);
    expect(new Set(ids).size).toBe(ids.length);
    const position = new Map(stored.map(({ event }) => [event!.id, event!.position!.commit]));
    for (const [id, commit] of acknowledged) expect(position.get(id)).toBe(commit);
    for (const id of ids) expect(acknowledged.has(id) || refused.has(id)).toBe(true);
    const failed = logged.filter(({ message }) => message === 'a commit failed');
    expect(refused.size).toBe(failed.reduce((sum, { fields }) => sum + Number(fields['appends']), 0));
    // Who was subscribed all the while saw each event once and in order, also those whose answer was lost.
    await eventually(() => live.length >= ids.length);
    expect(live).toEqual(ids);
    await subscription.unsubscribe();
  });

  it('answers only the appends of the commit under way as unavailable, and stores those that waited behind it', async () => {
    const client = connect(await start());
    await client.appendToStream('s-1', event(0));
    const hold = await holdCommits();
    const underWay = failure(client.appendToStream('s-1', event(1), { ...perCall, expectedRevision: 0n }));
    await commitWaits();
    const behind = [1, 2, 3].map((n) => client.appendToStream('s-2', event(n)));
    await killWriterConnection();
    expect(await underWay).toMatchObject({ type: 'unavailable' });
    await hold.release();
    await Promise.all(behind);
    expect(numbers(await collect(client.readStream('s-2')))).toEqual([1, 2, 3]);
    expect(numbers(await collect(client.readStream('s-1')))).toEqual([0]);
  });

  it('gives up a commit that Postgres does not answer, and goes on', async () => {
    const client = connect(await start({ commitMs: 300 }));
    await client.appendToStream('s-1', event(0));
    const hold = await holdCommits();
    const error = await failure(client.appendToStream('s-1', event(1), { expectedRevision: 0n }));
    expect(error).toMatchObject({ type: 'deadline-exceeded' });
    await hold.release();
    // The commit given up may have happened or not; the repeat is the same append either way.
    const again = event(1);
    await eventually(async () => {
      const attempt = client.appendToStream('s-1', again, { expectedRevision: 0n });
      return attempt.then(
        () => true,
        (reason) => reason instanceof WrongExpectedVersionError,
      );
    });
    expect(numbers(await collect(client.readStream('s-1')))).toEqual([0, 1]);
  });

  it('takes the lock again when its connection is lost while nothing happens', async () => {
    const client = connect(await start());
    await client.appendToStream('s-1', event(0));
    await killWriterConnection();
    await eventually(() => logged.some(({ message }) => message.includes('taking it again')));
    await client.appendToStream('s-1', event(1), { expectedRevision: 0n });
    expect(numbers(await collect(client.readStream('s-1')))).toEqual([0, 1]);
  });

  it('stops for good when somebody else has taken the lock', async () => {
    const store = await start({ lockMs: 200 });
    const client = connect(store);
    await client.appendToStream('s-1', event(0));
    const rival = new Client({ connectionString: database.url });
    await rival.connect();
    const [{ key }] = (await query(
      database.url,
      `SELECT ((classid::bigint << 32) | objid::bigint)::text AS key FROM pg_locks
       WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    )) as [{ key: string }];
    const taken = rival.query('SELECT pg_advisory_lock($1)', [key]);
    await killWriterConnection();
    await taken;
    expect((await store.failed).message).toMatch(/another event store/);
    const refused = await failure(client.appendToStream('s-1', event(1), perCall));
    expect(refused).toMatchObject({ type: 'unavailable' });
    expect(numbers(await collect(client.readStream('s-1')))).toEqual([0]);
    await rival.end();
  });
});

describe('a bad append', () => {
  it('is refused without spoiling those that are committed with it', async () => {
    const client = connect(await start());
    const bad = [
      client.appendToStream('x'.repeat(5_000), event(0)),
      client.appendToStream('zero\0byte', event(0)),
      client.appendToStream('s-bad', jsonEvent({ type: 'zero\0byte', data: {} })),
      client.appendToStream('s-bad', jsonEvent({ id: 'not a UUID', type: 'Counted', data: {} })),
    ];
    const good = [
      client.appendToStream('s-1', event(0)),
      client.setStreamMetadata('s-1', { maxAge: 1e300, maxCount: 1e300, owner: 'nul \0 and \ud800' }),
      client.appendToStream('s-1', event(1)),
    ];
    for (const attempt of bad) expect(await failure(attempt)).toMatchObject({ type: 'unknown' });
    await Promise.all(good);
    expect(numbers(await collect(client.readStream('s-1')))).toEqual([0, 1]);
    expect(logged).toEqual([]);
  });
});

describe('one writer', () => {
  it('refuses a second server on the same database, until the first one stops', async () => {
    const first = await start();
    await expect(start({ lockMs: 200 })).rejects.toThrow(/another event store writes to this database/);
    await connect(first).appendToStream('s-1', event(0));
    await first.close();
    const second = connect(await start({ lockMs: 200 }));
    await second.appendToStream('s-1', event(1), { expectedRevision: 0n });
    expect(numbers(await collect(second.readStream('s-1')))).toEqual([0, 1]);
  });

  it('says that Postgres is not there', async () => {
    const nowhere = new URL(database.url);
    nowhere.port = '1';
    const attempt = startEventStore({ databaseUrl: nowhere.href, port: 0, limits: { connectMs: 300 } });
    await expect(attempt).rejects.toThrow(/Postgres was not usable for 300 ms/);
  });
});

describe('bounds', () => {
  it('refuses appends beyond those that may wait, and takes new ones afterwards', async () => {
    const client = connect(await start({ waitingAppends: 3 }));
    await client.appendToStream('s-0', event(0));
    const hold = await holdCommits();
    const first = client.appendToStream('s-0', event(1));
    await commitWaits();
    const attempts = upTo(8).map((n) => client.appendToStream(`s-${n}`, event(n), perCall));
    const settled = Promise.allSettled(attempts);
    const refused = await Promise.any(attempts.map((attempt) => failure(attempt)));
    expect(refused).toMatchObject({ code: 8 });
    await hold.release();
    await first;
    expect((await settled).filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    await client.appendToStream('s-9', event(9));
  });

  it('does not write what waited past its deadline', async () => {
    const client = connect(await start());
    await client.appendToStream('s-1', event(0));
    const hold = await holdCommits();
    const first = client.appendToStream('s-1', event(1));
    await commitWaits();
    const late = await failure(client.appendToStream('s-1', event(2), { deadline: 1_000 }));
    expect(late).toMatchObject({ type: 'deadline-exceeded' });
    await hold.release();
    await first;
    await client.appendToStream('s-1', event(3));
    expect(numbers(await collect(client.readStream('s-1')))).toEqual([0, 1, 3]);
  });

  it('sends a slow subscriber on to Postgres instead of keeping events for it', async () => {
    const store = await start({ tailEvents: 50, pageEvents: 20 });
    const client = connect(store);
    const subscriptions = [
      client.subscribeToAll({ fromPosition: END }),
      client.subscribeToStream('s-1', { fromRevision: END }),
    ];
    const seen = subscriptions.map(() => [] as number[]);
    const behind = subscriptions.map(
      (subscription) => new Promise((resolve) => subscription.once('fellBehind', resolve)),
    );
    for (const subscription of subscriptions)
      await new Promise<void>((resolve) => subscription.once('caughtUp', resolve).resume());
    for (const subscription of subscriptions) subscription.pause();
    // Large enough to fill what the transport takes ahead of the reader.
    const large = (n: number) => jsonEvent({ type: 'Large', data: { n, text: 'x'.repeat(20_000) } });
    for (let n = 0; n < 600; n += 30)
      await client.appendToStream(
        's-1',
        upTo(30).map((index) => large(n + index)),
      );
    for (const [index, subscription] of subscriptions.entries())
      subscription.on('data', ({ event }: { event?: { data: unknown } }) =>
        seen[index]!.push((event!.data as { n: number }).n),
      );
    for (const subscription of subscriptions) subscription.resume();
    await Promise.all(behind);
    await eventually(() => seen.every(({ length }) => length >= 600));
    for (const found of seen) expect(found).toEqual(upTo(600));
    await client.appendToStream('s-1', event(600));
    await eventually(() => seen.every((found) => found.at(-1) === 600));
    for (const subscription of subscriptions) await subscription.unsubscribe();
  });

  it('reads pages of one event when events are large', async () => {
    const client = connect(await start({ pageBytes: 1_000 }));
    const large = (n: number) => jsonEvent({ type: 'Large', data: { n, text: 'x'.repeat(2_000) } });
    await client.appendToStream('s-1', upTo(30).map(large));
    expect(numbers(await collect(client.readStream('s-1')))).toEqual(upTo(30));
    expect(numbers(await collect(client.readStream('s-1', { direction: 'backwards', fromRevision: 'end' })))).toEqual(
      upTo(30).reverse(),
    );
    expect(numbers(await collect(client.readAll()))).toEqual(upTo(30));
    expect(numbers(await take(client.subscribeToAll({ filter: streamNameFilter({ prefixes: ['s-'] }) }), 30))).toEqual(
      upTo(30),
    );
  });
});

describe('what it does not have', () => {
  it.each([
    [
      'CreatePersistentSubscription',
      (client: EventStoreDBClient) =>
        client.createPersistentSubscriptionToStream('s', 'g', persistentSubscriptionToStreamSettingsFromDefaults()),
      'PersistentSubscriptions/Create',
    ],
    [
      'CreateProjection',
      (client: EventStoreDBClient) => client.createProjection('p', 'fromAll()'),
      'Projections/Create',
    ],
  ])('answers %s by naming the method, and logs it', async (_, call, method) => {
    const client = connect(await start());
    const error = (await failure(call(client))) as { code: number; message: string };
    expect(error).toMatchObject({ code: 12, message: expect.stringContaining(method) });
    expect(logged.map(({ fields }) => fields['method'])).toContainEqual(expect.stringContaining(method));
  });
});

describe('across restarts', () => {
  it('continues revisions and positions, and recognises repeats', async () => {
    const first = await start();
    const one = event(0);
    const name = `s-${randomUUID()}`;
    let client = connect(first);
    const written = await client.appendToStream(name, one);
    await client.appendToStream(name, [event(1), event(2)]);
    await client.setStreamMetadata(name, { truncateBefore: 1 });
    await first.close();

    client = connect(await start());
    expect(await client.appendToStream(name, one)).toEqual(written);
    const next = await client.appendToStream(name, event(3), { expectedRevision: 2n });
    expect(next.position!.commit).toBeGreaterThan(written.position!.commit);
    expect(numbers(await collect(client.readStream(name)))).toEqual([1, 2, 3]);
  });

  it('recognises a repeat at a revision however long ago it was', async () => {
    const first = await start({ repeatLookBack: 5 });
    let client = connect(first);
    const batch = [event(0), event(1)];
    const written = await client.appendToStream('s-1', batch, { expectedRevision: 'no_stream' });
    for (const n of upTo(20)) await client.appendToStream('s-1', event(n + 2));
    expect(await client.appendToStream('s-1', batch, { expectedRevision: 'no_stream' })).toEqual(written);
    await first.close();
    client = connect(await start({ repeatLookBack: 5 }));
    expect(await client.appendToStream('s-1', batch, { expectedRevision: 'no_stream' })).toEqual(written);
    expect(numbers(await collect(client.readStream('s-1')))).toEqual(upTo(22));
  });
});

describe('a scavenge', () => {
  const all = async (client: EventStoreDBClient, stream: string) =>
    numbers((await collect(client.readAll())).filter(({ event }) => event!.streamId === stream));

  it('deletes what is hidden, and nothing else', async () => {
    const store = await start({ scavengeRows: 3 });
    const client = connect(store);
    for (const stream of ['cut-1', 'kept-1', 'counted-1', 'gone-1', 'deleted-1'])
      for (const n of upTo(10)) await client.appendToStream(stream, event(n));
    await client.setStreamMetadata('cut-1', { truncateBefore: 7 });
    await client.setStreamMetadata('cut-1', { truncateBefore: 8 });
    await client.setStreamMetadata('counted-1', { maxCount: 4 });
    await client.deleteStream('deleted-1');
    await client.tombstoneStream('gone-1');
    // 8 cut, 1 older metadata of it, 6 counted out, 10 deleted softly, 10 under the tombstone.
    expect(await store.scavenge()).toBe(8 + 1 + 6 + 10 + 10);
    expect(await all(client, 'cut-1')).toEqual([8, 9]);
    expect(await all(client, 'counted-1')).toEqual([6, 7, 8, 9]);
    expect(await all(client, 'kept-1')).toEqual(upTo(10));
    expect(await all(client, 'deleted-1')).toEqual([]);
    expect(await store.scavenge()).toBe(0);
    const left = (await query(database.url, 'SELECT count(*)::int AS count FROM events.events'))[0]!['count'];
    // With the newest metadata of three streams, and the tombstone.
    expect(left).toBe(2 + 4 + 10 + 3 + 1);
    const types = (await collect(client.readAll()))
      .filter(({ event }) => event!.streamId === 'gone-1')
      .map(({ event }) => event!.type);
    expect(types).toEqual(['$streamDeleted']);
  });

  it('begins when an operator asks for one, and says when one is under way', async () => {
    const store = await start({ scavengeRows: 1 });
    const client = connect(store);
    await client.appendToStream('cut-1', upTo(50).map(event));
    await client.setStreamMetadata('cut-1', { truncateBefore: 49 });
    const operator = new OperationsClient(`127.0.0.1:${store.port}`, credentials.createInsecure());
    opened.push({ close: async () => operator.close() });
    const ask = () =>
      new Promise<ScavengeResp>((resolve, reject) =>
        operator.startScavenge(new StartScavengeReq(), (error, answer) => (error ? reject(error) : resolve(answer))),
      );
    const [first, second] = await Promise.all([ask(), ask()]);
    const { STARTED, INPROGRESS } = ScavengeResp.ScavengeResult;
    expect([first.getScavengeResult(), second.getScavengeResult()]).toEqual([STARTED, INPROGRESS]);
    await eventually(async () => (await all(client, 'cut-1')).length === 1);
  });

  it('deletes what is too old', async () => {
    const store = await start();
    const client = connect(store);
    await client.appendToStream('s-1', event(0));
    await client.setStreamMetadata('s-1', { maxAge: 1 });
    await eventually(async () => (await store.scavenge()) === 1);
    expect(await all(client, 's-1')).toEqual([]);
    expect(await client.appendToStream('s-1', event(1), { expectedRevision: 0n })).toMatchObject({
      nextExpectedRevision: 1n,
    });
  });

  it('never lets a position or a revision come twice, even when the newest events are deleted', async () => {
    const first = await start();
    let client = connect(first);
    await client.setStreamMetadata('s-1', { maxAge: 1 });
    const { position } = await client.appendToStream('s-1', [event(0), event(1)]);
    await eventually(async () => (await first.scavenge()) === 2);
    await first.close();
    client = connect(await start());
    const next = await client.appendToStream('s-1', event(2), { expectedRevision: 1n });
    expect(next.nextExpectedRevision).toBe(2n);
    expect(next.position!.commit).toBeGreaterThan(position!.commit);
  });

  it('goes on while subscribers read and writers write', async () => {
    const store = await start({ scavengeEveryMs: 20, scavengeRows: 10, tailEvents: 20 });
    const client = connect(store);
    await client.setStreamMetadata('short-1', { maxCount: 2 });
    const taken = take(client.subscribeToAll({ filter: streamNameFilter({ prefixes: ['long-'] }) }), 300);
    for (const n of upTo(300)) {
      await Promise.all([client.appendToStream('short-1', event(n)), client.appendToStream('long-1', event(n))]);
    }
    expect(numbers(await taken)).toEqual(upTo(300));
    await eventually(() => logged.some(({ message }) => message === 'scavenged'));
    expect(numbers(await collect(client.readStream('short-1')))).toEqual([298, 299]);
  });
});
