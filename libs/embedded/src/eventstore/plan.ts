import { randomUUID } from 'node:crypto';
import { NO_EVENTS, TOMBSTONE, type Operation, type Outcome, type ProposedEvent, type RecordedEvent } from './model';
import { key, type Place } from './repeats';
import { isMetastream, isSoftDeleted, metastreamOf, originalOf, parseMetadata, type Head } from './streams';

/** What the log knows before a commit. `heads` holds every stream that `streamsTouchedBy` names. */
export interface Known {
  heads: Map<string, Head>;
  lastPosition: bigint;
  /** Milliseconds since 1970, the `created` of all events of this commit. */
  now: number;
  recent(stream: string, id: string): Place | undefined;
  stored: Map<string, { id: string; position: bigint }>;
}

/** A commit: what to store, the heads that it makes, and the answer to each operation, in their order. */
export interface Plan {
  events: RecordedEvent[];
  heads: Map<string, Head>;
  outcomes: Outcome[];
  lastPosition: bigint;
}

/** The streams whose heads decide over an operation. */
export function streamsTouchedBy({ kind, stream }: Operation): string[] {
  if (isMetastream(stream)) return [stream, originalOf(stream)];
  return kind === 'delete' ? [stream, metastreamOf(stream)] : [stream];
}

/** The places to look up for an operation that may repeat one older than the look-back. */
export function repeatedPlaces(
  { stream, expected, events }: Operation,
  head: Head,
): { stream: string; revision: bigint }[] {
  if (typeof expected !== 'bigint' || expected >= head.revision || head.revision === TOMBSTONE) return [];
  return events.map((_, index) => ({ stream, revision: expected + 1n + BigInt(index) }));
}

/** Decides over waiting operations one after the other, each seeing what those before it do. Pure but for random ids. */
export function plan(operations: Operation[], known: Known): Plan {
  const events: RecordedEvent[] = [];
  const changed = new Map<string, Head>();
  const added = new Map<string, Place>();
  let lastPosition = known.lastPosition;

  const headOf = (stream: string): Head =>
    changed.get(stream) ?? known.heads.get(stream) ?? { revision: NO_EVENTS, metadata: undefined };

  const record = (stream: string, proposed: ProposedEvent, revision: bigint): RecordedEvent => {
    // Like an offset in a file: growing by what the event weighs.
    lastPosition += BigInt(64 + proposed.data.length + proposed.metadata.length);
    const event: RecordedEvent = { ...proposed, stream, revision, position: lastPosition, created: known.now };
    events.push(event);
    added.set(key(stream, event.id), event);
    changed.set(stream, { ...headOf(stream), revision, last: event });
    if (isMetastream(stream)) {
      const original = originalOf(stream);
      changed.set(original, { ...headOf(original), metadata: parseMetadata(event.data) });
    }
    return event;
  };

  const recordMetadata = (stream: string, json: string): RecordedEvent => {
    const metastream = metastreamOf(stream);
    return record(metastream, metadataEvent(json), headOf(metastream).revision + 1n);
  };

  /** A stream that is written to again after a soft delete shows what comes from here on. */
  const undelete = (stream: string, metadata: Head['metadata']): void => {
    const from = headOf(stream).revision + 1n;
    recordMetadata(stream, JSON.stringify({ ...metadata, $tb: Number(from) }));
  };

  const find = (stream: string, id: string): Place | undefined =>
    added.get(key(stream, id)) ?? known.recent(stream, id);

  const findAt = (stream: string, id: string, revision: bigint): Place | undefined => {
    const place = find(stream, id);
    if (place?.revision === revision) return place;
    const stored = known.stored.get(key(stream, revision));
    return stored?.id === id ? { revision, position: stored.position } : undefined;
  };

  const decide = (operation: Operation): Outcome => {
    const { kind, stream, expected, events: proposed } = operation;
    const head = headOf(stream);
    const conflict: Outcome = { kind: 'conflict', current: head.revision };
    const softDeleted = isSoftDeleted(head);
    if (head.revision === TOMBSTONE || (isMetastream(stream) && headOf(originalOf(stream)).revision === TOMBSTONE))
      return { kind: 'deleted' };

    if (typeof expected !== 'bigint') {
      if (expected === 'stream_exists') {
        if (softDeleted) return { kind: 'deleted' };
        if (head.revision === NO_EVENTS && head.metadata === undefined) return conflict;
      }
      const places = proposed.map(({ id }) => find(stream, id));
      if (places[0]) return places.includes(undefined) ? conflict : written(places.at(-1)!);
    } else if (expected > head.revision) {
      return conflict;
    } else if (expected < head.revision) {
      const places = proposed.map(({ id }, index) => findAt(stream, id, expected + 1n + BigInt(index)));
      if (places.length > 0 && !places.includes(undefined)) return written(places.at(-1)!);
      // To "no stream", a soft deleted one is none.
      if (places[0] || !(expected === NO_EVENTS && softDeleted)) return conflict;
    }

    if (kind === 'delete') {
      const { position } = recordMetadata(stream, `{"$tb":${TOMBSTONE}}`);
      return { kind: 'written', revision: head.revision, position };
    }
    if (kind === 'tombstone') return written(record(stream, tombstoneEvent(), TOMBSTONE));
    if (proposed.length === 0) return { kind: 'written', revision: head.revision, position: undefined };

    if (softDeleted) undelete(stream, head.metadata);
    const original = isMetastream(stream) ? headOf(originalOf(stream)) : undefined;
    let revision = head.revision;
    for (const event of proposed) record(stream, event, ++revision);
    const { position } = events.at(-1)!;
    // Metadata for a soft deleted stream brings it back, empty, unless it says "deleted" again.
    if (original && isSoftDeleted(original) && !isSoftDeleted(headOf(originalOf(stream))))
      undelete(originalOf(stream), headOf(originalOf(stream)).metadata);
    return { kind: 'written', revision, position };
  };

  const outcomes = operations.map(decide);
  return { events, heads: changed, outcomes, lastPosition };
}

const written = ({ revision, position }: Place): Outcome => ({ kind: 'written', revision, position });

const nothing = new Uint8Array();

const metadataEvent = (json: string): ProposedEvent => ({
  id: randomUUID(),
  type: '$metadata',
  isJson: true,
  data: Buffer.from(json),
  metadata: nothing,
});

const tombstoneEvent = (): ProposedEvent => ({
  id: randomUUID(),
  type: '$streamDeleted',
  isJson: false,
  data: nothing,
  metadata: nothing,
});
