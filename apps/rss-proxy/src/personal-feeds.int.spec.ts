import 'reflect-metadata';
import { createSecretKey, randomBytes, randomUUID } from 'node:crypto';
import { openFeed } from '@balados/feeds-content';
import { Origin, startOrigin } from '@balados/feeds-fetch/testing';
import { feedId, isSigned, itemKey, readPlayLink } from '@balados/feeds-ids';
import { createLogger, listen, Listener, readConfig } from '@balados/platform-service';
import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { hashOfPersonalToken } from '@balados/users-accounts';
import { FEED_READER, usersContext } from '@balados/users-schema';
import type { DataSource } from 'typeorm';
import { config } from './config';
import { RssProxy, start } from './index';
import { MADE_AT_A_TIME, MADE_WAITING_MAX } from './personal-feeds';

const feedOf = (name: string, days: number[]): string =>
  `<rss version="2.0" xmlns:x="urn:${name}"><channel><title>${name}</title><itunes:image href="https://media.example/${name}.jpg"/>${days
    .map(
      (day) => `<item><guid>${name}-${day}</guid><title>Day ${day}</title><x:kept/>
        <pubDate>2026-01-0${day}</pubDate><enclosure url="https://media.example/${name}-${day}.mp3" type="audio/mpeg"/></item>`,
    )
    .join('')}</channel></rss>`;
const FEEDS: Record<string, string> = {
  '/trains': feedOf('trains', [1, 3, 5]),
  '/ponds': feedOf('ponds', [2, 4]),
  '/left': feedOf('left', [6]),
};
const linkKey = randomBytes(32);
/** More than may be made and wait, of all listeners together. */
const MANY = MADE_AT_A_TIME + MADE_WAITING_MAX + 1;

describe('personal feeds', () => {
  let database: TestDatabase;
  let users: DataSource;
  let origin: Origin;
  let proxy: RssProxy;
  let listener: Listener;
  let logged = '';
  let answerSlow: (() => void) | undefined;
  const ann = randomUUID();
  const token = randomBytes(32).toString('base64url');

  const url = (path: string): string => `http://127.0.0.1:${origin.port}${path}`;
  const insertToken = (secret: string, revokedAt: string | null = null, userId = ann): Promise<unknown> =>
    users.query(
      `INSERT INTO users.api_tokens (id, user_id, kind, secret_hash, family_hash, revoked_at)
       VALUES ($1, $2, 'personal', $3, $4, $5)`,
      [randomUUID(), userId, Buffer.from(hashOfPersonalToken(secret)!, 'hex'), randomBytes(32), revokedAt],
    );
  const subscribe = (userId: string, feed: string, subscribed = true): Promise<unknown> =>
    users.query(
      `INSERT INTO users.subscriptions (user_id, feed_id, feed, subscribed_at, subscribed, revision) VALUES ($1, $2, $3, now(), $4, 0)`,
      [userId, feedId(feed), feed, subscribed],
    );
  const insertPlaylist = async (userId: string, items: [string, string][], deletedAt: string | null = null) => {
    const id = randomUUID();
    const ids = items.map(([, item]) => itemKey(item));
    await users.query(
      `INSERT INTO users.playlists (user_id, playlist_id, name, updated_at, deleted_at, revision, item_order, order_revision)
       VALUES ($1, $2, 'Slow & long', now(), $3, 0, $4, 0)`,
      [userId, id, deletedAt, ids],
    );
    // Added the other way round: the order is the playlist's.
    for (const [index, [feed, item]] of [...items.entries()].reverse())
      await users.query(
        `INSERT INTO users.playlist_items (user_id, playlist_id, item_id, feed, item, created_at, updated_at, revision)
         VALUES ($1, $2, $3, $4, $5, now(), now(), 0)`,
        [userId, id, ids[index], feed, item],
      );
    return id;
  };

  beforeAll(async () => {
    database = await createDatabase();
    users = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 2 });
    await migrate(users, usersContext);
    origin = await startOrigin((request, response) => {
      if (request.url === '/slow') return void (answerSlow = () => response.end(feedOf('slow', [1])));
      const feed = FEEDS[request.url!];
      if (feed === undefined) return void response.writeHead(404).end();
      response.end(feed);
    });
    await insertToken(token);
    for (const path of ['/trains', '/ponds', '/dead']) await subscribe(ann, url(path));
    await subscribe(ann, url('/left'), false);
    await subscribe(randomUUID(), url('/left'));
    const reader = new URL(database.url);
    reader.searchParams.set('options', `-c role=${FEED_READER}`);
    const log = createLogger('test', 'trace');
    for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const)
      log[level] = (...said: unknown[]) => void (logged += JSON.stringify(said));
    const settings = readConfig(config, {
      USERS_DATABASE_URL: reader.href,
      LINK_KEYS: linkKey.toString('base64url'),
      PLAY_URL: 'https://play.example',
      FEEDS_ALLOW_PRIVATE: `127.0.0.1:${origin.port}`,
      RATE_ADDRESS: '0',
    });
    proxy = await start(settings, log);
    listener = await listen(proxy.handle, { port: 0, host: '127.0.0.1' });
    await waitFor(async () => (await ask(token, 'subscriptions')).status === 200, { what: 'Postgres' });
  }, 60_000);
  afterAll(async () => {
    await listener?.close();
    await proxy?.close();
    await origin?.close();
    await users?.destroy();
    await database?.drop();
  }, 60_000);

  const ask = async (secret: string, path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(`http://127.0.0.1:${listener.port}/api/v1/rss/user/${secret}/${path}`, { headers });
    return { status: answer.status, headers: answer.headers, body: await answer.text() };
  };
  const items = (body: string) => openFeed(Buffer.from(body)).items;
  const code = (body: string) => (JSON.parse(body) as { code: string }).code;

  it('have the newest of what one is subscribed to, and name what is dead', async () => {
    const { status, headers, body } = await ask(token, 'subscriptions');
    expect(status).toBe(200);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'application/xml; charset=utf-8',
      'cache-control': 'private, max-age=60',
      'referrer-policy': 'no-referrer',
      etag: expect.stringMatching(/^"[\w-]{43}"$/),
    });
    expect(items(body).map(({ title }) => title)).toEqual(
      [5, 4, 3, 2, 1].map((day) => `[${day % 2 ? 'trains' : 'ponds'}] Day ${day}`),
    );
    expect(body).toContain(`<!-- Not to be had just now: 127.0.0.1:${origin.port} -->`);
    expect(body).toContain(`/api/v1/rss/user/${token}/subscriptions"`);
    expect(body.match(/<x:kept\/>/g)).toHaveLength(5);
    // Of the podcast that was subscribed to last.
    expect(body).toContain('<itunes:image href="https://media.example/ponds.jpg"');
  });

  it('are compressed for who asks for that, and tagged apart', async () => {
    const get = async (coding: string, headers: Record<string, string> = {}) => {
      const path = `http://127.0.0.1:${listener.port}/api/v1/rss/user/${token}/subscriptions`;
      const answer = await fetch(path, { headers: { ...headers, 'accept-encoding': coding } });
      return { status: answer.status, headers: answer.headers, body: await answer.text() };
    };
    const [plain, compressed] = [await get('identity'), await get('gzip')];
    expect([plain, compressed].map(({ headers }) => headers.get('content-encoding'))).toEqual([null, 'gzip']);
    expect(compressed.body).toBe(plain.body);
    const tag = compressed.headers.get('etag')!;
    expect(tag).not.toBe(plain.headers.get('etag'));
    expect((await get('gzip', { 'if-none-match': tag })).status).toBe(304);
    for (const { headers } of [plain, compressed]) expect(headers.get('vary')).toContain('accept-encoding');
  });

  it('lead through play links that we signed', async () => {
    const { body } = await ask(token, 'subscriptions');
    const [newest] = items(body);
    expect(newest!.enclosure).toMatch(/^https:\/\/play\.example\/.*\.mp3$/);
    const link = readPlayLink(new URL(newest!.enclosure).pathname);
    expect(link).toMatchObject({ token, feed: url('/trains'), item: 'trains-5,https://media.example/trains-5.mp3' });
    expect(isSigned(link!, [createSecretKey(linkKey)])).toBe(true);
  });

  it('are 304 for who holds them, and another once a podcast is left', async () => {
    const first = await ask(token, 'subscriptions');
    const held = { 'if-none-match': first.headers.get('etag')! };
    expect((await ask(token, 'subscriptions', held)).status).toBe(304);
    const setPonds = (subscribed: boolean) =>
      users.query('UPDATE users.subscriptions SET subscribed = $2 WHERE feed = $1', [url('/ponds'), subscribed]);
    await setPonds(false);
    const second = await ask(token, 'subscriptions', held);
    expect([second.status, items(second.body).length]).toEqual([200, 3]);
    await setPonds(true);
  });

  it('have a playlist in its order, whatever became of the enclosures', async () => {
    const id = await insertPlaylist(ann, [
      [url('/ponds'), 'ponds-4,https://moved.example/ponds-4.mp3'],
      [url('/dead'), 'gone,'],
      [url('/left'), 'left-6,https://media.example/left-6.mp3'],
      [url('/trains'), 'trains-2,'],
      [url('/trains'), 'trains-5,https://media.example/trains-5.mp3'],
    ]);
    const { status, body } = await ask(token, `playlist/${id.toUpperCase()}`);
    expect(status).toBe(200);
    expect(items(body).map(({ title }) => title)).toEqual(['[ponds] Day 4', '[left] Day 6', '[trains] Day 5']);
    expect(openFeed(Buffer.from(body)).feed.title).toBe('Slow & long');
  });

  it('are no feeds of other listeners, nor of what was deleted', async () => {
    const anothers = await insertPlaylist(randomUUID(), [[url('/trains'), 'trains-1,']]);
    const deleted = await insertPlaylist(ann, [[url('/trains'), 'trains-1,']], '2026-01-01');
    for (const id of [anothers, deleted, randomUUID()]) {
      const { status, headers, body } = await ask(token, `playlist/${id}`);
      expect([status, code(body), headers.get('cache-control')]).toEqual([404, 'playlist_unknown', 'no-store']);
    }
    expect((await ask(token, 'playlist/mine')).status).toBe(422);
  });

  it('are 401 for a token that is none, not known, or revoked', async () => {
    const revoked = randomBytes(32).toString('base64url');
    await insertToken(revoked, '2026-01-01T00:00:00Z');
    for (const secret of ['a', randomBytes(32).toString('base64url'), revoked])
      for (const path of ['subscriptions', `playlist/${randomUUID()}`]) {
        const { status, body } = await ask(secret, path);
        expect([status, code(body)]).toEqual([401, 'invalid_token']);
      }
  });

  it.each(['api_tokens', 'subscriptions'])('are 503 while %s cannot be read', async (table) => {
    const fresh = randomBytes(32).toString('base64url');
    await insertToken(fresh);
    await users.query(`ALTER TABLE users.${table} RENAME TO hidden`);
    try {
      const { status, headers, body } = await ask(fresh, 'subscriptions');
      expect([status, code(body), headers.get('retry-after')]).toEqual([503, 'unavailable', '5']);
    } finally {
      await users.query(`ALTER TABLE users.hidden RENAME TO ${table}`);
    }
  });

  it('are made for the others, however often one with slow podcasts asks', async () => {
    const [bob, secret] = [randomUUID(), randomBytes(32).toString('base64url')];
    await insertToken(secret, null, bob);
    await subscribe(bob, url('/slow'));
    const asked = Array.from({ length: MANY }, () => ask(secret, 'subscriptions'));
    const refused = await Promise.race(asked);
    expect([refused.status, code(refused.body), refused.headers.get('retry-after')]).toEqual([503, 'unavailable', '5']);
    expect((await ask(token, 'subscriptions')).status).toBe(200);
    (await waitFor(() => answerSlow, { what: 'the question' }))();
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses).toContain(200);
  });

  it('leave no token in the log', () => expect(logged).not.toContain(token));
});
