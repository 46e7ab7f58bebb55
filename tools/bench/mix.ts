import { encodeBase64, encodeBase64Url } from '@balados/feeds-ids';
import { episodeOf } from './events';
import { Listener } from './listeners';

export const MIX_KINDS = ['position', 'sync', 'own read', 'public read'] as const;
export type MixKind = (typeof MIX_KINDS)[number];

export interface MixRequest {
  kind: MixKind;
  method: 'GET' | 'POST' | 'PUT';
  path: string;
  headers: Record<string, string>;
  body?: string;
  /** @returns what is wrong with the answer, if anything */
  answered(status: number, body: string): string | undefined;
}

/** Of so many requests one is a sync and one a read, own and public ones in turn; the others are positions. */
const IN_TURN = 10;
const SYNC_AT = 3;
const READ_AT = 8;
/** Episodes of each listener, so that what is held of one does not grow while it changes. */
const EPISODES = 25;
const SYNC_PLAYS = 3;
const OWN_READS = ['/subscriptions', '/play?limit=20'];
const PUBLIC_READS = ['/public/trending/podcasts?limit=20', '/public/timeline?limit=20', '/public/trending/episodes'];

/**
 * What listeners' devices send: 80 % positions, 10 % syncs of a few plays since the last, 10 % reads, in an order that is always the same. Each
 * write says something new.
 */
export class Mix {
  private readonly devices: { listener: Listener; since: string | null }[];
  private readonly counts: Record<MixKind, number> = { position: 0, sync: 0, 'own read': 0, 'public read': 0 };
  private sent = 0;

  constructor(listeners: readonly Listener[]) {
    this.devices = listeners.map((listener) => ({ listener, since: null }));
  }

  next(): MixRequest {
    const turn = this.sent % IN_TURN;
    const isEven = Math.floor(this.sent / IN_TURN) % 2 === 0;
    this.sent += 1;
    const kind = turn === SYNC_AT ? 'sync' : turn !== READ_AT ? 'position' : isEven ? 'own read' : 'public read';
    const nth = this.counts[kind];
    this.counts[kind] += 1;
    const index = nth % this.devices.length;
    const round = Math.floor(nth / this.devices.length);
    if (kind === 'position') return this.position(index, round);
    if (kind === 'sync') return this.sync(index, round);
    if (kind === 'own read') return this.read(kind, OWN_READS[round % OWN_READS.length]!, index);
    return this.read(kind, PUBLIC_READS[nth % PUBLIC_READS.length]!);
  }

  private position(index: number, round: number): MixRequest {
    const { feed, item } = episodeOf(index, round % EPISODES);
    return {
      kind: 'position',
      method: 'PUT',
      path: `/api/v1/play/${encodeBase64Url(item)}/position?feed=${encodeBase64Url(feed)}`,
      headers: this.headers(index),
      body: JSON.stringify({ position: round + 0.5 }),
      answered: is200,
    };
  }

  private sync(index: number, round: number): MixRequest {
    const device = this.devices[index]!;
    const plays = Array.from({ length: SYNC_PLAYS }, (_, n) => {
      const { feed, item } = episodeOf(index, (round * SYNC_PLAYS + n) % EPISODES);
      return {
        rss_source_feed: encodeBase64(feed),
        rss_source_item: encodeBase64(item),
        position: round + 0.25,
        played: false,
        updated_at: new Date().toISOString(),
      };
    });
    return {
      kind: 'sync',
      method: 'POST',
      path: '/api/v1/sync',
      headers: this.headers(index),
      body: JSON.stringify({ play_statuses: plays, since: device.since }),
      answered: (status, body) => {
        const wrong = is200(status, body);
        if (wrong) return wrong;
        const answer = JSON.parse(body) as { rejected: unknown[]; sync_token: string };
        device.since = answer.sync_token;
        return answer.rejected.length > 0 ? `rejected ${JSON.stringify(answer.rejected).slice(0, 200)}` : undefined;
      },
    };
  }

  private read(kind: MixKind, path: string, index?: number): MixRequest {
    const headers = index === undefined ? {} : this.headers(index);
    return { kind, method: 'GET', path: `/api/v1${path}`, headers, answered: is200 };
  }

  private headers(index: number): Record<string, string> {
    const { token } = this.devices[index]!.listener;
    return { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  }
}

const is200 = (status: number, body: string): string | undefined =>
  status === 200 ? undefined : `${status}: ${body.slice(0, 200)}`;
