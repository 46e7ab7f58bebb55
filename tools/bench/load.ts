import autocannon, { Client, Request, Result } from 'autocannon';
import { encodeBase64, encodeBase64Url } from '@balados/feeds-ids';
import { App, appRequest, Asking } from './apps';
import { episodeOf, feedUrl, itemOf } from './events';
import { Listener } from './listeners';
import { Mix, MixRequest } from './mix';
import { Spread } from './report';
import { withWorker } from './workers';

// Closed loops over HTTP by autocannon, in a process of their own. Whatever is not 2xx, or not what it should be, is an error.

interface Bounds {
  base: string;
  connections: number;
  seconds: number;
}

export type Load = Bounds &
  (
    | { kind: 'positions'; listeners: Listener[]; round: number }
    | { kind: 'syncs'; listeners: Listener[]; playsEach: number }
    | { kind: 'mix'; listeners: Listener[] }
    | ({ kind: 'apps'; apps: App[] } & Asking)
    | { kind: 'get'; path: string; expected: string }
    /** Each path once, then from the beginning. */
    | { kind: 'redirects'; paths: string[]; host: string }
  );

export interface Generated extends Spread {
  requests: number;
  perSecond: number;
  /** CPU seconds of the generator per second. */
  cores: number;
}

/** @throws Error that says what was answered, when anything failed */
export const generate = (load: Load): Promise<Generated> => withWorker<Generated>('load', load, (result) => result);

/** Positions of one listener that are made before the run, over a few episodes in turn; none is the same as the one before it. */
const POSITIONS_PREPARED = 200;
const EPISODES_IN_TURN = 10;

const headersOf = ({ token }: Listener): Record<string, string> => ({
  authorization: `Bearer ${token}`,
  'content-type': 'application/json',
});

const positionRequests = (listener: Listener, index: number, round: number): Request[] =>
  Array.from({ length: POSITIONS_PREPARED }, (_, n) => {
    const { feed, item } = episodeOf(index, n % EPISODES_IN_TURN);
    return {
      method: 'PUT',
      path: `/api/v1/play/${encodeBase64Url(item)}/position?feed=${encodeBase64Url(feed)}`,
      headers: headersOf(listener),
      body: JSON.stringify({ position: round * 10_000 + n + 0.5 }),
    };
  });

/** Each connection speaks for its listeners in turn, as devices do that keep the token of their last answer. */
function syncRequest(listeners: Listener[], playsEach: number, fail: (reason: string) => void): Request {
  const devices = listeners.map((listener) => ({ listener, plays: 0, since: null as string | null }));
  let turn = -1;
  return {
    setupRequest: (request) => {
      turn = (turn + 1) % devices.length;
      const device = devices[turn]!;
      const plays = Array.from({ length: playsEach }, (_, n) => ({
        rss_source_feed: encodeBase64(feedUrl(turn)),
        rss_source_item: encodeBase64(itemOf(turn, device.plays + n)),
        position: n + 1,
        played: false,
        updated_at: new Date().toISOString(),
      }));
      device.plays += playsEach;
      return {
        ...request,
        method: 'POST',
        path: '/api/v1/sync',
        headers: headersOf(device.listener),
        body: JSON.stringify({ play_statuses: plays, since: device.since }),
      };
    },
    onResponse: (status, body) => {
      if (status !== 200) return fail(`${status}: ${body.slice(0, 500)}`);
      const answer = JSON.parse(body) as {
        data: { play_statuses: unknown[] };
        rejected: unknown[];
        sync_token: string;
      };
      if (answer.rejected.length > 0 || answer.data.play_statuses.length !== playsEach)
        fail(
          `${answer.data.play_statuses.length} plays answered, rejected ${JSON.stringify(answer.rejected).slice(0, 500)}`,
        );
      devices[turn]!.since = answer.sync_token;
    },
  };
}

/** Each connection speaks for its listeners. */
function mixRequest(listeners: Listener[], fail: (reason: string) => void): Request {
  const mix = new Mix(listeners);
  let sent: MixRequest;
  return {
    setupRequest: (request) => {
      sent = mix.next();
      const { method, path, headers, body } = sent;
      return { ...request, method, path, headers, body };
    },
    onResponse: (status, body) => {
      const wrong = sent.answered(status, body);
      if (wrong) fail(`${sent.kind}: ${wrong}`);
    },
  };
}

/** The worker's side. */
export async function runLoad(load: Load): Promise<Generated> {
  let failure: string | undefined;
  let connection = 0;
  const setupClient = (client: Client): void => {
    const own = connection;
    connection += 1;
    if (load.kind === 'positions')
      client.setRequests(positionRequests(load.listeners[own % load.listeners.length]!, own, load.round));
    if (load.kind === 'redirects') {
      const mine = load.paths.filter((_, index) => index % load.connections === own);
      client.setRequests(mine.map((path) => ({ path, headers: { host: load.host } })));
    }
    const fail = (reason: string): string => (failure ??= reason);
    if (load.kind === 'apps') {
      const mine = load.apps.filter((_, index) => index % load.connections === own);
      client.setRequests([appRequest(mine, load, fail)]);
    }
    if (load.kind === 'syncs' || load.kind === 'mix') {
      const listeners = load.listeners.filter((_, index) => index % load.connections === own);
      client.setRequests([
        load.kind === 'mix' ? mixRequest(listeners, fail) : syncRequest(listeners, load.playsEach, fail),
      ]);
    }
  };
  const cpu = process.cpuUsage();
  const result = await autocannon({
    url: load.kind === 'get' ? `${load.base}${load.path}` : load.base,
    connections: load.connections,
    duration: load.seconds,
    timeout: 30,
    ...(load.kind === 'get' ? { expectBody: load.expected } : { setupClient }),
  });
  const { user, system } = process.cpuUsage(cpu);
  const good = load.kind === 'redirects' ? '3xx' : '2xx';
  const wrong = failure ?? failureOf(result, good);
  if (wrong) throw new Error(`${load.kind}: ${wrong}`);
  return {
    requests: result[good],
    perSecond: result[good] / result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
    cores: (user + system) / 1e6 / result.duration,
  };
}

function failureOf(
  { errors, timeouts, mismatches, statusCodeStats, ...result }: Result,
  good: '2xx' | '3xx',
): string | undefined {
  const answered = Object.values(statusCodeStats).reduce((sum, { count }) => sum + count!, 0);
  if (result[good] > 0 && result[good] === answered && errors + timeouts + mismatches === 0) return undefined;
  const answers = Object.entries(statusCodeStats).map(([status, { count }]) => `${count} × ${status}`);
  return `${answers.join(', ')}; ${errors} errors, ${timeouts} timeouts, ${mismatches} unexpected bodies`;
}
