import { decodeBase64, encodeBase64Url } from '@balados/feeds-ids';
import { milliseconds, Spread, spread } from '../bench/report';
import { Api, DemoFailed } from '../demo/api';
import { Progress } from '../demo/progress';
import { setTimeout as pause } from 'node:timers/promises';
import { Account } from './accounts';

/** Listeners who read, each in turn. */
const READERS = 100;
interface Read {
  what: string;
  method?: 'GET' | 'POST';
  body?: object;
  /** `n` counts the requests. */
  path(n: number, of: Asked): string;
}

/** What a request asks for: ids in base64url of an episode that trends, and a playlist of the reader's. */
interface Asked {
  feed: string;
  item: string;
  playlist: string;
}

const OWN: readonly Read[] = [
  { what: 'GET /subscriptions', path: () => '/subscriptions' },
  { what: 'GET /play?limit=100', path: () => '/play?limit=100' },
  { what: 'GET /play?limit=100&offset=400', path: () => '/play?limit=100&offset=400' },
  { what: 'GET /play?feed=', path: (_n, { feed }) => `/play?feed=${feed}` },
  { what: 'GET /episodes/saved?limit=100', path: () => '/episodes/saved?limit=100' },
  { what: 'GET /episodes/saved?feed=', path: (_n, { feed }) => `/episodes/saved?feed=${feed}` },
  { what: 'GET /playlists', path: () => '/playlists' },
  { what: 'GET /playlists/{id}', path: (_n, { playlist }) => `/playlists/${playlist}` },
  { what: 'GET /privacy', path: () => '/privacy' },
  { what: 'GET /privacy?feed=', path: (_n, { feed }) => `/privacy?feed=${feed}` },
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
  { what: 'trending/episodes?feed=', path: (n, { feed }) => `/public/trending/episodes?limit=100&feed=${feed}&n=${n}` },
  { what: 'feed/{feed}/popularity', path: (n, { feed }) => `/public/feed/${feed}/popularity?n=${n}` },
  { what: 'episode/{item}/popularity', path: (n, { item }) => `/public/episode/${item}/popularity?n=${n}` },
  {
    what: 'episode/{item}/popularity?feed=',
    path: (n, { feed, item }) => `/public/episode/${item}/popularity?feed=${feed}&n=${n}`,
  },
  { what: 'timeline?limit=100', path: (n) => `/public/timeline?limit=100&n=${n}` },
  { what: 'timeline?event_type=share', path: (n) => `/public/timeline?limit=100&event_type=share&n=${n}` },
  { what: 'timeline?feed=', path: (n, { feed }) => `/public/timeline?limit=100&feed=${feed}&n=${n}` },
  {
    what: 'timeline?feed=&event_type=save',
    path: (n, { feed }) => `/public/timeline?limit=100&feed=${feed}&event_type=save&n=${n}`,
  },
  { what: 'timeline?offset=10000', path: (n) => `/public/timeline?limit=100&offset=10000&n=${n}` },
];

interface Reader {
  token?: string;
  playlist: string;
}

/** Steps of a measurement on the progress bar. */
export const stepsOf = (requests: number): number => (OWN.length + PUBLIC.length) * requests;

/**
 * Logs readers in, and sends every kind of read `requests` times, one after another, on a system with nothing else to do.
 * @returns a line for each kind: p50 and p99
 */
export async function measure(
  { listeners, everybody }: { listeners: Api; everybody: Api },
  { accounts, password, requests }: { accounts: readonly Account[]; password: string; requests: number },
  progress: Progress,
): Promise<string[]> {
  progress.doing('logging in');
  const readers: Reader[] = [];
  for (const { username } of accounts.slice(0, READERS)) readers.push(await readerOf(listeners, username, password));
  const episodes = await trendingEpisodes(everybody);
  const lines: string[] = [];
  const take = async (reads: readonly Read[], base: string, who: readonly Reader[]): Promise<void> => {
    for (const read of reads) {
      progress.doing(read.what);
      const times: number[] = [];
      for (let n = 0; n < requests; n += 1) {
        const { token, playlist } = who[n % who.length]!;
        const path = read.path(n, { ...episodes[n % episodes.length]!, playlist });
        times.push(await timeOf(`${base}/api/v1${path}`, read, token));
        progress.done();
      }
      lines.push(lineOf(read.what, spread(times)));
    }
  };
  await take(OWN, listeners.url, readers);
  await take(PUBLIC, everybody.url, [{ playlist: '' }]);
  return lines;
}

async function trendingEpisodes(api: Api): Promise<Pick<Asked, 'feed' | 'item'>[]> {
  const { episodes } = await api.send<{ episodes: { rss_source_feed: string; rss_source_item: string }[] }>(
    'GET',
    '/public/trending/episodes?limit=100',
  );
  if (episodes.length === 0) throw new DemoFailed('no episode is public: the town is too small to be measured');
  const inPath = (id: string): string => encodeBase64Url(decodeBase64(id));
  return episodes.map((row) => ({ feed: inPath(row.rss_source_feed), item: inPath(row.rss_source_item) }));
}

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
async function timeOf(url: string, { what, method = 'GET', body }: Read, token: string | undefined): Promise<number> {
  const headers: Record<string, string> = {
    ...(token && { authorization: `Bearer ${token}` }),
    ...(body && { 'content-type': 'application/json' }),
  };
  for (;;) {
    const begun = performance.now();
    const response = await fetch(url, {
      method,
      headers,
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    const took = performance.now() - begun;
    if (response.ok) return took;
    if (response.status !== 429) throw new DemoFailed(`${what}: ${response.status} ${text}`);
    await pause(1_000 * Number(response.headers.get('retry-after')));
  }
}
