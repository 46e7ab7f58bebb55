import { encodeBase64Url } from '@balados/feeds-ids';
import { feedUrl, itemOf } from '../bench/events';
import { milliseconds, Spread, spread } from '../bench/report';
import { Api, DemoFailed } from '../demo/api';
import { Progress } from '../demo/progress';
import { setTimeout as pause } from 'node:timers/promises';
import { Account } from './accounts';

/** Listeners who read, each in turn. */
const READERS = 100;
/** Requests of each kind. */
const REQUESTS = 300;
/** Podcasts that the public asks for, the most popular ones. */
const FEEDS_ASKED = 50;

interface Read {
  what: string;
  method?: 'GET' | 'POST';
  body?: object;
  /** `n` counts the requests; `playlist` is one of the reader's. */
  path(n: number, playlist: string): string;
}

const feed = (n: number): string => encodeBase64Url(feedUrl(n % FEEDS_ASKED));
const item = (n: number): string => encodeBase64Url(itemOf(n % FEEDS_ASKED, 0));

const OWN: readonly Read[] = [
  { what: 'GET /subscriptions', path: () => '/subscriptions' },
  { what: 'GET /play?limit=100', path: () => '/play?limit=100' },
  { what: 'GET /play?limit=100&offset=400', path: () => '/play?limit=100&offset=400' },
  { what: 'GET /play?feed=', path: (n) => `/play?feed=${feed(n)}` },
  { what: 'GET /episodes/saved?limit=100', path: () => '/episodes/saved?limit=100' },
  { what: 'GET /episodes/saved?feed=', path: (n) => `/episodes/saved?feed=${feed(n)}` },
  { what: 'GET /playlists', path: () => '/playlists' },
  { what: 'GET /playlists/{id}', path: (_n, playlist) => `/playlists/${playlist}` },
  { what: 'GET /privacy', path: () => '/privacy' },
  { what: 'GET /privacy?feed=', path: (n) => `/privacy?feed=${feed(n)}` },
  { what: 'GET /account', path: () => '/account' },
  { what: 'GET /tokens', path: () => '/tokens' },
  { what: 'GET /keys', path: () => '/keys' },
  // The last, since it leaves the reader's state folded in memory.
  { what: 'POST /sync, whole', method: 'POST', body: {}, path: () => '/sync' },
];

// What the service keeps for a second goes by the address: another address each time.
const PUBLIC: readonly Read[] = [
  { what: 'trending/podcasts?limit=100', path: (n) => `/public/trending/podcasts?limit=100&n=${n}` },
  { what: 'trending/episodes?limit=100', path: (n) => `/public/trending/episodes?limit=100&n=${n}` },
  { what: 'trending/episodes?feed=', path: (n) => `/public/trending/episodes?limit=100&feed=${feed(n)}&n=${n}` },
  { what: 'feed/{feed}/popularity', path: (n) => `/public/feed/${feed(n)}/popularity?n=${n}` },
  { what: 'episode/{item}/popularity', path: (n) => `/public/episode/${item(n)}/popularity?n=${n}` },
  {
    what: 'episode/{item}/popularity?feed=',
    path: (n) => `/public/episode/${item(n)}/popularity?feed=${feed(n)}&n=${n}`,
  },
  { what: 'timeline?limit=100', path: (n) => `/public/timeline?limit=100&n=${n}` },
  { what: 'timeline?event_type=share', path: (n) => `/public/timeline?limit=100&event_type=share&n=${n}` },
  { what: 'timeline?feed=', path: (n) => `/public/timeline?limit=100&feed=${feed(n)}&n=${n}` },
  {
    what: 'timeline?feed=&event_type=save',
    path: (n) => `/public/timeline?limit=100&feed=${feed(n)}&event_type=save&n=${n}`,
  },
  { what: 'timeline?offset=10000', path: (n) => `/public/timeline?limit=100&offset=10000&n=${n}` },
];

/** Where to send, and with which token. */
interface Reader {
  token?: string;
  playlist: string;
}

/** Logs readers in, and sends every kind of read one after another, on a system with nothing else to do. Prints p50 and p99. */
export async function measure(
  { listeners, everybody }: { listeners: Api; everybody: Api },
  { accounts, password }: { accounts: readonly Account[]; password: string },
  progress: Progress,
): Promise<string[]> {
  progress.doing('logging in');
  const readers: Reader[] = [];
  for (const { username } of accounts.slice(0, READERS)) readers.push(await readerOf(listeners, username, password));
  const lines: string[] = [];
  const take = async (reads: readonly Read[], base: string, who: readonly Reader[]): Promise<void> => {
    for (const read of reads) {
      progress.doing(read.what);
      const times: number[] = [];
      for (let n = 0; n < REQUESTS; n += 1) {
        times.push(await timeOf(base, read, n, who[n % who.length]!));
        progress.done();
      }
      lines.push(lineOf(read.what, spread(times)));
    }
  };
  await take(OWN, listeners.url, readers);
  await take(PUBLIC, everybody.url, [{ playlist: '' }]);
  return lines;
}

/** Steps of a measurement on the progress bar. */
export const STEPS = (OWN.length + PUBLIC.length) * REQUESTS;

const lineOf = (what: string, { p50, p99 }: Spread): string =>
  `${what.padEnd(34)}  p50 ${milliseconds(p50).padStart(8)}  p99 ${milliseconds(p99).padStart(8)}`;

async function readerOf(api: Api, username: string, password: string): Promise<Reader> {
  const device = { device_id: 'phone', device_name: 'the phone' };
  const credentials = { username, password, ...device };
  const { access_token: token } = await api.send<{ access_token: string }>('POST', '/auth/login', credentials);
  const { playlists } = await api.as(token).send<{ playlists: { id: string }[] }>('GET', '/playlists');
  return { token, playlist: playlists[0]!.id };
}

/** Until the whole body is there, in milliseconds; a request that is over the rate limit is sent again later. */
async function timeOf(base: string, read: Read, n: number, { token, playlist }: Reader): Promise<number> {
  const { method = 'GET', body } = read;
  const headers: Record<string, string> = {
    ...(token && { authorization: `Bearer ${token}` }),
    ...(body && { 'content-type': 'application/json' }),
  };
  for (;;) {
    const begun = performance.now();
    const response = await fetch(`${base}/api/v1${read.path(n, playlist)}`, {
      method,
      headers,
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    const took = performance.now() - begun;
    if (response.ok) return took;
    if (response.status !== 429) throw new DemoFailed(`${read.what}: ${response.status} ${text}`);
    await pause(1_000 * Number(response.headers.get('retry-after')));
  }
}
