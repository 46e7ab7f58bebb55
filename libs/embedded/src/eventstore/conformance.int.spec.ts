import { randomUUID } from 'node:crypto';
import {
  ANY,
  BACKWARDS,
  binaryEvent,
  END,
  EventStoreDBClient,
  eventTypeFilter,
  excludeSystemEvents,
  FORWARDS,
  jsonEvent,
  MaxAppendSizeExceededError,
  NO_STREAM,
  START,
  STREAM_EXISTS,
  StreamDeletedError,
  streamNameFilter,
  StreamNotFoundError,
  WrongExpectedVersionError,
  type AllStreamResolvedEvent,
  type AppendExpectedRevision,
  type Position,
} from '@eventstore/db-client';
import { StreamsService } from '@eventstore/db-client/generated/streams_grpc_pb';
import { startEventStore, type EventStore } from './server';
import { collect, createDatabase, eventually, take } from './testing';

/**
 * What a listener's log relies on, told through the official client alone. It runs against the stand-in, or against any
 * server: `EVENTSTORE_URL=esdb://localhost:2113?tls=false`. Streams have names of their own, so a server in use will do.
 */
const outside = process.env['EVENTSTORE_URL'];

let database: Awaited<ReturnType<typeof createDatabase>> | undefined;
let store: EventStore | undefined;
let url: string;
let client: EventStoreDBClient;

beforeAll(async () => {
  if (!outside) {
    database = await createDatabase();
    store = await startEventStore({ databaseUrl: database.url, port: 0 });
  }
  url = outside ?? store!.connectionString;
  client = EventStoreDBClient.connectionString(url);
});

afterAll(async () => {
  await client.dispose();
  await store?.close();
  await database?.drop();
});

const newStream = (category = 'conformance') => `${category}-${randomUUID()}`;
const event = (n: number, type = 'Counted') => jsonEvent({ type, data: { n } });
const events = (count: number, from = 0) => Array.from({ length: count }, (_, index) => event(from + index));
const streamWith = async (count: number, category?: string) => {
  const stream = newStream(category);
  await client.appendToStream(stream, events(count));
  return stream;
};
const numbers = (found: { event?: { data: unknown } }[]) => found.map(({ event }) => (event!.data as { n: number }).n);
const readNumbers = async (stream: string) => numbers(await collect(client.readStream(stream)));
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);
const failure = async (attempt: Promise<unknown> | AsyncIterable<unknown>): Promise<unknown> => {
  try {
    await (Symbol.asyncIterator in attempt ? collect(attempt) : attempt);
  } catch (error) {
    return error;
  }
  throw new Error('this was expected to fail');
};

describe('appending', () => {
  it('gives back what was written, with its place in the stream and in the log', async () => {
    const stream = newStream();
    const [one, two] = [
      jsonEvent({ type: 'Written', data: { text: 'Grüße, 世界' }, metadata: { device: 'phone' } }),
      binaryEvent({ type: 'Stored', data: Buffer.from([0, 255, 128]), metadata: Buffer.from([1, 2]) }),
    ];
    const before = Date.now();
    const result = await client.appendToStream(stream, [one, two], { expectedRevision: NO_STREAM });
    const [first, second] = (await collect(client.readStream(stream))).map(({ event }) => event!);

    expect(result).toMatchObject({ success: true, nextExpectedRevision: 1n, position: second!.position });
    expect(first).toMatchObject({
      streamId: stream,
      id: one!.id,
      type: 'Written',
      isJson: true,
      revision: 0n,
      data: { text: 'Grüße, 世界' },
      metadata: { device: 'phone' },
    });
    expect(second).toMatchObject({ id: two!.id, type: 'Stored', isJson: false, revision: 1n });
    expect([...(second!.data as Uint8Array)]).toEqual([0, 255, 128]);
    expect([...(second!.metadata as Uint8Array)]).toEqual([1, 2]);
    expect(first!.position!.commit).toBeLessThan(second!.position!.commit);
    expect(Math.abs(first!.created.getTime() - before)).toBeLessThan(60_000);
  });

  it('keeps names of streams and types as they are', async () => {
    const stream = newStream('Ümlaut "quoted", \\back {brace} NULL \'x\'');
    await client.appendToStream(stream, jsonEvent({ type: 'a "b" \\ {c},NULL', data: {} }));
    const [found] = await collect(client.readStream(stream));
    expect(found!.event).toMatchObject({ streamId: stream, type: 'a "b" \\ {c},NULL' });
  });

  it('takes an append that comes in several messages as one', async () => {
    const stream = newStream();
    const result = await client.appendToStream(stream, events(50), { batchAppendSize: 300 });
    expect(result.nextExpectedRevision).toBe(49n);
    expect(await readNumbers(stream)).toEqual(upTo(50));
  });

  it('numbers concurrent appends without a gap or a double', async () => {
    const stream = newStream();
    const results = await Promise.all(events(200).map((one) => client.appendToStream(stream, one)));
    const revisions = results.map(({ nextExpectedRevision }) => Number(nextExpectedRevision));
    expect(revisions.sort((a, b) => a - b)).toEqual(upTo(200));
    expect((await readNumbers(stream)).sort((a, b) => a - b)).toEqual(upTo(200));
  });

  it('lets one of many at the same revision through', async () => {
    const stream = await streamWith(3);
    const attempts = await Promise.allSettled(
      events(20, 100).map((one) => client.appendToStream(stream, one, { expectedRevision: 2n })),
    );
    const refused = attempts.filter((attempt) => attempt.status === 'rejected').map(({ reason }) => reason as unknown);
    expect(refused).toHaveLength(19);
    for (const reason of refused) expect(reason).toMatchObject({ type: 'wrong-expected-version', actualVersion: 3n });
    expect(await readNumbers(stream)).toHaveLength(4);
  });

  const conflicts: [string, number, AppendExpectedRevision, bigint | 'no_stream'][] = [
    ['no stream, where there is one', 3, NO_STREAM, 2n],
    ['a stream, where there is none', 0, STREAM_EXISTS, 'no_stream'],
    ['an earlier revision', 3, 1n, 2n],
    ['a later revision', 3, 7n, 2n],
    ['a revision of a stream that is not there', 0, 0n, 'no_stream'],
  ];
  describe.each(['together on one call', 'one call each'])('%s', (how) => {
    // With credentials the client makes a call for each append.
    const options = how === 'one call each' ? { credentials: { username: 'admin', password: 'changeit' } } : {};

    it.each(conflicts)('refuses %s, and says which revision it is at', async (_, count, expectedRevision, current) => {
      const stream = count > 0 ? await streamWith(count) : newStream();
      const error = await failure(client.appendToStream(stream, event(9), { ...options, expectedRevision }));
      expect(error).toBeInstanceOf(WrongExpectedVersionError);
      expect(error).toMatchObject({ streamName: stream, expectedVersion: expectedRevision, actualVersion: current });
    });

    it('accepts the revision that the stream is at, any, and that it exists', async () => {
      const stream = newStream();
      for (const [index, expectedRevision] of [NO_STREAM, 0n, ANY, STREAM_EXISTS].entries()) {
        const result = await client.appendToStream(stream, event(index), {
          ...options,
          expectedRevision: expectedRevision as AppendExpectedRevision,
        });
        expect(result.nextExpectedRevision).toBe(BigInt(index));
      }
      expect(await readNumbers(stream)).toEqual(upTo(4));
    });

    it.each([NO_STREAM, ANY] as const)(
      'answers a repeat of %s as the first time, and writes nothing',
      async (expectedRevision) => {
        const stream = newStream();
        const batch = events(3);
        const first = await client.appendToStream(stream, batch, { ...options, expectedRevision });
        await client.appendToStream(stream, event(3));
        const again = await client.appendToStream(stream, batch, { ...options, expectedRevision });
        expect(again).toEqual(first);
        expect(await readNumbers(stream)).toEqual(upTo(4));
      },
    );

    it('answers a repeat at a revision, and of one that the stream exists, as the first time', async () => {
      const stream = await streamWith(2);
      for (const expectedRevision of [1n, STREAM_EXISTS] as const) {
        const batch = events(2, 10);
        const first = await client.appendToStream(stream, batch, { ...options, expectedRevision });
        await client.appendToStream(stream, event(5));
        expect(await client.appendToStream(stream, batch, { ...options, expectedRevision })).toEqual(first);
      }
      expect(await readNumbers(stream)).toEqual([0, 1, 10, 11, 5, 10, 11, 5]);
    });

    it('refuses what repeats another append only in part', async () => {
      const stream = newStream();
      const [one, two] = events(2);
      await client.appendToStream(stream, one!, { ...options, expectedRevision: NO_STREAM });
      const error = await failure(
        client.appendToStream(stream, [one!, two!], { ...options, expectedRevision: NO_STREAM }),
      );
      expect(error).toBeInstanceOf(WrongExpectedVersionError);
      expect(await readNumbers(stream)).toEqual([0]);
    });

    it('refuses more than a mebibyte at once, and nothing else with it', async () => {
      const stream = newStream();
      const large = Array.from({ length: 3 }, () =>
        jsonEvent({ type: 'Large', data: { text: 'x'.repeat(400 * 1024) } }),
      );
      const [tooLarge, , fine] = await Promise.allSettled([
        client.appendToStream(stream, large, options),
        client.appendToStream(newStream(), large, { ...options, batchAppendSize: 500 * 1024 }).catch(() => undefined),
        client.appendToStream(stream, event(0), options),
      ]);
      expect(fine.status).toBe('fulfilled');
      // Newer servers can be told to allow more.
      if (outside && tooLarge.status === 'fulfilled') return;
      expect(tooLarge).toMatchObject({ status: 'rejected', reason: expect.any(MaxAppendSizeExceededError) });
      expect((tooLarge as PromiseRejectedResult).reason).toMatchObject({ maxAppendSize: 1024 * 1024 });
      expect(await readNumbers(stream)).toEqual([0]);
    });

    it('takes an append of nothing, and writes nothing', async () => {
      const stream = newStream();
      expect(await client.appendToStream(stream, [], options)).toMatchObject({ success: true });
      expect(await failure(client.readStream(stream))).toBeInstanceOf(StreamNotFoundError);
      await client.appendToStream(stream, event(0), { ...options, expectedRevision: NO_STREAM });
      expect(await client.appendToStream(stream, [], options)).toMatchObject({ nextExpectedRevision: 0n });
    });

    it('takes nearly a mebibyte at once', async () => {
      const stream = newStream();
      const text = 'x'.repeat(1000 * 1024);
      await client.appendToStream(stream, jsonEvent({ type: 'Large', data: { text } }), options);
      const [found] = await collect(client.readStream(stream));
      expect(found!.event!.data).toEqual({ text });
    });
  });
});

describe('reading a stream', () => {
  let stream: string;
  beforeAll(async () => {
    stream = await streamWith(10);
  });

  it.each([
    ['all of it', {}, upTo(10)],
    ['from a revision on', { fromRevision: 7n }, [7, 8, 9]],
    ['some', { fromRevision: 2n, maxCount: 3 }, [2, 3, 4]],
    ['with links resolved, of which there are none', { resolveLinkTos: true, maxCount: 2 }, [0, 1]],
    ['what is new, when nothing is', { fromRevision: 10n }, []],
    ['from far beyond its end', { fromRevision: 1000n }, []],
    ['forwards from its end', { fromRevision: END }, []],
    ['backwards', { direction: BACKWARDS, fromRevision: END }, upTo(10).reverse()],
    ['its last event', { direction: BACKWARDS, fromRevision: END, maxCount: 1 }, [9]],
    ['backwards from a revision', { direction: BACKWARDS, fromRevision: 2n }, [2, 1, 0]],
    ['backwards, some', { direction: BACKWARDS, fromRevision: 8n, maxCount: 2 }, [8, 7]],
    ['backwards from its start', { direction: BACKWARDS, fromRevision: START }, [0]],
  ] as const)('reads %s', async (_, options, expected) => {
    expect(numbers(await collect(client.readStream(stream, options)))).toEqual(expected);
    // Once more, when the server may know it by heart.
    expect(numbers(await collect(client.readStream(stream, options)))).toEqual(expected);
  });

  it.each([FORWARDS, BACKWARDS] as const)('says that a stream is not there, %s', async (direction) => {
    const missing = newStream();
    const read = () => client.readStream(missing, { direction, fromRevision: direction === FORWARDS ? START : END });
    for (let time = 0; time < 2; time++) {
      const error = await failure(read());
      expect(error).toBeInstanceOf(StreamNotFoundError);
      expect(error).toMatchObject({ streamName: missing });
    }
    await client.appendToStream(missing, event(0));
    expect(numbers(await collect(read()))).toEqual([0]);
  });

  it('reads a long one in order, both ways', async () => {
    const long = newStream();
    for (let from = 0; from < 1_800; from += 600) await client.appendToStream(long, events(600, from));
    expect(await readNumbers(long)).toEqual(upTo(1_800));
    const backwards = client.readStream(long, { direction: BACKWARDS, fromRevision: END, maxCount: 1_500 });
    expect(numbers(await collect(backwards))).toEqual(upTo(1_800).reverse().slice(0, 1_500));
  });

  it('shows an append as soon as it is acknowledged', async () => {
    const busy = newStream();
    for (let n = 0; n < 50; n++) {
      await client.appendToStream(busy, event(n));
      const [last] = await collect(client.readStream(busy, { direction: BACKWARDS, fromRevision: END, maxCount: 1 }));
      expect(last!.event!.revision).toBe(BigInt(n));
      expect(numbers(await collect(client.readStream(busy, { fromRevision: BigInt(n) })))).toEqual([n]);
    }
  });
});

describe('reading the whole log', () => {
  const positionsOf = (found: AllStreamResolvedEvent[]) => found.map(({ event }) => event!.position!);
  const readAllFrom = async (fromPosition: Position, streams: string[]) => {
    const found: AllStreamResolvedEvent[] = [];
    for await (const one of client.readAll({ fromPosition }))
      if (streams.includes(one.event!.streamId)) found.push(one);
    return found;
  };

  it('gives the events of all streams in the order of their commits', async () => {
    const streams = [newStream(), newStream(), newStream()];
    const written: string[] = [];
    let from: Position | undefined;
    for (let n = 0; n < 30; n++) {
      const one = event(n);
      const { position } = await client.appendToStream(streams[n % 3]!, one);
      from ??= position!;
      written.push(one.id);
    }
    const found = await readAllFrom(from!, streams);
    expect(found.map(({ event }) => event!.id)).toEqual(written);
    const positions = positionsOf(found).map(({ commit }) => commit);
    expect([...positions].sort((a, b) => (a < b ? -1 : 1))).toEqual(positions);
    expect(new Set(positions).size).toBe(30);
  });

  it('begins with the event at a position forwards, and before it backwards', async () => {
    const stream = await streamWith(5);
    const places = positionsOf((await collect(client.readStream(stream))) as unknown as AllStreamResolvedEvent[]);
    expect(numbers(await readAllFrom(places[2]!, [stream]))).toEqual([2, 3, 4]);
    const backwards: AllStreamResolvedEvent[] = [];
    for await (const one of client.readAll({ direction: BACKWARDS, fromPosition: places[2]!, maxCount: 2 }))
      backwards.push(one);
    expect(numbers(backwards.filter(({ event }) => event!.streamId === stream))).toEqual([1, 0]);
  });

  it('reads no more than asked for, from either end', async () => {
    const stream = await streamWith(5);
    expect(await collect(client.readAll({ maxCount: 3 }))).toHaveLength(3);
    const last = await collect(client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 200 }));
    expect(numbers(last.filter(({ event }) => event!.streamId === stream))).toEqual([4, 3, 2, 1, 0]);
    expect(await collect(client.readAll({ fromPosition: END }))).toEqual([]);
    expect(await collect(client.readAll({ direction: BACKWARDS, fromPosition: START }))).toEqual([]);
  });
});

describe('subscribing to a stream', () => {
  it('gives what is there and then what comes, once and in order', async () => {
    const stream = await streamWith(1_200);
    const subscription = client.subscribeToStream(stream);
    const taken = take(subscription, 1_300);
    for (let n = 1_200; n < 1_300; n++) await client.appendToStream(stream, event(n));
    expect(numbers(await taken)).toEqual(upTo(1_300));
  });

  it('begins after a revision', async () => {
    const stream = await streamWith(5);
    expect(numbers(await take(client.subscribeToStream(stream, { fromRevision: 2n }), 2))).toEqual([3, 4]);
  });

  it('gives only new events from the end, and says when it is confirmed', async () => {
    const stream = await streamWith(5);
    const subscription = client.subscribeToStream(stream, { fromRevision: END });
    const confirmed = new Promise<void>((resolve) => subscription.once('confirmation', resolve));
    const taken = take(subscription, 1);
    await confirmed;
    await client.appendToStream(stream, event(5));
    expect(numbers(await taken)).toEqual([5]);
    expect(subscription.id).toEqual(expect.any(String));
  });

  it('waits for a stream that is not there yet', async () => {
    const stream = newStream();
    const taken = take(client.subscribeToStream(stream), 2);
    await client.appendToStream(stream, events(2));
    expect(numbers(await taken)).toEqual([0, 1]);
  });

  it('says when it has caught up', async () => {
    const stream = await streamWith(3);
    const subscription = client.subscribeToStream(stream);
    const seen: unknown[] = [];
    subscription.on('data', ({ event }) => seen.push(event!.revision));
    await new Promise<void>((resolve) => subscription.once('caughtUp', resolve));
    expect(seen).toEqual([0n, 1n, 2n]);
    await subscription.unsubscribe();
  });
});

describe('subscribing to the whole log', () => {
  it('begins after a position, and goes on with what comes', async () => {
    const stream = await streamWith(3, `after${randomUUID().slice(0, 8)}`);
    const [first] = await collect(client.readStream(stream));
    const filter = streamNameFilter({ prefixes: [stream] });
    const taken = take(client.subscribeToAll({ fromPosition: first!.event!.position!, filter }), 4);
    await client.appendToStream(stream, events(2, 3));
    expect(numbers(await taken)).toEqual([1, 2, 3, 4]);
  });

  it('gives everything without a filter', async () => {
    const [before] = await collect(client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 1 }));
    const streams = [await streamWith(2), await streamWith(2)];
    const subscription = client.subscribeToAll({ fromPosition: before!.event!.position! });
    const found = [];
    for await (const one of subscription) {
      if (streams.includes(one.event!.streamId)) found.push(one);
      if (found.length === 4) break;
    }
    await subscription.unsubscribe();
    expect(found.map(({ event }) => event!.streamId)).toEqual([streams[0], streams[0], streams[1], streams[1]]);
  });

  describe('filtered', () => {
    const mark = randomUUID().slice(0, 8);
    let from: Position;
    beforeAll(async () => {
      const first = await client.appendToStream(newStream(), event(0));
      from = first.position!;
      for (let n = 0; n < 40; n++) {
        await client.appendToStream(
          `${['apples', 'pears', 'plums', 'nuts'][n % 4]}${mark}-1`,
          event(n, `Kind${n % 3}${mark}`),
        );
      }
    });

    it.each([
      [
        'the prefixes of streams',
        () => streamNameFilter({ prefixes: [`apples${mark}`, `plums${mark}-`] }),
        (n: number) => n % 2 === 0,
      ],
      ['the prefix of a type', () => eventTypeFilter({ prefixes: [`Kind1${mark}`] }), (n: number) => n % 3 === 1],
      [
        'an expression for streams',
        () => streamNameFilter({ regex: `^(apples|pears)${mark}-\\d+$` }),
        (n: number) => n % 4 < 2,
      ],
      ['an expression for types', () => eventTypeFilter({ regex: `^Kind[02]${mark}$` }), (n: number) => n % 3 !== 1],
      [
        'a small window',
        () => streamNameFilter({ prefixes: [`nuts${mark}`], maxSearchWindow: 1 }),
        (n: number) => n % 4 === 3,
      ],
    ])('by %s, stored and live', async (_, filter, matches) => {
      const expected = upTo(40).filter(matches);
      const live = take(client.subscribeToAll({ fromPosition: from, filter: filter() }), expected.length + 1);
      const n = expected[0]!;
      const name = ['apples', 'pears', 'plums', 'nuts'][n % 4]!;
      const added = event(n, `Kind${n % 3}${mark}`);
      await client.appendToStream(newStream(), event(0));
      await client.appendToStream(`${name}${mark}-1`, added);
      const found = await live;
      // What earlier rows of this table added comes, too; the forty come first.
      expect(numbers(found).slice(0, expected.length)).toEqual(expected);
      expect(found.every(({ event }) => matches((event!.data as { n: number }).n))).toBe(true);
    });

    it('can leave out what belongs to the system', async () => {
      const stream = newStream();
      await client.setStreamMetadata(stream, { owner: mark });
      const { position } = await client.appendToStream(stream, event(1));
      const subscription = client.subscribeToAll({ fromPosition: from, filter: excludeSystemEvents() });
      for await (const { event } of subscription) {
        expect(event!.type.startsWith('$')).toBe(false);
        if (event!.position!.commit === position!.commit) break;
      }
      await subscription.unsubscribe();
    });
  });

  describe('checkpoints', () => {
    const follow = (fromPosition: Position, filter: Parameters<typeof streamNameFilter>[0]) => {
      const checkpoints: bigint[] = [];
      const seen: bigint[] = [];
      const subscription = client.subscribeToAll({
        fromPosition,
        filter: streamNameFilter({ ...filter, checkpointReached: (_, { commit }) => void checkpoints.push(commit) }),
      });
      subscription.on('data', ({ event }) => seen.push(event!.position!.commit));
      return { checkpoints, seen, subscription };
    };

    it('move on over stored events of which none matches', async () => {
      const { position: from } = await client.appendToStream(newStream(), event(0));
      const other = newStream();
      await client.appendToStream(other, events(100));
      const last = (await client.appendToStream(other, event(100))).position!.commit;
      const { checkpoints, seen, subscription } = follow(from!, {
        prefixes: [newStream()],
        maxSearchWindow: 10,
        checkpointInterval: 2,
      });
      await eventually(() => checkpoints.length >= 5);
      await subscription.unsubscribe();
      expect(seen).toEqual([]);
      expect(checkpoints).toEqual([...checkpoints].sort((a, b) => (a < b ? -1 : 1)));
      expect(checkpoints[0]).toBeGreaterThan(from!.commit);
      expect(checkpoints[4]).toBeLessThanOrEqual(last);
    });

    it('move on while nothing that happens matches', async () => {
      const { position: from } = await client.appendToStream(newStream(), event(0));
      const { checkpoints, subscription } = follow(from!, {
        prefixes: [newStream()],
        maxSearchWindow: 5,
        checkpointInterval: 2,
      });
      await new Promise<void>((resolve) => subscription.once('caughtUp', resolve));
      const before = checkpoints.length;
      const other = newStream();
      for (let n = 0; n < 30; n++) await client.appendToStream(other, event(n));
      await eventually(() => checkpoints.length >= before + 3);
      await subscription.unsubscribe();
    });

    it('never pass an event that was not delivered', async () => {
      const { position: from } = await client.appendToStream(newStream(), event(0));
      const category = `sparse${randomUUID().slice(0, 8)}`;
      const wanted: bigint[] = [];
      for (let n = 0; n < 60; n++) {
        await client.appendToStream(newStream(), events(n % 7));
        wanted.push((await client.appendToStream(`${category}-1`, event(n))).position!.commit);
      }
      // A subscription that starts anew at each checkpoint loses nothing.
      const found: bigint[] = [];
      let position = from!;
      while (found.length < wanted.length) {
        const { seen, checkpoints, subscription } = follow(position, { prefixes: [category], maxSearchWindow: 3 });
        const target = wanted.find((commit) => commit > position.commit)!;
        await eventually(
          () => checkpoints.some((commit) => commit >= target) || seen.length >= wanted.length - found.length,
        );
        const reached = checkpoints.find((commit) => commit >= target) ?? wanted.at(-1)!;
        await eventually(() =>
          wanted
            .filter((commit) => commit > position.commit && commit <= reached)
            .every((commit) => seen.includes(commit)),
        );
        await subscription.unsubscribe();
        found.push(...seen.filter((commit) => commit <= reached));
        position = { commit: reached, prepare: reached };
      }
      expect(found).toEqual(wanted);
    });
  });
});

describe('metadata', () => {
  it('is kept as it was set', async () => {
    const stream = await streamWith(1);
    expect(await client.getStreamMetadata(stream)).toEqual({ streamName: stream });
    await client.setStreamMetadata(stream, { maxCount: 100, owner: 'me' }, { expectedRevision: NO_STREAM });
    expect(await client.getStreamMetadata(stream)).toMatchObject({ metadata: { maxCount: 100, owner: 'me' } });
    await client.setStreamMetadata(stream, { owner: 'you' }, { expectedRevision: 0n });
    expect((await client.getStreamMetadata(stream)).metadata).toEqual({ owner: 'you' });
    const conflict = await failure(client.setStreamMetadata(stream, {}, { expectedRevision: 0n }));
    expect(conflict).toMatchObject({ type: 'wrong-expected-version', actualVersion: 1n });
    // Of a metadata stream only the newest event is to be seen.
    const [only, ...others] = await collect(client.readStream(`$$${stream}`));
    expect(only!.event).toMatchObject({ revision: 1n, type: '$metadata', data: { owner: 'you' } });
    expect(others).toEqual([]);
  });

  it('may come before the stream', async () => {
    const stream = newStream();
    await client.setStreamMetadata(stream, { maxCount: 2 });
    expect(await failure(client.readStream(stream))).toBeInstanceOf(StreamNotFoundError);
    await client.appendToStream(stream, events(5), { expectedRevision: NO_STREAM });
    expect(await readNumbers(stream)).toEqual([3, 4]);
  });

  it('hides all but the newest events', async () => {
    const stream = await streamWith(5);
    await client.setStreamMetadata(stream, { maxCount: 2 });
    expect(await readNumbers(stream)).toEqual([3, 4]);
    await client.appendToStream(stream, event(5));
    expect(await readNumbers(stream)).toEqual([4, 5]);
    expect(numbers(await collect(client.readStream(stream, { direction: BACKWARDS, fromRevision: END })))).toEqual([
      5, 4,
    ]);
    expect(numbers(await take(client.subscribeToStream(stream), 2))).toEqual([4, 5]);
    await client.setStreamMetadata(stream, { maxCount: 1 });
    expect(await readNumbers(stream)).toEqual([5]);
  });

  it('hides what is older than a time', async () => {
    const stream = await streamWith(3);
    await client.setStreamMetadata(stream, { maxAge: 1000 });
    expect(await readNumbers(stream)).toEqual([0, 1, 2]);
    await client.setStreamMetadata(stream, { maxAge: 1 });
    await eventually(async () => (await collect(client.readStream(stream))).length === 0);
    await eventually(
      async () =>
        (await collect(client.readStream(stream, { direction: BACKWARDS, fromRevision: END, maxCount: 1 }))).length ===
        0,
    );
    expect((await client.appendToStream(stream, event(3), { expectedRevision: 2n })).nextExpectedRevision).toBe(3n);
  });

  it('hides what comes before a revision', async () => {
    const stream = await streamWith(6);
    await client.setStreamMetadata(stream, { truncateBefore: 4 });
    expect(await readNumbers(stream)).toEqual([4, 5]);
    expect(numbers(await collect(client.readStream(stream, { fromRevision: 1n, maxCount: 1 })))).toEqual([4]);
    expect(numbers(await collect(client.readStream(stream, { direction: BACKWARDS, fromRevision: END })))).toEqual([
      5, 4,
    ]);
    await client.setStreamMetadata(stream, { truncateBefore: 6 });
    expect(await readNumbers(stream)).toEqual([]);
    expect(await collect(client.readStream(stream, { direction: BACKWARDS, fromRevision: END, maxCount: 1 }))).toEqual(
      [],
    );
    await client.appendToStream(stream, event(6), { expectedRevision: 5n });
    expect(await readNumbers(stream)).toEqual([6]);
  });

  it('hides nothing from the whole log until a scavenge', async () => {
    const { position } = await client.appendToStream(newStream(), event(0));
    const stream = await streamWith(3);
    await client.setStreamMetadata(stream, { truncateBefore: 2, maxCount: 1 });
    const filter = streamNameFilter({ prefixes: [stream] });
    expect(numbers(await take(client.subscribeToAll({ fromPosition: position!, filter }), 3))).toEqual([0, 1, 2]);
  });
});

describe('deleting', () => {
  it('hides what was written; what is written later continues its revisions', async () => {
    const stream = await streamWith(3);
    const { position } = await client.deleteStream(stream, { expectedRevision: 2n });
    expect(position!.commit).toEqual(expect.any(BigInt));
    expect(await failure(client.readStream(stream))).toBeInstanceOf(StreamNotFoundError);
    expect(await failure(client.readStream(stream, { direction: BACKWARDS, fromRevision: END }))).toBeInstanceOf(
      StreamNotFoundError,
    );

    expect(await client.appendToStream(stream, events(2, 3))).toMatchObject({ nextExpectedRevision: 4n });
    const found = await collect(client.readStream(stream));
    expect(found.map(({ event }) => event!.revision)).toEqual([3n, 4n]);
    expect((await client.getStreamMetadata(stream)).metadata).toEqual({ truncateBefore: 3 });
  });

  it.each([
    ['no stream', NO_STREAM],
    ['the last revision', 2n],
  ] as const)('lets a deleted stream begin again at %s', async (_, expectedRevision) => {
    const stream = await streamWith(3);
    await client.deleteStream(stream);
    expect(await client.appendToStream(stream, event(3), { expectedRevision })).toMatchObject({
      nextExpectedRevision: 3n,
    });
    expect(await readNumbers(stream)).toEqual([3]);
  });

  it('does not take a deleted stream for one that exists', async () => {
    const stream = await streamWith(3);
    await client.deleteStream(stream);
    expect(await failure(client.appendToStream(stream, event(3), { expectedRevision: STREAM_EXISTS }))).toBeInstanceOf(
      StreamDeletedError,
    );
  });

  it('can be done again after new events', async () => {
    const stream = await streamWith(2);
    await client.deleteStream(stream);
    await client.appendToStream(stream, event(2));
    await client.deleteStream(stream, { expectedRevision: 2n });
    expect(await failure(client.readStream(stream))).toBeInstanceOf(StreamNotFoundError);
    await client.appendToStream(stream, event(3));
    expect(await readNumbers(stream)).toEqual([3]);
  });

  it('refuses a delete at another revision', async () => {
    const stream = await streamWith(3);
    const error = await failure(client.deleteStream(stream, { expectedRevision: 1n }));
    expect(error).toBeInstanceOf(WrongExpectedVersionError);
    expect(error).toMatchObject({ streamName: stream, expectedVersion: 1n, actualVersion: 2n });
    expect(await readNumbers(stream)).toEqual([0, 1, 2]);
  });

  it('brings a deleted stream back, empty, when its metadata is set', async () => {
    const stream = await streamWith(3);
    await client.deleteStream(stream);
    await client.setStreamMetadata(stream, { owner: 'me' });
    await client.appendToStream(stream, event(3));
    expect(await readNumbers(stream)).toEqual([3]);
    expect((await client.getStreamMetadata(stream)).metadata).toMatchObject({ owner: 'me' });
  });
});

describe('a tombstone', () => {
  it('is for ever', async () => {
    const { position: from } = await client.appendToStream(newStream(), event(0));
    const stream = await streamWith(3);
    const { position } = await client.tombstoneStream(stream, { expectedRevision: 2n });
    for (const attempt of [
      () => client.appendToStream(stream, event(3)),
      () => client.appendToStream(stream, event(3), { expectedRevision: NO_STREAM }),
      () => client.appendToStream(stream, event(3), { credentials: { username: 'admin', password: 'changeit' } }),
      () => client.setStreamMetadata(stream, { maxCount: 1 }),
      () => client.readStream(stream),
      () => client.readStream(stream, { direction: BACKWARDS, fromRevision: END }),
      () => client.tombstoneStream(stream),
      () => client.deleteStream(stream),
    ]) {
      const error = await failure(attempt());
      expect(error).toBeInstanceOf(StreamDeletedError);
    }
    // The log tells of it, after what it ended.
    const filter = streamNameFilter({ prefixes: [stream] });
    const found = await take(client.subscribeToAll({ fromPosition: from!, filter }), 4);
    expect(found.at(-1)!.event).toMatchObject({ type: '$streamDeleted', streamId: stream });
    expect(found.at(-1)!.event!.position).toEqual(position);
  });

  it('can be put on a stream that is not there', async () => {
    const stream = newStream();
    await client.tombstoneStream(stream, { expectedRevision: NO_STREAM });
    expect(await failure(client.readStream(stream))).toBeInstanceOf(StreamDeletedError);
  });

  it('is refused at another revision', async () => {
    const stream = await streamWith(3);
    expect(await failure(client.tombstoneStream(stream, { expectedRevision: 0n }))).toMatchObject({
      actualVersion: 2n,
    });
    expect(await readNumbers(stream)).toEqual([0, 1, 2]);
  });
});

describe('connecting', () => {
  it('finds the node by asking for the cluster', async () => {
    const discovering = EventStoreDBClient.connectionString(
      url.replace(/^(esdb|kurrentdb)(\+discover)?:/, 'esdb+discover:'),
    );
    const stream = newStream();
    await discovering.appendToStream(stream, event(0));
    expect(numbers(await collect(discovering.readStream(stream)))).toEqual([0]);
    await discovering.dispose();
  });

  it('knows which methods there are', async () => {
    const capabilities = client as unknown as { supports(method: { path: string }): Promise<boolean> };
    expect(await capabilities.supports(StreamsService.batchAppend)).toBe(true);
  });
});
