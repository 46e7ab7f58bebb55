import { StoredEvent } from '@balados/event-sourcing';
import { USERS_CATEGORIES } from '@balados/users-contracts';
import { EventStoreDBClient, START, streamNameFilter } from '@eventstore/db-client';

/** Of a stream's own metadata, which stand in a stream as well. */
const METADATA = '$$';
const prefixes = USERS_CATEGORIES.flatMap((category) => [`${category}-`, `${METADATA}${category}-`]);
/** In place of a stream's events, once it is deleted for good. */
const STREAM_DELETED = '$streamDeleted';

/** A stream was deleted for good; or what it holds before a revision is hidden from its readers. */
export type Removal = { deleted: string } | { cut: string; before: number };

/**
 * All that listeners' streams hold at this moment, in the log's order, and what of it is removed: that may still come, until a scavenge.
 * @throws whatever the client does when the connection breaks
 */
export async function* readLog(client: EventStoreDBClient): AsyncGenerator<StoredEvent | Removal> {
  const subscription = client.subscribeToAll({ fromPosition: START, filter: streamNameFilter({ prefixes }) });
  // Without a listener of its own the error would end the process; the loop throws it as well.
  subscription.on('error', () => undefined);
  subscription.on('caughtUp', () => void subscription.push({ isLast: true }));
  try {
    for await (const item of subscription as AsyncIterable<Awaited<ReturnType<typeof subscription.read>>>) {
      if ('isLast' in item) return;
      const { event, commitPosition } = item;
      if (!event || commitPosition === undefined) continue;
      const { id, streamId: stream, type, data, metadata } = event;
      if (type === STREAM_DELETED) yield { deleted: stream };
      else if (stream.startsWith(METADATA)) {
        const { $tb: before } = data as { $tb?: number };
        if (before !== undefined) yield { cut: stream.slice(METADATA.length), before };
      } else yield { id, stream, type, data, metadata, revision: Number(event.revision), position: commitPosition };
    }
  } finally {
    subscription.unsubscribe().catch(() => undefined);
  }
}
