import { StoredEvent } from '@balados/event-sourcing';
import { EventStoreDBClient, StreamNotFoundError } from '@eventstore/db-client';

/** The log as the official client shows it, past all of our own code. */
export class LogReader {
  private readonly client: EventStoreDBClient;

  constructor(url: string) {
    this.client = EventStoreDBClient.connectionString(url);
  }

  /** All events of a stream, in order; none when there is no stream. */
  async read(stream: string, fromRevision = 0): Promise<StoredEvent[]> {
    const events: StoredEvent[] = [];
    try {
      for await (const { event } of this.client.readStream(stream, { fromRevision: BigInt(fromRevision) })) {
        if (!event) continue;
        events.push({
          id: event.id,
          stream: event.streamId,
          revision: Number(event.revision),
          position: event.position?.commit ?? 0n,
          type: event.type,
          data: event.data as object,
          metadata: event.metadata as object,
        } as unknown as StoredEvent);
      }
    } catch (error) {
      if (!(error instanceof StreamNotFoundError)) throw error;
    }
    return events;
  }

  /** Revision of the newest event, -1 without one. */
  async head(stream: string): Promise<number> {
    try {
      const newest = this.client.readStream(stream, { direction: 'backwards', fromRevision: 'end', maxCount: 1 });
      for await (const { event } of newest) return Number(event!.revision);
    } catch (error) {
      if (!(error instanceof StreamNotFoundError)) throw error;
    }
    return -1;
  }

  /** Resolves with the first event that the stream gets from now on. */
  async firstEvent(stream: string): Promise<void> {
    const subscription = this.client.subscribeToStream(stream, { fromRevision: 'start' });
    try {
      for await (const { event } of subscription) if (event) return;
    } finally {
      await subscription.unsubscribe();
    }
  }

  close(): Promise<void> {
    return this.client.dispose();
  }
}
