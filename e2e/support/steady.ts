import { createSecretKey } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { playLink } from '@balados/feeds-ids';
import { waitFor } from '@balados/testing';
import { Device, newListener } from './client';
import { LogReader } from './log';
import { LINK_KEY, System } from './system';

/** A client waits this long before it asks again, in milliseconds. */
const RETRY_PAUSE_MS = 150;
/** And as long as this between one round of requests and the next, and between one play link and the next: this is not to be a load. */
const ROUND_PAUSE_MS = 20;
const LINK_PAUSE_MS = 60;
const FEED = 'https://links.example/feed.xml';

interface Ask {
  name: string;
  path: string;
  host?: string;
  token?: string;
  status: number;
}

/**
 * Reads and personal feeds through the front door, one after the other, and play links beside them, which wait for nothing that those wait for.
 * What fails is asked for once more.
 */
export class Steady {
  /** Requests that were not answered as they should be; and those that were not either when they were sent again. */
  readonly failed: string[] = [];
  readonly failedTwice: string[] = [];
  /** Items whose play links redirected. */
  readonly redirected = new Set<string>();
  answered = 0;
  private readonly stopping = new AbortController();
  private readonly running: Promise<unknown>;
  private rounds = 0;
  private links = 0;

  private constructor(
    private readonly system: System,
    private readonly device: Device,
    private readonly token: string,
    clients: number,
  ) {
    this.running = Promise.all(
      Array.from({ length: clients }, () => [
        this.run(() => this.reads(), ROUND_PAUSE_MS),
        this.run(() => [this.link()], LINK_PAUSE_MS),
      ]).flat(),
    );
  }

  static async start(system: System, clients: number): Promise<Steady> {
    const device = await newListener(system.listeners);
    const { token } = (await device.send('POST', '/tokens', { name: 'steady' })).body;
    return new Steady(system, device, token, clients);
  }

  get userId(): string {
    return this.device.userId;
  }

  /** Waits until so many more were answered. */
  async untilAnswered(more: number): Promise<void> {
    const goal = this.answered + more;
    await waitFor(() => this.answered >= goal, { what: `${more} more answers` });
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** Waits until each play whose link redirected is in the log, once. */
  async expectEveryPlayRecorded(): Promise<void> {
    const log = new LogReader(this.system.eventStore);
    try {
      await waitFor(
        async () => {
          const heard = (await log.read(`listening-${this.userId}`)).map(({ data }) => (data as { item: string }).item);
          const lost = [...this.redirected].filter((item) => !heard.includes(item));
          if (lost.length > 0) throw new Error(`${lost.length} plays are missing, such as ${lost[0]}`);
          expect(heard.length).toBe(new Set(heard).size);
          return true;
        },
        { what: 'every play that redirected', timeoutMs: 30_000 },
      );
    } finally {
      await log.close();
    }
  }

  private async run(asks: () => Ask[], pauseMs: number): Promise<void> {
    // Kept open, as a browser's or a proxy's connections are.
    const agent = new Agent({ keepAlive: true });
    while (!this.stopping.signal.aborted) {
      await delay(pauseMs);
      for (const ask of asks()) {
        let seen = await this.send(ask, agent);
        if (seen !== String(ask.status)) {
          this.failed.push(`${ask.name}: ${seen}`);
          await delay(RETRY_PAUSE_MS);
          seen = await this.send(ask, agent);
          if (seen !== String(ask.status)) this.failedTwice.push(`${ask.name}: ${seen}`);
        }
        this.answered += 1;
      }
    }
    agent.destroy();
  }

  private reads(): Ask[] {
    this.rounds += 1;
    return [
      { name: 'own read', path: '/api/v1/subscriptions', token: this.device.token, status: 200 },
      { name: 'public read', path: `/api/v1/public/timeline?limit=${1 + (this.rounds % 100)}`, status: 200 },
      { name: 'personal feed', path: `/api/v1/rss/user/${this.token}/subscriptions`, status: 200 },
    ];
  }

  private link(): Ask {
    const item = `guid-${(this.links += 1)},https://media.example/${this.links}.mp3`;
    const path = playLink('', { token: this.token, feed: FEED, item }, createSecretKey(LINK_KEY))!;
    return { name: item, path, host: 'play.localhost', status: 302 };
  }

  /** @returns the status, or what became of the connection */
  private send({ name, path, host, token }: Ask, agent: Agent): Promise<string> {
    const headers = { ...(host && { host }), ...(token && { authorization: `Bearer ${token}` }) };
    return new Promise((resolve) => {
      const sent = httpRequest(this.system.listeners, { path, headers, agent }, (answer) => {
        answer.resume().once('end', () => {
          if (answer.statusCode === 302) this.redirected.add(name);
          resolve(String(answer.statusCode));
        });
        answer.once('error', (error) => resolve(error.message));
      });
      sent.once('error', (error) => resolve(error.message)).end();
    });
  }
}
