import { randomUUID } from 'node:crypto';
import { Codec } from './catalogue';
import { CHECKPOINT, CHECKPOINT_VERSION, CheckpointTaken, held, HeldEvent, readPart } from './checkpoint-event';
import { Compaction } from './compaction';
import { DomainEvent, EventMetadata, Recorded } from './decider';
import { EventStore, NewEvent, NO_EVENTS, RevisionConflict, StoredEvent } from './event-store';
import { MAX_CONFLICTS, TooContended } from './handle';

/** A part of a checkpoint repeats events of at most this many bytes, or a single one. */
export const CHECKPOINT_PART_MAX_BYTES = 384 * 1024;

/** Where a whole checkpoint stands in its stream: what comes before `first` can be cut away. */
export interface StandingCheckpoint {
  first: number;
  last: number;
  /** Of the last part, in the log. */
  position: bigint;
}

/**
 * Appends a checkpoint of all that a stream says by now, in as many parts as it needs. Parts that follow each other were appended at the
 * revisions that were read, so nothing was said between them; when somebody else comes between, it begins anew, and what was begun is
 * harmless: it repeats what whoever reads it knows already.
 * @returns whether the stream had anything to say
 * @throws TooContended | StreamGone | StoreUnavailable
 */
export async function takeCheckpoint<Event extends DomainEvent>(
  store: EventStore,
  stream: string,
  { codec, compaction, metadata }: { codec: Codec<Event>; compaction: Compaction<Event>; metadata: EventMetadata },
): Promise<boolean> {
  let revision = NO_EVENTS;
  let known = NO_EVENTS;
  for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts += 1) {
    for await (const stored of store.read(stream, revision + 1)) {
      for (const event of codec.decode(stored)) {
        if (event.revision <= known) continue;
        compaction.add(event);
        known = event.revision;
      }
      revision = stored.revision;
    }
    known = revision;
    const kept = compaction.events();
    if (kept.length === 0) return false;
    try {
      let appended = revision;
      for (const part of checkpointOf(kept, codec, metadata)) appended = await store.append(stream, appended, [part]);
      return true;
    } catch (error) {
      if (!(error instanceof RevisionConflict)) throw error;
    }
  }
  throw new TooContended(stream);
}

/** The newest whole checkpoint of a stream at or after `fromRevision`, if there is one: it is seen in the stream itself. */
export async function findCheckpoint(
  store: EventStore,
  stream: string,
  fromRevision = 0,
): Promise<StandingCheckpoint | undefined> {
  let newest: StandingCheckpoint | undefined;
  let begun: { first: number; next: number } | undefined;
  for await (const stored of store.read(stream, fromRevision)) {
    const of = partOf(stored);
    if (of?.nth === 0) begun = { first: stored.revision, next: 0 };
    if (!of || of.nth !== begun?.next) {
      begun = undefined;
      continue;
    }
    begun.next += 1;
    if (begun.next === of.of) newest = { first: begun.first, last: stored.revision, position: stored.position };
  }
  return newest;
}

const partOf = (stored: StoredEvent): CheckpointTaken | undefined =>
  stored.type === CHECKPOINT ? readPart(stored) : undefined;

/** The parts of a checkpoint that repeats these events, each of at most `maxBytes` or with a single one. */
export function checkpointOf<Event extends DomainEvent>(
  kept: readonly Recorded<Event>[],
  codec: Codec<Event>,
  metadata: EventMetadata,
  maxBytes = CHECKPOINT_PART_MAX_BYTES,
): NewEvent[] {
  const parts: HeldEvent[][] = [];
  let bytes = Infinity;
  for (const event of kept) {
    const repeated = held(codec.encode(event, event.metadata, ''), event.revision);
    const size = Buffer.byteLength(JSON.stringify(repeated)) + 1;
    bytes += size;
    if (bytes <= maxBytes) parts.at(-1)!.push(repeated);
    else {
      parts.push([repeated]);
      bytes = size;
    }
  }
  return parts.map((events, nth) => ({
    id: randomUUID(),
    type: CHECKPOINT,
    data: { nth, of: parts.length, events },
    metadata: { version: CHECKPOINT_VERSION, ...metadata },
  }));
}
