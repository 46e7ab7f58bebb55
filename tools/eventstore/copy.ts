import { createHash } from 'node:crypto';
import {
  APPEND_MAX_BYTES,
  CHECKPOINT,
  EventStore,
  findCheckpoint,
  NewEvent,
  NO_EVENTS,
  parseStream,
  StoredEvent,
  StreamGone,
  typesOf,
} from '@balados/event-sourcing';
import { EventStoreDBClient } from '@eventstore/db-client';
import { readLog } from './log';
import { Extent, translation } from './translation';

/** Events of the source that are read before they are appended. */
const EVENTS_AT_ONCE = 2_000;
/** Listeners whose events are appended side by side; those of one stay in their order. */
const LISTENERS_AT_ONCE = 64;
const EVENTS_PER_APPEND = 250;

/** A log, by the port and by the official client beneath it. */
export interface Log {
  store: EventStore;
  client: EventStoreDBClient;
}

export interface Copied {
  streams: number;
  /** In the target now. */
  events: number;
  /** Of them, in this run. */
  appended: number;
  deletedStreams: number;
}

export interface Steps {
  reading(): void;
  /** There are `events` of the source to go through, twice: for copying and for comparing. */
  copying(events: number): void;
  comparing(): void;
  done(events: number): void;
}

/** The two logs are not equal after all, or the target held something else before. */
export class CopyDiffers extends Error {
  override name = 'CopyDiffers';
}

/**
 * Copies the streams of all listeners into another store, event by event and each listener's in their order, and compares the two in
 * the end. Begun again, after whatever end, it goes on where it was: what the target holds is seen there. Nobody may write to either
 * meanwhile, nor jobs trim the source.
 * @throws CopyDiffers
 */
export async function copy(source: Log, target: Log, steps: Steps): Promise<Copied> {
  steps.reading();
  const { total, deleted, extents, known } = await survey(source);
  await assertNothingElse(target, known);
  steps.copying(total);
  const streams = new Streams(target.store);
  const appended = await copyEvents(source, translation(extents), streams, steps);
  for (const stream of deleted) await deleteForGood(target.store, stream);

  steps.comparing();
  const expected = await digestOf(source, translation(extents), (events) => steps.done(events));
  const found = await digestOf(target, (event) => [event]);
  const differing = [...new Set([...expected.keys(), ...found.keys()])].filter(
    (stream) => expected.get(stream)?.digest !== found.get(stream)?.digest,
  );
  if (differing.length > 0)
    throw new CopyDiffers(
      `${differing.length} streams differ, ${differing[0]} among them (${expected.get(differing[0]!)?.events ?? 0} events there, ` +
        `${found.get(differing[0]!)?.events ?? 0} here). Was anything written meanwhile? Copy into an empty store.`,
    );
  const events = [...found.values()].reduce((sum, each) => sum + each.events, 0);
  return { streams: found.size, events, appended, deletedStreams: deleted.size };
}

/** How much there is, and what of each stream still counts. */
async function survey({ store, client }: Log) {
  const deleted = new Set<string>();
  const cut = new Map<string, number>();
  const checkpointed = new Set<string>();
  const known = new Set<string>();
  let total = 0;
  for await (const event of readLog(client)) {
    if ('deleted' in event) deleted.add(event.deleted);
    else if ('cut' in event) cut.set(event.cut, event.before);
    else {
      total += 1;
      known.add(event.stream);
      if (event.type === CHECKPOINT) checkpointed.add(event.stream);
    }
  }
  const extents = new Map<string, Extent | null>([...deleted].map((stream) => [stream, null]));
  for (const stream of new Set([...checkpointed, ...cut.keys()])) {
    if (deleted.has(stream)) continue;
    const checkpoint = await findCheckpoint(store, stream);
    extents.set(stream, { first: checkpoint?.first ?? cut.get(stream) ?? 0, checkpointed: checkpoint?.last });
  }
  return { total, deleted, extents, known };
}

/** Whoever names the wrong store as the target learns it before anything is written there. @throws CopyDiffers */
async function assertNothingElse({ client }: Log, known: ReadonlySet<string>): Promise<void> {
  for await (const event of readLog(client))
    if ('id' in event && !known.has(event.stream))
      throw new CopyDiffers(`the target holds ${event.stream}, and the source does not: copy into an empty store`);
}

async function copyEvents(
  { client }: Log,
  translate: ReturnType<typeof translation>,
  streams: Streams,
  steps: Steps,
): Promise<number> {
  let appended = 0;
  let waiting = new Map<string, { stream: string; events: NewEvent[] }[]>();
  let [count, said] = [0, 0];
  const flush = async (): Promise<void> => {
    const listeners = [...waiting.values()].values();
    const lane = async (): Promise<void> => {
      for (const runs of listeners)
        for (const { stream, events } of runs) {
          const count = await streams.append(stream, events);
          appended += count;
        }
    };
    await Promise.all(Array.from({ length: LISTENERS_AT_ONCE }, lane));
    steps.done(count);
    waiting = new Map();
    [count, said] = [0, 0];
  };
  for await (const event of readLog(client)) {
    if (!('id' in event)) continue;
    count += 1;
    said += typesOf(event).length;
    const events = translate(event);
    const listener = parseStream(event.stream)?.userId ?? event.stream;
    const runs = waiting.get(listener) ?? [];
    waiting.set(listener, runs);
    // What follows in the same stream goes with it.
    if (runs.at(-1)?.stream === event.stream) runs.at(-1)!.events.push(...events);
    else runs.push({ stream: event.stream, events });
    if (said >= EVENTS_AT_ONCE) await flush();
  }
  await flush();
  return appended;
}

/** The target's streams, and how far each has come in this run. */
class Streams {
  private readonly known = new Map<string, { passed: number; held: number }>();

  constructor(private readonly store: EventStore) {}

  /** Appends of a stream's next events those that it does not hold. @returns how many; @throws CopyDiffers when it holds others */
  async append(stream: string, events: readonly NewEvent[]): Promise<number> {
    if (events.length === 0) return 0;
    const at = this.known.get(stream) ?? { passed: 0, held: (await this.store.head(stream)) + 1 };
    this.known.set(stream, at);
    const skipped = Math.min(events.length, at.held - at.passed);
    if (skipped > 0) await this.assertHeld(stream, at.passed + skipped - 1, events[skipped - 1]!);
    at.passed += skipped;
    for (const piece of piecesOf(events.slice(skipped))) {
      await this.store.append(stream, at.passed === 0 ? NO_EVENTS : at.passed - 1, piece);
      at.passed += piece.length;
      at.held = at.passed;
    }
    return events.length - skipped;
  }

  private async assertHeld(stream: string, revision: number, { id }: NewEvent): Promise<void> {
    for await (const held of this.store.read(stream, revision)) {
      if (held.revision === revision && held.id === id) return;
      break;
    }
    throw new CopyDiffers(`${stream} holds other events at revision ${revision}: copy into an empty store`);
  }
}

function piecesOf(events: readonly NewEvent[]): NewEvent[][] {
  const pieces: NewEvent[][] = [];
  let bytes = 0;
  for (const event of events) {
    const size = Buffer.byteLength(JSON.stringify([event.data, event.metadata]));
    const last = pieces.at(-1);
    if (last && last.length < EVENTS_PER_APPEND && bytes + size <= APPEND_MAX_BYTES) last.push(event);
    else {
      pieces.push([event]);
      bytes = 0;
    }
    bytes += size;
  }
  return pieces;
}

/** Of each stream, how many events it has and a digest of all of them in their order. */
async function digestOf(
  { client }: Log,
  translate: (event: StoredEvent) => readonly Omit<StoredEvent, 'stream' | 'revision' | 'position'>[],
  done: (events: number) => void = () => undefined,
): Promise<Map<string, { events: number; digest: string }>> {
  const streams = new Map<string, { events: number; digest: string }>();
  let count = 0;
  for await (const event of readLog(client)) {
    if (!('id' in event)) continue;
    for (const { id, type, data, metadata } of translate(event)) {
      const { events, digest } = streams.get(event.stream) ?? { events: 0, digest: '' };
      const said = JSON.stringify([digest, id, type, data, metadata]);
      streams.set(event.stream, { events: events + 1, digest: createHash('sha256').update(said).digest('base64') });
    }
    count += 1;
    if (count % EVENTS_AT_ONCE === 0) done(EVENTS_AT_ONCE);
  }
  done(count % EVENTS_AT_ONCE);
  return streams;
}

async function deleteForGood(store: EventStore, stream: string): Promise<void> {
  try {
    await store.tombstone(stream, NO_EVENTS);
  } catch (error) {
    if (!(error instanceof StreamGone)) throw error;
  }
}
