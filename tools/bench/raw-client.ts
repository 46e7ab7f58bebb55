import { setTimeout as delay } from 'node:timers/promises';
import { bundled, NewEvent, streamOf } from '@balados/event-sourcing';
import { USERS_CATEGORIES, UsersEvent } from '@balados/users-contracts';
import {
  END,
  EventStoreDBClient,
  jsonEvent,
  JSONEventData,
  NO_STREAM,
  START,
  streamNameFilter,
  StreamNotFoundError,
} from '@eventstore/db-client';
import { randomUUID } from 'node:crypto';
import { positionEvent, stored } from './events';
import { Spread, spread } from './report';

// What the official client does by itself, without anything of ours but that payloads reach its protobuf library as bytes, which holds for the
// whole process: the ceilings, and a quick way to fill a log.

export const connect = (url: string): EventStoreDBClient => EventStoreDBClient.connectionString(url);

const DISCONNECT_LIMIT_MS = 1_000;
/** The client waits for ever for the end of a read that was left early. */
export const disconnect = (client: EventStoreDBClient): Promise<unknown> =>
  Promise.race([client.dispose(), delay(DISCONNECT_LIMIT_MS)]);

const prefixes = USERS_CATEGORIES.map((category) => `${category}-`);

/** As command-api stores what is decided at once. */
const together = (events: readonly UsersEvent[]): JSONEventData[] =>
  bundled(events.map((event) => stored(event) as NewEvent)).map((event) => jsonEvent(event as JSONEventData));

/** Appends of `events` each, stored as one, per second; `atOnce` streams each at its expected revision. */
export async function appendRate(
  client: EventStoreDBClient,
  { atOnce, events, seconds }: { atOnce: number; events: number; seconds: number },
): Promise<number> {
  let appended = 0;
  const started = performance.now();
  const until = started + seconds * 1_000;
  await Promise.all(
    Array.from({ length: atOnce }, async (_, listener) => {
      const stream = streamOf('listening', randomUUID());
      for (let revision = -1; performance.now() < until; revision += 1) {
        const said = Array.from({ length: events }, (_, n) => positionEvent(listener, revision + 1 + n, n + 1.5));
        await client.appendToStream(stream, together(said), {
          expectedRevision: revision < 0 ? NO_STREAM : BigInt(revision),
        });
        appended += 1;
      }
    }),
  );
  return (appended * 1_000) / (performance.now() - started);
}

/** From sending an append until a filtered subscription in the same process has the event, at an open-loop rate. */
export async function appendToSubscriber(
  client: EventStoreDBClient,
  { rate, count }: { rate: number; count: number },
): Promise<Spread> {
  const sentAt = new Map<string, number>();
  const times: number[] = [];
  const subscription = client.subscribeToAll({ fromPosition: END, filter: streamNameFilter({ prefixes }) });
  const confirmed = new Promise((resolve) => subscription.once('confirmation', () => resolve(undefined)));
  const seen = (async () => {
    for await (const { event } of subscription) {
      const sent = event && sentAt.get(event.id);
      if (sent !== undefined) times.push(performance.now() - sent);
      if (times.length === count) return;
    }
  })();
  await confirmed;
  const appends: Promise<unknown>[] = [];
  const started = performance.now();
  for (let n = 0; n < count; n += 1) {
    const early = started + (n * 1_000) / rate - performance.now();
    if (early > 0) await delay(early);
    const event = stored(positionEvent(n, n, n));
    sentAt.set(event.id, performance.now());
    appends.push(client.appendToStream(streamOf('listening', randomUUID()), [event], { expectedRevision: NO_STREAM }));
  }
  await Promise.all(appends);
  await seen;
  return spread(times);
}

/** A stream's events, to be appended. */
export interface Filling {
  stream: string;
  events: UsersEvent[];
  /** RFC 3339; now unless said. */
  recordedAt?: string;
}

const STREAMS_AT_ONCE = 8;
const EVENTS_PER_APPEND = 250;

/** Appends new streams; answers the number of events. */
export async function fill(client: EventStoreDBClient, fillings: Iterable<Filling>): Promise<number> {
  const waiting = fillings[Symbol.iterator]();
  let count = 0;
  const work = async (): Promise<void> => {
    for (let next = waiting.next(); !next.done; next = waiting.next()) {
      const { stream, events, recordedAt } = next.value;
      for (let start = 0; start < events.length; start += EVENTS_PER_APPEND) {
        const piece: JSONEventData[] = events
          .slice(start, start + EVENTS_PER_APPEND)
          .map((event) => stored(event, recordedAt));
        await client.appendToStream(stream, piece, { expectedRevision: start === 0 ? NO_STREAM : BigInt(start - 1) });
        count += piece.length;
      }
    }
  };
  await Promise.all(Array.from({ length: STREAMS_AT_ONCE }, work));
  return count;
}

/** Revision of a stream's newest event plus one: how many it had, when nothing was cut. 0 for a stream that is not there. */
export async function lengthOf(client: EventStoreDBClient, stream: string): Promise<number> {
  let length = 0;
  const newest = client.readStream(stream, { direction: 'backwards', fromRevision: END, maxCount: 1 });
  try {
    for await (const { event } of newest) length = Number(event!.revision) + 1;
  } catch (error) {
    if (!(error instanceof StreamNotFoundError)) throw error;
  }
  return length;
}

/** Events of listeners per second that a filtered subscription delivers, from after a position on, `count` of them. */
export async function readRate(
  client: EventStoreDBClient,
  { after, count }: { after: bigint | undefined; count: number },
): Promise<number> {
  const fromPosition = after === undefined ? START : { commit: after, prepare: after };
  const subscription = client.subscribeToAll({ fromPosition, filter: streamNameFilter({ prefixes }) });
  const started = performance.now();
  let read = 0;
  for await (const { event } of subscription) {
    if (event) read += 1;
    if (read === count) break;
  }
  const rate = (read * 1_000) / (performance.now() - started);
  subscription.unsubscribe().catch(() => undefined);
  return rate;
}

/**
 * Commit position of the newest event that every projector reads; undefined when there is none. Site reads no playlists: how far it has
 * come shows in what follows them.
 */
export async function newestOfListeners(client: EventStoreDBClient): Promise<bigint | undefined> {
  const read = prefixes.filter((prefix) => prefix !== 'playlists-');
  for await (const { event, commitPosition } of client.readAll({ direction: 'backwards', fromPosition: END }))
    if (event && read.some((prefix) => event.streamId.startsWith(prefix))) return commitPosition;
  return undefined;
}
