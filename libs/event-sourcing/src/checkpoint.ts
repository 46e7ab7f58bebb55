import { randomUUID } from 'node:crypto';
import { setImmediate as othersTurn } from 'node:timers/promises';
import { Codec } from './catalogue';
import {
  CHECKPOINT,
  CHECKPOINT_VERSION,
  CheckpointTaken,
  endsCheckpoint,
  held,
  HeldEvent,
  readPart,
} from './checkpoint-event';
import { Compaction } from './compaction';
import { DomainEvent, EventMetadata, Recorded } from './decider';
import { EventStore, NewEvent, NO_EVENTS, RevisionConflict, StoredEvent } from './event-store';
import { TooContended } from './too-contended';

/** A part of a checkpoint repeats events of at most this many bytes, and the rest of a bundle that begins in it. */
export const CHECKPOINT_PART_MAX_BYTES = 384 * 1024;

/** Writes of others that come between, after which a checkpoint is given up for now. */
export const CHECKPOINT_CONFLICTS_MAX = 10;
/** So many events are encoded until somebody else of this process has a turn. */
const ENCODED_AT_A_TIME = 500;

/** An event as it is repeated, with the bytes that it takes. */
interface Measured {
  event: HeldEvent;
  bytes: number;
}

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
 * harmless: it repeats what whoever reads it knows already. Where a checkpoint is the last that was said, there is none to take.
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
  // Each is encoded once: a large library takes long, and who writes meanwhile must not make it take as long again.
  const encoded = new Map<Recorded<Event>, Measured>();
  let isTaken = false;
  for (let conflicts = 0; conflicts < CHECKPOINT_CONFLICTS_MAX; conflicts += 1) {
    for await (const stored of store.read(stream, revision + 1)) {
      const before = known;
      for (const event of codec.decode(stored)) {
        if (event.revision <= before) continue;
        compaction.add(event);
        known = event.revision;
      }
      revision = stored.revision;
      isTaken = endsCheckpoint(stored) !== undefined;
    }
    if (isTaken) return true;
    known = revision;
    const kept = compaction.events();
    if (kept.length === 0) return false;
    for (const event of kept) {
      if (encoded.has(event)) continue;
      encoded.set(event, measured(event, codec));
      if (encoded.size % ENCODED_AT_A_TIME === 0) await othersTurn();
    }
    const repeated = kept.map((event) => encoded.get(event)!);
    try {
      let appended = revision;
      for (const part of partsOf(repeated, metadata, compaction.endedAt()))
        appended = await store.append(stream, appended, [part]);
      return true;
    } catch (error) {
      if (!(error instanceof RevisionConflict)) throw error;
    }
  }
  throw new TooContended(stream, CHECKPOINT_CONFLICTS_MAX);
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

/** The parts of a checkpoint that repeats these events, each of at most `maxBytes` and the rest of a bundle that begins in it. */
export const checkpointOf = <Event extends DomainEvent>(
  kept: readonly Recorded<Event>[],
  codec: Codec<Event>,
  metadata: EventMetadata,
  maxBytes = CHECKPOINT_PART_MAX_BYTES,
): NewEvent[] =>
  partsOf(
    kept.map((event) => measured(event, codec)),
    metadata,
    undefined,
    maxBytes,
  );

function measured<Event extends DomainEvent>(kept: Recorded<Event>, codec: Codec<Event>): Measured {
  const event = held(codec.encode(kept, kept.metadata, ''), kept.revision);
  return { event, bytes: Buffer.byteLength(JSON.stringify(event)) + 1 };
}

function partsOf(
  repeated: readonly Measured[],
  metadata: EventMetadata,
  endedAt: string | undefined,
  maxBytes = CHECKPOINT_PART_MAX_BYTES,
): NewEvent[] {
  const parts: HeldEvent[][] = [];
  let size = Infinity;
  for (const { event, bytes } of repeated) {
    const last = parts.at(-1);
    size += bytes;
    // Who has read a part knows the stream up to a revision: what was bundled stays together.
    if (last && (size <= maxBytes || event.revision === last.at(-1)!.revision)) last.push(event);
    else {
      parts.push([event]);
      size = bytes;
    }
  }
  return parts.map((events, nth) => ({
    id: randomUUID(),
    type: CHECKPOINT,
    data: { nth, of: parts.length, total: repeated.length, ...(endedAt !== undefined && { endedAt }), events },
    metadata: { version: CHECKPOINT_VERSION, ...metadata },
  }));
}
