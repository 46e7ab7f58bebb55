import { EventStoreDBClient, jsonEvent, NO_STREAM } from '@eventstore/db-client';
import { Stream } from './history';

/** Streams that are written at the same time. */
const STREAMS_AT_ONCE = 8;
const EVENTS_PER_APPEND = 250;

/**
 * Appends new streams as they are made: no more of them are in memory than are written at the same time.
 * `done` hears of each append how many events it had.
 */
export async function append(
  client: EventStoreDBClient,
  streams: Iterable<Stream>,
  done: (events: number) => void,
): Promise<void> {
  const waiting = streams[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (let next = waiting.next(); !next.done; next = waiting.next()) {
      const { stream, events } = next.value;
      for (let start = 0; start < events.length; start += EVENTS_PER_APPEND) {
        const piece = events.slice(start, start + EVENTS_PER_APPEND);
        await client.appendToStream(
          stream,
          piece.map((event) => jsonEvent(event as unknown as Parameters<typeof jsonEvent>[0])),
          { expectedRevision: start === 0 ? NO_STREAM : BigInt(start - 1) },
        );
        done(piece.length);
      }
    }
  };
  await Promise.all(Array.from({ length: STREAMS_AT_ONCE }, work));
}
