import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { IncomingMessage, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FeedsClient, FeedsServer, FeedUnavailable, serveFeeds } from '@balados/feeds-client';
import { encodeBase64Url, playLink } from '@balados/feeds-ids';
import { createLogger, listen, Listener, Service } from '@balados/platform-service';
import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { hashOfPersonalToken } from '@balados/users-accounts';
import { usersContext } from '@balados/users-schema';
import { DataSource } from 'typeorm';
import { aloneConfig as schema } from './config';
import { startAlone } from './index';

const FEED = 'https://feeds.example/show.xml';
const ENCLOSURE = 'https://media.example/1.mp3?a=b%20c';
const FEED_RETRY_MS = 30_000;
const ITEM = `guid-1,${ENCLOSURE}`;
/** What one rss-proxy knows; each further one is of a feed that nobody can fetch. */
const feeds: Pick<FeedsClient, 'episode'> = {
  async episode({ feed, item }) {
    if (feed !== FEED) throw new FeedUnavailable('feed_timeout', 'It did not answer.', FEED_RETRY_MS);
    return item === ITEM ? { enclosure: ENCLOSURE, durationS: null } : null;
  },
};
const [key, olderKey, foreignKey] = [randomBytes(32), randomBytes(32), randomBytes(32)];

let database: TestDatabase;
let users: DataSource;
let proxy: FeedsServer;
let folder: string;
let service: Service;
let listener: Listener;
let base: string;
const token = randomBytes(32).toString('base64url');
const revoked = randomBytes(32).toString('base64url');
const session = randomBytes(32).toString('base64url');
/** Everything that the service logs. */
let logged = '';

const insert = (secret: string, kind: string, revokedAt: string | null): Promise<unknown> =>
  users.query(
    `INSERT INTO users.api_tokens (id, user_id, kind, secret_hash, family_hash, expires_at, revoked_at)
     VALUES ($1, $2, $3, $4, $5, now() + interval '1 day', $6)`,
    [randomUUID(), randomUUID(), kind, Buffer.from(hashOfPersonalToken(secret)!, 'hex'), randomBytes(32), revokedAt],
  );

beforeAll(async () => {
  database = await createDatabase();
  users = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 2 });
  await migrate(users, usersContext);
  await insert(token, 'personal', null);
  await insert(revoked, 'personal', '2026-01-01T00:00:00Z');
  await insert(session, 'session', null);
  const silent = { log: () => undefined, error: () => undefined, warn: () => undefined };
  proxy = await serveFeeds(feeds as FeedsClient, { host: '127.0.0.1', port: 0, logger: silent });
  folder = mkdtempSync(join(tmpdir(), 'balados-gateway-'));
  const config = schema.parse({
    EVENTSTORE_URL: 'esdb://127.0.0.1:1?tls=false',
    USERS_DATABASE_URL: database.url,
    FEEDS_URL: `tcp://127.0.0.1:${proxy.port}`,
    LINK_KEYS: [key, olderKey].map((each) => each.toString('base64url')).join(),
    DATA_DIR: folder,
    RATE_ADDRESS: '0',
  });
  const log = createLogger('play-gateway', 'trace');
  for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const)
    log[level] = (...said: unknown[]) => void (logged += `${JSON.stringify(said)} ${said.map(String).join()}\n`);
  service = await startAlone(config, log);
  listener = await listen(service.handle, { port: 0, host: '127.0.0.1' });
  base = `http://127.0.0.1:${listener.port}`;
}, 60_000);
afterAll(async () => {
  await listener?.close();
  await service?.close();
  await proxy?.close();
  await users?.destroy();
  await database?.drop();
  if (folder) rmSync(folder, { recursive: true, force: true });
}, 60_000);

/**
 * As it stands, which `fetch` would not send. Once more where Postgres did not tell the token's owner in time, as a client
 * would: beside other suites it may take that long.
 */
async function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<IncomingMessage> {
  const answer = await sendTo(path, headers, method);
  const isLate = answer.statusCode === 503 && answer.headers['retry-after'] !== String(FEED_RETRY_MS / 1_000);
  return isLate ? sendTo(path, headers, method) : answer;
}

function sendTo(path: string, headers: Record<string, string>, method: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(base, { path, method, headers, agent: false }, (answer) => resolve(answer.resume()));
    sent.on('error', reject).end();
  });
}

const secretKey = (bytes: Buffer) => schema.shape.LINK_KEYS.parse(bytes.toString('base64url'))[0]!;
const pathOf = (parts: { token?: string; feed?: string; item?: string }, by = key): string =>
  playLink('', { token, feed: FEED, item: ITEM, ...parts }, secretKey(by))!;
const unsigned = (parts: { token?: string; feed?: string; item?: string } = {}): string =>
  pathOf(parts).replace(/^(\/[^/.]*)\.[^/]*/, '$1');
const signed = pathOf({});
const signature = /\.([^/]+)/.exec(signed)![1]!;
const EVIL = 'https://evil.example/';

/** How many links came to what, and how many plays wait. */
async function counts(): Promise<Record<string, number>> {
  const text = await service.registry.metrics();
  const outcomes = [...text.matchAll(/^play_links_total\{outcome="(\w+)".*\} (\d+)$/gm)];
  const waiting = /^play_journal_plays.* (\d+)$/m.exec(text)!;
  return Object.fromEntries([
    ...outcomes.map(([, name, count]) => [name, Number(count)]),
    ['waiting', Number(waiting[1])],
  ]);
}

/** A listener who has not heard anything yet. */
async function newToken(): Promise<string> {
  const secret = randomBytes(32).toString('base64url');
  await insert(secret, 'personal', null);
  return secret;
}

it('is ready, although no event store is', async () => {
  expect((await fetch(`${base}/readyz`)).status).toBe(200);
});

it.each([
  ['a signed link', signed],
  ['one that an older key has signed', pathOf({}, olderKey)],
  ['without its extension', signed.replace('.mp3', '')],
  ['with a query', `${signed}?utm=1`],
  ['an unsigned one, of an episode that its feed has', unsigned()],
  ['one that somebody else has signed, of an episode that its feed has', pathOf({}, foreignKey)],
  ['another signature, of an episode that its feed has', signed.replace(signature, 'A'.repeat(22))],
  ['escaped', `/${encodeURIComponent(signed.slice(1)).replaceAll('%2F', '/')}`],
])('%s redirects', async (_what, path) => {
  const { statusCode, headers } = await get(path);
  expect(statusCode).toBe(302);
  expect(headers).toMatchObject({
    location: ENCLOSURE,
    'cache-control': 'private, no-cache',
    'referrer-policy': 'no-referrer',
    'access-control-allow-origin': '*',
  });
});

const other = `guid-2,${EVIL}`;
it.each<[what: string, status: number, path: string]>([
  ['an episode that the feed has not', 404, unsigned({ item: other })],
  ['another target under the guid of an episode', 404, unsigned({ item: `guid-1,${EVIL}` })],
  ['another guid with the target of an episode', 404, unsigned({ item: `guid-2,${ENCLOSURE}` })],
  ["signed with another's key", 404, pathOf({ item: other }, foreignKey)],
  ['the signature of another episode', 404, pathOf({ item: other }).replace(/\.[^/]*/, `.${signature}`)],
  ['another target under the signature', 404, signed.replace(/[^/]*\.mp3$/, `${encodeBase64Url(other)}.mp3`)],
  ['a feed that nobody can ask', 503, unsigned({ feed: 'https://other.example/' })],
  ['another feed under a wrong signature', 503, pathOf({ feed: 'https://other.example/' }, foreignKey)],
  ['a token that was revoked', 401, pathOf({ token: revoked })],
  ['the token of a session', 401, pathOf({ token: session })],
  ['a token that never was', 401, pathOf({ token: randomBytes(32).toString('base64url') })],
  ['what is no token', 401, pathOf({ token: 'short' })],
  ['another token under the signature', 401, signed.replace(token, revoked)],
  ['a token with another end', 401, unsigned({ token: `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}` })],
  ['a script', 404, `/${token}/${encodeBase64Url(FEED)}/${encodeBase64Url('guid-1,javascript:alert(1)')}`],
  ['a target without a scheme', 404, `/${token}/${encodeBase64Url(FEED)}/${encodeBase64Url('guid-1,//evil.example')}`],
  ['a line end', 404, `/${token}/${encodeBase64Url(FEED)}/${encodeBase64Url(`guid-1,${EVIL}\r\nset-cookie: a=b`)}`],
  ['a target for a guid', 404, `/${token}/${encodeBase64Url(FEED)}/${encodeBase64Url(EVIL)}`],
  ['a target in the clear', 404, `/${token}/${encodeBase64Url(FEED)}/${EVIL}`],
  ['a target escaped', 404, `/${token}/${encodeBase64Url(FEED)}/${encodeURIComponent(EVIL)}`],
  ['another host before the path', 404, `//evil.example/${signed.slice(1)}`],
  ['escaped twice', 404, `/${encodeURIComponent(encodeURIComponent(signed.slice(1)))}`],
  ['an extension that is none', 404, signed.replace('.mp3', '%2emp3%2e')],
  ['a line end after the extension', 404, signed.replace('.mp3', '.mp3%0d%0aset-cookie:a=b')],
  ['NUL', 404, `/${token}/%00/${encodeBase64Url(ITEM)}`],
  ['a huge feed', 404, `/${token}/${'A'.repeat(9_000)}/${encodeBase64Url(ITEM)}`],
  ['a huge token', 401, `/${'A'.repeat(12_000)}/${encodeBase64Url(FEED)}/${encodeBase64Url(ITEM)}`],
  ['thousands of segments', 404, `/${'A/'.repeat(6_000)}`],
  ['more than a request may have', 431, `/${'A'.repeat(40_000)}`],
  ['the root', 404, '/'],
  ['what browsers ask for', 404, '/favicon.ico'],
  ['the server itself', 404, '*'],
])('%s is %i', async (_what, status, path) => {
  const before = (await counts()).waiting;
  const { statusCode, headers } = await get(path);
  expect(statusCode).toBe(status);
  expect(headers.location).toBeUndefined();
  expect(headers['set-cookie']).toBeUndefined();
  expect(headers['content-type']).toMatch(/^application\/problem\+json/);
  if (status === 401) expect(headers['www-authenticate']).toBeDefined();
  if (status === 503) expect(Number(headers['retry-after'])).toBe(FEED_RETRY_MS / 1_000);
  expect((await counts()).waiting).toBe(before);
});

it('lets players in pages ask, and refuses what is no asking', async () => {
  const preflight = await get(
    signed,
    { origin: 'https://app.example', 'access-control-request-method': 'GET' },
    'OPTIONS',
  );
  expect(preflight.statusCode).toBe(204);
  expect(preflight.headers).toMatchObject({
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET, HEAD',
    'access-control-allow-headers': '*',
  });
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
    const { statusCode, headers } = await get(signed, {}, method);
    expect([statusCode, headers.allow, headers.location]).toEqual([405, 'GET, HEAD', undefined]);
  }
  expect((await get(pathOf({ token: revoked }))).headers['access-control-allow-origin']).toBe('*');
});

it('counts a play once a day and token, and nothing that is none', async () => {
  const [one, other] = [await newToken(), await newToken()];
  const before = await counts();
  const ask = async (path: string, headers = {}, method = 'GET'): Promise<void> =>
    expect((await get(path, headers, method)).statusCode).toBe(302);
  await ask(pathOf({ token: one }), {}, 'HEAD');
  await ask(pathOf({ token: one }), { range: 'bytes=1000-' });
  await ask(pathOf({ token: one }), { range: 'bytes=0-0' });
  await ask(pathOf({ token: one }), { 'user-agent': 'Googlebot/2.1 (+http://www.google.com/bot.html)' });
  expect(await counts()).toEqual({ ...before, no_play: (before.no_play ?? 0) + 4 });
  await ask(pathOf({ token: one }), { range: 'bytes=0-1' });
  await Promise.all([1, 2, 3].map(() => ask(pathOf({ token: one }))));
  await ask(unsigned({ token: one }));
  // Its publisher moved it, and we signed both.
  await ask(pathOf({ token: one, item: 'guid-1,https://moved.example/1.mp3' }));
  await ask(pathOf({ token: one, item: 'guid-2,https://media.example/2.mp3' }));
  await ask(pathOf({ token: other }));
  const after = await counts();
  expect(after.play! - before.play!).toBe(3);
  expect(after.waiting! - before.waiting!).toBe(3);
  expect((after.repeat ?? 0) - (before.repeat ?? 0)).toBe(5);
});

it('stops taking a token within five seconds of its end', async () => {
  const secret = await newToken();
  expect((await get(pathOf({ token: secret }))).statusCode).toBe(302);
  const revokedAt = performance.now();
  await users.query('UPDATE users.api_tokens SET revoked_at = now() WHERE secret_hash = $1', [
    Buffer.from(hashOfPersonalToken(secret)!, 'hex'),
  ]);
  const refused = async () => (await get(pathOf({ token: secret }))).statusCode === 401;
  await waitFor(refused, { what: 'the end of the token', timeoutMs: 10_000 });
  expect(performance.now() - revokedAt).toBeLessThan(5_000);
});

it('keeps the time of last use to those who may write it', async () => {
  const used = await users.query('SELECT 1 FROM users.api_tokens WHERE last_used_at IS NOT NULL');
  expect(used).toEqual([]);
});

it('writes no token, neither into its files nor into its log', async () => {
  const files = join(folder, 'plays');
  const names = readdirSync(files).filter((name) => name !== 'lock');
  const written = names.map((name) => readFileSync(join(files, name), 'latin1'));
  expect(written.join()).toContain(hashOfPersonalToken(token));
  for (const secret of [token, revoked, session, signature]) expect(written.join() + logged).not.toContain(secret);
  expect(logged).toContain('feed_unavailable');
});
