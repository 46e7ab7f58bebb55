import { waitFor } from '@balados/testing';
import { Client } from 'pg';
import { FuzzApps } from './fuzz-apps';
import { FUZZ_FEED, FUZZ_ITEM, FuzzCase, FuzzRequests } from './fuzz-requests';
import { RawAnswer, RawSocket } from './fuzz-socket';
import { APP_ROUTES, LOGIN_ROUTES, PUBLIC_APP_ROUTES, undocumented } from './support/app-routes';
import { base64, Credentials, Device, login, register } from './support/client';
import { withSql } from './support/comparison';
import { Conformance, conformanceOf } from './support/conformance';
import { LONG, newSeed, randomFrom, report } from './support/limits';
import { startSystem, System } from './support/system';

const REQUESTS = LONG ? 200_000 : 6_000;
const APP_REQUESTS = LONG ? 100_000 : 1_200;
const CONNECTIONS = 8;
/** What moves by itself: leases of projectors, the window that a job moves on, and which jobs ran by the clock. */
const RESTLESS = /projector|popularity_window|segments_caught_up|job_runs/;
const STACK = /\bat .+:\d+:\d+|node_modules|\.(?:ts|js):\d+/;

describe('every route, whatever is sent', () => {
  let system: System;
  let credentials: Credentials;
  let device: Device;
  let ids: Record<string, string>;
  let notDocumented: string[];
  beforeAll(async () => {
    // What is mapped to routes is said at debug, and no more than that many lines of the log are kept.
    system = await startSystem('standalone', { ACCESS_TOKEN_TTL: '86400', LOG_LEVEL: 'debug' });
    const { document } = (await conformanceOf(system.listeners))!;
    notDocumented = undocumented(system.processes['standalone']!, document);
    credentials = await register(system.listeners);
    device = await login(system.listeners, credentials);
    await device.subscribe(FUZZ_FEED);
    await device.play(FUZZ_FEED, FUZZ_ITEM, 10);
    await device.save(FUZZ_ITEM, FUZZ_FEED);
    const { data: playlist } = (await device.send('POST', '/playlists', { name: 'fuzz' })).body;
    const entry = { rss_source_feed: base64(FUZZ_FEED), rss_source_item: base64(FUZZ_ITEM) };
    const { data: item } = (await device.send('POST', `/playlists/${playlist.id}/items`, entry)).body;
    ids = { id: playlist.id, item_id: item.id };
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  it(
    `answers ${REQUESTS} requests that are wrong, none with a 5xx, and nothing is written`,
    async () => {
      const conformance = (await conformanceOf(system.listeners))!;
      const url = new URL(system.listeners);
      const random = randomFrom(newSeed('fuzz'));
      const requests = new FuzzRequests(conformance.document, random, { host: url.host, token: device.token, ids });
      const before = await withSql(system.database, untilQuiet);
      const startedAt = performance.now();

      const { complaints, sent, counts } = await sendAll(url, requests, REQUESTS, (one, answer) => [
        ...flaws(one, answer),
        ...undocumentedAnswer(one, answer, conformance),
      ]);
      const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
      report(`${sent} requests to ${requests.routes} routes in ${seconds} s; ${counts}`);
      expect(complaints).toEqual([]);
      expect(sent).toBe(REQUESTS);
      expect(await withSql(system.database, contents)).toEqual(before);
      // It is well, and so is its listener.
      expect((await device.get('/subscriptions')).status).toBe(200);
    },
    LONG ? 1_200_000 : 400_000,
  );

  it(
    `answers ${APP_REQUESTS} requests to the routes of podcast apps, right and wrong, none with a 5xx, and nobody else is touched`,
    async () => {
      expect(notDocumented.sort()).toEqual(
        [...Object.keys({ ...APP_ROUTES, ...LOGIN_ROUTES }), ...PUBLIC_APP_ROUTES].sort(),
      );
      const app = await register(system.listeners);
      const own = await login(system.listeners, app);
      const ofOther = async (): Promise<unknown> => [
        (await device.get('/subscriptions')).body,
        (await device.get('/play')).body,
      ];
      const before = await ofOther();
      const url = new URL(system.listeners);
      const parts = { host: url.host, credentials: app, others: credentials.username };
      const requests = new FuzzApps(randomFrom(newSeed('fuzz of apps')), parts);
      const startedAt = performance.now();
      const { complaints, sent, counts } = await sendAll(url, requests, APP_REQUESTS, flaws);
      report(`${sent} requests of apps in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s; ${counts}`);
      expect(complaints).toEqual([]);
      expect(sent).toBe(APP_REQUESTS);
      expect(await ofOther()).toEqual(before);
      // What was kept of it can be read by all.
      const headers = {
        authorization: `Basic ${base64(`${app.username}:${app.password}`)}`,
      };
      for (const path of ['/api/2/devices/', '/api/2/episodes/', '/subscriptions/'])
        expect((await fetch(`${system.listeners}${path}${app.username}.json`, { headers })).status).toBe(200);
      expect((await own.get('/play')).status).toBe(200);
    },
    LONG ? 1_200_000 : 400_000,
  );
});

/** Sends so many requests over a few connections. @returns what was wrong with which answers, and how many of which status there were */
async function sendAll(
  { hostname, port }: URL,
  requests: { next(): FuzzCase },
  count: number,
  flawsOf: (one: FuzzCase, answer: RawAnswer) => string[],
): Promise<{ complaints: string[]; sent: number; counts: string }> {
  const complaints: string[] = [];
  const statuses = new Map<number, number>();
  let sent = 0;
  const work = async (): Promise<void> => {
    const socket = new RawSocket(hostname, Number(port));
    while (sent < count && complaints.length < 20) {
      sent += 1;
      const one = requests.next();
      try {
        const answer = await socket.send(one.bytes, one.method);
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        for (const flaw of flawsOf(one, answer)) complaints.push(told(one, flaw));
      } catch (error) {
        complaints.push(told(one, (error as Error).message));
        socket.close();
      }
    }
    socket.close();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  const counts = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
  return { complaints, sent, counts: counts.join(', ') };
}

/** What went wrong with which request; its token is of no interest. */
const told = ({ what, bytes }: FuzzCase, flaw: string): string =>
  `${what}: ${flaw.slice(0, 500)} to ${JSON.stringify(
    bytes
      .toString('latin1')
      .replace(/[\w-]{20,}\.[\w-]+\.[\w-]+|(?<=Basic )\S+/g, '…')
      .slice(0, 500),
  )}`;

function flaws({ method, path, expected }: FuzzCase, answer: RawAnswer): string[] {
  const { status, headers, body } = answer;
  const type = headers['content-type'] ?? '';
  // A feed that nobody has is its origin's failure, not ours.
  const isOrigins = path.startsWith('/api/v1/rss/') && [502, 504].includes(status);
  if (!(status >= 200 && status < 500) && !isOrigins) return [`${status} ${body}`];
  const isSync = path === '/api/v1/sync' && status === 200;
  const found: string[] = [];
  if (expected === 'refused' && status < 400 && !isSync) found.push(`is answered ${status}`);
  if (STACK.test(body)) found.push(`shows a stack: ${body}`);
  // A page is for people, and so is what is wrong with it.
  const isPage = path.startsWith('/index.php/login/v2/flow/') && type.startsWith('text/html');
  if (status >= 400 && method !== 'HEAD' && !isPage) {
    if (!type.startsWith('application/problem+json')) found.push(`${status} is ${type}: ${body}`);
    else if (JSON.parse(body).status !== status) found.push(`${status} says ${body}`);
  }
  return found;
}

/** What of an answer is not as documented, where it is clear which route was asked. */
function undocumentedAnswer({ method, path }: FuzzCase, answer: RawAnswer, conformance: Conformance): string[] {
  const { status, headers, body } = answer;
  const type = headers['content-type'] ?? '';
  const parsed = type.includes('json') && method !== 'HEAD' ? (JSON.parse(body) as unknown) : body;
  const pathname = path.split('?')[0]!;
  if (!/^[\w/.=-]*$/.test(pathname) || pathname.includes('..') || method !== method.toUpperCase()) return [];
  return conformance.problems(method, pathname, status, type, parsed);
}

/** The rows of every table that listeners' doings end in, by a hash of each. */
async function contents(client: Client): Promise<Record<string, string>> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE schemaname IN ('events', 'users', 'site', 'site_private') ORDER BY 1`,
  );
  const found: Record<string, string> = {};
  for (const { name } of rows.filter((row) => !RESTLESS.test(row.name))) {
    const { rows: hashes } = await client.query<{ hash: string }>(
      `SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '') AS hash FROM ${name} t`,
    );
    found[name] = hashes[0]!.hash;
  }
  return found;
}

/** What was written before must have arrived everywhere. */
async function untilQuiet(client: Client): Promise<Record<string, string>> {
  const arrived = `SELECT (SELECT count(*) FROM users.subscriptions) > 0 AND (SELECT count(*) FROM users.play_statuses) > 0
    AND (SELECT count(*) FROM users.playlist_items) > 0 AND (SELECT count(*) FROM users.saved_episodes) > 0
    AND (SELECT count(*) FROM site_private.contributions) > 2
    -- jobs have asked the feed for its title, and will not ask again so soon
    AND (SELECT min(metadata_due_at) FROM site_private.feeds) > now() AS arrived`;
  await waitFor(async () => (await client.query<{ arrived: boolean }>(arrived)).rows[0]!.arrived, {
    what: 'what the listener did to be in all tables',
  });
  return contents(client);
}
