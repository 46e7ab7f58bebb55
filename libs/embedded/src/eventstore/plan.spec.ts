import * as fc from 'fast-check';
import { NO_EVENTS, type ExpectedRevision, type Operation, type Outcome } from './model';
import { plan, type Plan } from './plan';
import { key, type Place } from './repeats';
import type { Head } from './streams';

const STREAMS = ['one', 'two', '$$one'];
const IDS = Array.from({ length: 8 }, (_, n) => `00000000-0000-4000-8000-00000000000${n}`);

interface Asked {
  kind: Operation['kind'];
  stream: string;
  expected: ExpectedRevision;
  ids: string[];
  metadata: string;
}

const asked: fc.Arbitrary<Asked> = fc.record({
  kind: fc.constantFrom('append', 'append', 'append', 'append', 'delete', 'tombstone'),
  stream: fc.constantFrom(...STREAMS),
  expected: fc.oneof(fc.constantFrom('any', 'any', 'stream_exists'), fc.bigInt(-1n, 4n)),
  ids: fc.uniqueArray(fc.constantFrom(...IDS), { maxLength: 3 }),
  metadata: fc.constantFrom(
    '{"$maxCount":2}',
    '{"$tb":1}',
    '{"owner":"me"}',
    'not JSON',
    '{"$tb":9223372036854775807}',
  ),
});

const operation = ({ kind, stream, expected, ids, metadata }: Asked): Operation => ({
  kind,
  stream,
  expected,
  events: (kind === 'append' ? ids : []).map((id) => ({
    id,
    type: 'Happened',
    isJson: true,
    data: Buffer.from(metadata),
    metadata: new Uint8Array(),
  })),
  bytes: 0,
  deadline: Infinity,
  settle: () => undefined,
});

/** A log in memory that commits what is planned. */
function memory() {
  const heads = new Map<string, Head>();
  const recent = new Map<string, Place>();
  const events: Plan['events'] = [];
  let lastPosition = 0n;
  return {
    events,
    commit(group: Asked[]): Outcome[] {
      const planned = plan(group.map(operation), {
        heads,
        lastPosition,
        now: 0,
        recent: (stream, id) => recent.get(key(stream, id)),
        stored: new Map(),
      });
      lastPosition = planned.lastPosition;
      for (const [stream, head] of planned.heads) heads.set(stream, head);
      for (const event of planned.events) recent.set(key(event.stream, event.id), event);
      events.push(...planned.events);
      return planned.outcomes;
    },
  };
}

it('decides alike, however the operations are grouped into commits', () => {
  fc.assert(
    fc.property(fc.array(fc.array(asked, { maxLength: 6 }), { maxLength: 6 }), (groups) => {
      const [grouped, single] = [memory(), memory()];
      const outcomes = groups.flatMap((group) => grouped.commit(group));
      expect(groups.flat().flatMap((one) => single.commit([one]))).toEqual(outcomes);
      const seen = ({ stream, revision, type, position, data }: Plan['events'][number]) => [
        stream,
        revision,
        type,
        position,
        String(data),
      ];
      expect(single.events.map(seen)).toEqual(grouped.events.map(seen));
    }),
    { numRuns: 2_000 },
  );
});

it('numbers the events of each stream without a gap, in growing positions', () => {
  fc.assert(
    fc.property(fc.array(asked, { maxLength: 40 }), (operations) => {
      const log = memory();
      log.commit(operations);
      let position = 0n;
      const revisions = new Map<string, bigint>();
      for (const event of log.events) {
        expect(event.position).toBeGreaterThan(position);
        ({ position } = event);
        if (event.type !== '$streamDeleted')
          expect(event.revision).toBe((revisions.get(event.stream) ?? NO_EVENTS) + 1n);
        revisions.set(event.stream, event.revision);
      }
    }),
    { numRuns: 500 },
  );
});

it('answers an append that comes again as the first time', () => {
  fc.assert(
    fc.property(fc.array(asked, { maxLength: 20 }), (operations) => {
      const log = memory();
      for (const one of operations.filter(({ kind }) => kind === 'append')) {
        const [first] = log.commit([one]);
        if (first!.kind !== 'written' || one.ids.length === 0) continue;
        // "No stream" on a deleted one continues its revisions: like the server, a repeat is looked for at the first ones.
        if (typeof one.expected === 'bigint' && first!.revision !== one.expected + BigInt(one.ids.length)) continue;
        const count = log.events.length;
        expect(log.commit([one])).toEqual([first]);
        expect(log.events).toHaveLength(count);
      }
    }),
    { numRuns: 1_000 },
  );
});
