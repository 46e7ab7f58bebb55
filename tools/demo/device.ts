import { encodeBase64, encodeBase64Url } from '@balados/feeds-ids';
import { randomBytes } from 'node:crypto';
import { Api, DemoFailed } from './api';
import { Holdings, Play, Subscription } from './holdings';
import { piecesOf } from './pieces';

/** Entries of one page, the most that the system gives. */
const PAGE = 100;
/** Pages begin at this offset at most. */
const OFFSET_MAX = 10_000;

export interface Credentials {
  username: string;
  password: string;
}

interface Synced {
  data: { subscriptions: Subscription[]; play_statuses: Play[] };
  rejected: { path: string; code: string; message: string }[];
  sync_token: string;
}

/** A new account with a random name. */
export async function register(api: Api): Promise<Credentials> {
  const credentials = { username: `demo-${randomBytes(6).toString('hex')}`, password: randomBytes(16).toString('hex') };
  await api.send('POST', '/accounts', credentials);
  return credentials;
}

/** One of a listener's devices: what it holds, and what it does. */
export class Device {
  readonly held = new Holdings();
  private since: string | undefined;

  private constructor(
    readonly name: string,
    private readonly api: Api,
  ) {}

  static async login(api: Api, credentials: Credentials, name: string): Promise<Device> {
    const device = { device_id: `${name}-${randomBytes(4).toString('hex')}`, device_name: `The ${name}` };
    const { access_token } = await api.send<{ access_token: string }>('POST', '/auth/login', {
      ...credentials,
      ...device,
    });
    return new Device(name, api.as(access_token));
  }

  async subscribe(feed: string): Promise<void> {
    const body = { rss_source_feed: encodeBase64(feed), rss_source_id: null };
    const { data } = await this.api.send<{ data: Subscription }>('POST', '/subscriptions', body);
    this.held.take({ subscriptions: [data] });
  }

  async play(feed: string, item: string, position: number): Promise<void> {
    const body = { rss_source_feed: encodeBase64(feed), rss_source_item: encodeBase64(item), position, played: false };
    const { data } = await this.api.send<{ data: Play }>('POST', '/play', body);
    this.held.take({ play_statuses: [data] });
  }

  async move(feed: string, item: string, position: number): Promise<void> {
    const path = `/play/${encodeBase64Url(item)}/position?feed=${encodeBase64Url(feed)}`;
    const { data } = await this.api.send<{ data: Play }>('PUT', path, { position });
    this.held.take({ play_statuses: [data] });
  }

  /** Sends all that the device holds and takes what others did; `sent` hears of each piece how many episodes it had. */
  async sync(sent: (episodes: number) => void = () => undefined): Promise<void> {
    const { subscriptions, plays } = this.held;
    const bodies = [
      ...piecesOf([...subscriptions.values()]).map((piece) => ({ subscriptions: piece, play_statuses: [] })),
      ...piecesOf([...plays.values()]).map((piece) => ({ subscriptions: [], play_statuses: piece })),
    ];
    for (const body of bodies) {
      const answer = await this.api.send<Synced>('POST', '/sync', { ...body, since: this.since });
      const [rejected] = answer.rejected;
      if (rejected)
        throw new DemoFailed(`${answer.rejected.length} entries were rejected: ${JSON.stringify(rejected)}`);
      this.held.take(answer.data);
      this.since = answer.sync_token;
      sent(body.play_statuses.length);
    }
  }

  /** What the listener's own pages answer, as far as pages go, and how many episodes there are in all. */
  async read(): Promise<{ seen: Holdings; total: number }> {
    const seen = new Holdings();
    seen.take(await this.api.send<{ subscriptions: Subscription[] }>('GET', '/subscriptions'));
    let total = 0;
    for (let offset = 0; offset <= Math.min(total, OFFSET_MAX); offset += PAGE) {
      const page = await this.api.send<{ play_statuses: Play[]; pagination: { total: number } }>(
        'GET',
        `/play?limit=${PAGE}&offset=${offset}`,
      );
      seen.take(page);
      total = page.pagination.total;
    }
    return { seen, total };
  }
}
