import { z } from 'zod';
import fc from 'fast-check';
import { BUNDLE, BUNDLE_MAX_BYTES, bundled, toldBy, typesOf } from './bundle-event';
import { catalogue, UnreadableEvent } from './catalogue';
import { parseStream, streamOf } from './decider';
import { StoredEvent } from './event-store';

const episodes = catalogue({
  /** 1: seconds as text. 2: seconds as a number. 3: `seconds` became `position`. */
  Moved: {
    version: 3,
    data: z.object({ position: z.number(), note: z.string().nullable() }),
    upcasts: {
      1: ({ seconds }: { seconds: string }) => ({ seconds: Number(seconds) }),
      2: ({ seconds }: { seconds: number }) => ({ position: seconds, note: null }),
    },
  },
  Ended: { version: 1, data: z.object({}) },
});

const metadata = { recordedAt: '2026-01-01T00:00:00.000Z', correlationId: 'c', deviceId: 'd', deviceName: 'Phöne' };

const ended = { type: 'Ended', version: 1, data: {} };

const stored = (type: string, data: unknown, meta: unknown = { version: 1, ...metadata }): StoredEvent => ({
  id: 'e',
  stream: 'moves-1',
  revision: 4,
  position: 9n,
  type,
  data,
  metadata: meta,
});

describe('a catalogue of events', () => {
  it('reads what it wrote, with its place in the stream', () => {
    const moved = { type: 'Moved', data: { position: 1.25, note: 'ü' } } as const;
    const { type, data, metadata: meta } = episodes.encode(moved, metadata, 'e');
    expect(episodes.decode(stored(type, data, meta))).toEqual([{ ...moved, metadata, revision: 4 }]);
  });

  it('writes the version into the metadata, as JSON', () => {
    expect(episodes.encode({ type: 'Ended', data: {} }, metadata, 'e')).toEqual({
      id: 'e',
      type: 'Ended',
      data: {},
      metadata: { version: 1, ...metadata },
    });
  });

  it('refuses to write data that is not of the declared shape', () => {
    const nan = { type: 'Moved', data: { position: NaN, note: null } } as const;
    expect(() => episodes.encode(nan, metadata, 'e')).toThrow(z.ZodError);
  });

  it.each([
    [1, { seconds: '12.5' }],
    [2, { seconds: 12.5 }],
    [3, { position: 12.5, note: null }],
  ])('reads version %d, upcast step by step', (version, data) => {
    expect(episodes.decode(stored('Moved', data, { ...metadata, version }))).toMatchObject([
      { data: { position: 12.5, note: null } },
    ]);
  });

  it.each([
    ['a type that nobody declared', stored('Vanished', {}), 'not declared'],
    ['a type that every object inherits', stored('constructor', {}), 'not declared'],
    ['a type that is no property', stored('__proto__', {}), 'not declared'],
    ['a later version', stored('Ended', {}, { ...metadata, version: 2 }), 'version 2 is later than 1'],
    ['version 0', stored('Ended', {}, { ...metadata, version: 0 }), 'version'],
    ['no version', stored('Ended', {}, metadata), 'version'],
    ['no metadata', stored('Ended', {}, ''), 'object'],
    ['metadata without a time', stored('Ended', {}, { version: 1, correlationId: 'c' }), 'recordedAt'],
    ['data of another shape', stored('Moved', { position: '1' }, { ...metadata, version: 3 }), 'position'],
    ['data that the upcast does not understand', stored('Moved', null, { ...metadata, version: 1 }), 'null'],
    ['data that is no object', stored('Ended', 7), 'object'],
    ['data that is no JSON', stored('Ended', '{'), 'object'],
    ['a bundle of nothing', stored(BUNDLE, { events: [] }), 'events'],
    ['a bundle that is none', stored(BUNDLE, null), 'object'],
    ['a later bundle', stored(BUNDLE, { events: [ended] }, { ...metadata, version: 2 }), 'version 2 is later than 1'],
    ['a bundle without a time', stored(BUNDLE, { events: [ended] }, { version: 1, correlationId: 'c' }), 'recordedAt'],
    ['a bundle with what nobody declared', stored(BUNDLE, { events: [{ ...ended, type: 'Gone' }] }), 'not declared'],
    ['a bundle within a bundle', stored(BUNDLE, { events: [{ ...ended, type: BUNDLE }] }), 'not declared'],
    ['a bundle with a later version', stored(BUNDLE, { events: [ended, { ...ended, version: 2 }] }), 'version 2 is'],
    ['a bundle with data of another shape', stored(BUNDLE, { events: [{ ...ended, data: 7 }] }), 'object'],
  ])('cannot read %s, and says which event and why', (_, event, reason) => {
    let thrown: unknown;
    try {
      episodes.decode(event);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(UnreadableEvent);
    expect((thrown as UnreadableEvent).message).toContain(`event e (${event.type}, moves-1 at 4)`);
    expect((thrown as UnreadableEvent).message).toContain(reason);
    expect((thrown as UnreadableEvent).event).toBe(event);
  });

  it('takes no prototype from what is stored', () => {
    const [read] = episodes.decode(
      stored('Moved', JSON.parse('{"__proto__":{"position":1,"note":null}, "position":2,"note":"n"}'), {
        ...metadata,
        version: 3,
      }),
    );
    const { data } = read!;
    expect(data).toEqual({ position: 2, note: 'n' });
    expect(Object.getPrototypeOf(data)).toBe(Object.prototype);
  });
});

describe('what is decided at once', () => {
  const moved = fc
    .nat(BUNDLE_MAX_BYTES / 2)
    .map((length) => ({ type: 'Moved', data: { position: length, note: 'ü'.repeat(length / 2) } }) as const);
  const event = fc.oneof(moved, fc.constant({ type: 'Ended', data: {} } as const));

  it('is stored as few events, none of them large, and read as it was said', () => {
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 9 }), (events) => {
        const together = bundled(events.map((each, index) => episodes.encode(each, metadata, `e${index}`)));
        expect(together.flatMap(typesOf)).toEqual(events.map(({ type }) => type));
        expect(new Set(together.map(({ id }) => id)).size).toBe(together.length);
        const read = together.flatMap(({ type, data, metadata }) => episodes.decode(stored(type, data, metadata)));
        expect(read).toEqual(events.map((each) => ({ ...each, metadata, revision: 4 })));
        const sizes = together.map(({ data }) => Buffer.byteLength(JSON.stringify(data)));
        for (const size of sizes) expect(size).toBeLessThan(BUNDLE_MAX_BYTES + 1_024);
        // Two that stand beside each other would not have fitted into one.
        for (const [index, size] of sizes.slice(1).entries())
          expect(size + sizes[index]!).toBeGreaterThan(BUNDLE_MAX_BYTES - 2_048);
      }),
    );
  });

  it('is one event as ever where it is one', () => {
    const one = episodes.encode({ type: 'Ended', data: {} }, metadata, 'e');
    expect(bundled([one])).toEqual([one]);
    expect(bundled([])).toEqual([]);
  });

  it('is told to people in few words', () => {
    const moved = { type: 'Moved', version: 3, data: {} };
    expect(toldBy(stored(BUNDLE, { events: [moved, ended, moved] }))).toBe('2 × Moved, Ended');
    expect(toldBy(stored('Ended', {}))).toBe('Ended');
  });

  it('has its own type where it cannot be read', () => {
    const hostile = { type: { toString: 1, valueOf: 1 } };
    for (const data of [null, 7, {}, ...[7, [], [null], [{}], [ended, {}], [hostile]].map((events) => ({ events }))])
      expect(typesOf(stored(BUNDLE, data))).toEqual([BUNDLE]);
  });
});

describe('the name of a stream', () => {
  it('is the category and the listener', () => {
    expect(streamOf('moves', 'a-b-c')).toBe('moves-a-b-c');
    expect(parseStream('moves-a-b-c')).toEqual({ category: 'moves', userId: 'a-b-c' });
  });

  it.each(['', 'moves', 'moves-', '-a'])('is not %j', (name) => expect(parseStream(name)).toBeUndefined());
});
