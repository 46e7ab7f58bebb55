import { CHECKPOINT, StoredEvent } from '@balados/event-sourcing';
import { EventStoreDBClient, START } from '@eventstore/db-client';

/** Keeps every event of listeners as it comes, past all of our own code: what is cut away later is held here still. */
export class Recorder {
  /** By stream, in order, without checkpoints: these say nothing of their own. */
  readonly streams = new Map<string, StoredEvent[]>();
  /** By stream, the revision of the newest event, checkpoints included. */
  readonly heads = new Map<string, number>();
  readonly problems: string[] = [];
  checkpoints = 0;
  private readonly client: EventStoreDBClient;
  private readonly subscription;

  constructor(url: string) {
    this.client = EventStoreDBClient.connectionString(url);
    this.subscription = this.client.subscribeToAll({ fromPosition: START });
    this.subscription.on('error', (error) => this.problems.push(String(error)));
    this.subscription.on('data', ({ event }) => {
      if (!event || !/^(subscriptions|listening|playlists|privacy)-/.test(event.streamId)) return;
      const { streamId: stream, type, id, data, metadata } = event;
      const revision = Number(event.revision);
      const next = (this.heads.get(stream) ?? -1) + 1;
      if (revision !== next) this.problems.push(`${stream}: ${revision} came where ${next} was to come`);
      this.heads.set(stream, revision);
      if (type === CHECKPOINT) this.checkpoints += 1;
      else
        this.streams.set(stream, [
          ...(this.streams.get(stream) ?? []),
          { id, stream, revision, position: event.position?.commit ?? 0n, type, data, metadata } as StoredEvent,
        ]);
    });
  }

  async close(): Promise<void> {
    await this.subscription.unsubscribe();
    const channel = await this.client['getChannel']();
    channel.close();
  }
}
