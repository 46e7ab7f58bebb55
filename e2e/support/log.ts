import { StoredEvent } from '@balados/event-sourcing';
import { BACKWARDS, END, EventStoreDBClient, START, StreamNotFoundError } from '@eventstore/db-client';

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
    let revision = -1;
    try {
      const newest = this.client.readStream(stream, { direction: BACKWARDS, fromRevision: END, maxCount: 1 });
      // To its end: the client forgets to close the call of a read that is left.
      for await (const { event } of newest) revision = Number(event!.revision);
    } catch (error) {
      if (!(error instanceof StreamNotFoundError)) throw error;
    }
    return revision;
  }

  /** Resolves with the first event that the stream has or gets. */
  firstEvent(stream: string): Promise<void> {
    const subscription = this.client.subscribeToStream(stream, { fromRevision: START });
    return new Promise((resolve, reject) => {
      subscription.once('data', () => {
        resolve();
        subscription.unsubscribe().catch(() => undefined);
      });
      subscription.once('error', reject);
    });
  }

  async close(): Promise<void> {
    const channel = await this.client['getChannel']();
    channel.close();
  }
}
