import { setTimeout as delay } from 'node:timers/promises';
import { ServerSentEvents } from '@balados/testing';

/** A device that is told of changes, and connects again whenever that ends. */
export class EventClient {
  readonly heard: { event: string; data: string; at: number }[] = [];
  connections = 0;
  readonly sent = new ServerSentEvents();
  private readonly over = new AbortController();
  private breaking = new AbortController();
  private readonly running: Promise<void>;

  /** @param onEvent may take its time: what comes meanwhile waits for it, as for a device that asks after each event */
  constructor(
    private readonly url: string,
    private readonly token: string,
    private readonly onEvent: (event: string) => Promise<unknown> | void = () => undefined,
  ) {
    this.running = this.run();
  }

  get isOver(): boolean {
    return this.over.signal.aborted;
  }

  /** As if the network had failed. */
  break(): void {
    this.breaking.abort();
  }

  async stop(): Promise<void> {
    this.over.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.isOver) {
      this.breaking = new AbortController();
      try {
        await this.follow(AbortSignal.any([this.over.signal, this.breaking.signal]));
      } catch {
        // It connects again.
      }
      this.sent.end();
      await delay(50, undefined, { signal: this.over.signal }).catch(() => undefined);
    }
  }

  private async follow(signal: AbortSignal): Promise<void> {
    const { lastId } = this.sent;
    const response = await fetch(`${this.url}/api/v1/events`, {
      headers: { authorization: `Bearer ${this.token}`, ...(lastId && { 'last-event-id': lastId }) },
      signal,
    });
    if (!response.ok) throw new Error(String(response.status));
    this.connections += 1;
    for await (const text of response.body!.pipeThrough(new TextDecoderStream()))
      for (const { event, data } of this.sent.read(text)) {
        this.heard.push({ event, data, at: performance.now() });
        await this.onEvent(event);
      }
  }
}
