import { setTimeout as delay } from 'node:timers/promises';
import { createHash } from 'node:crypto';
import { episodeId, feedId } from '@balados/feeds-ids';
import { drift } from '@balados/site-projections';
import { waitFor } from '@balados/testing';
import { Client } from 'pg';
import { base64, base64Url, Credentials, Device, login, newListener, request } from './support/client';
import { withSql } from './support/comparison';
import { nextcloudApp } from './support/nextcloud-app';
import { KINDS, startSystem, System } from './support/system';

const SHARED = 'https://feeds.example/shared.xml';
const SHARED_ITEM = 'guid-shared,https://media.example/shared.mp3';
/** What is in no feed, item, name or device of the other listener. */
const SECRET = 'wombat';
const OWN = `https://feeds.example/${SECRET}.xml`;
const LEFT = `https://feeds.example/left-${SECRET}.xml`;
const ITEM = `guid-${SECRET},https://media.example/${SECRET}.mp3`;
/** Revocation, two projectors, and the event store's own removal of what is hidden, once a minute. */
const ERASED_WITHIN_MS = 150_000;

describe.each(KINDS)('an account that is deleted on %s', (kind) => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem(kind, { DEFAULT_PRIVACY: 'public', PUBLIC_MIN_LISTENERS: '1' });
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  it(
    'leaves nothing but a hash, and nobody else with less',
    async () => {
      const credentials = { username: `${SECRET}-${Date.now()}`, password: 'a long sentence of mine' };
      await request(`${system.listeners}/api/v1/accounts`, { method: 'POST', body: credentials });
      const device = await login(system.listeners, credentials, `tablet of ${SECRET}`);
      const other = await newListener(system.listeners);
      await liveALittle(other, false);
      await liveALittle(device, true);
      const app = nextcloudApp(system.listeners, credentials);
      await app('subscription_change/create', { add: [OWN.replace('https', 'HTTPS')], remove: [] });
      await withSql(system.database, async (client) => {
        const names = [device.userId, SECRET, feedId(OWN), feedId(LEFT), episodeId(OWN, ITEM)];
        await waitFor(async () => (await tracesOf(client, names)).some((trace) => trace.includes('public_events')), {
          what: 'what the listener did to be public',
        });
        await untilProjected(client, other);
        const before = await everythingOf(other, system);

        // Nobody may delete it who does not know its password.
        const wrong = await device.send('DELETE', '/account', { password: 'another sentence' });
        expect([wrong.status, wrong.body.code]).toEqual([403, 'wrong_password']);
        const refused = await device.send('DELETE', '/account');
        expect([refused.status, refused.body.code]).toEqual([403, 'wrong_password']);
        const answer = await device.send('DELETE', '/account', { password: credentials.password });
        expect(answer).toMatchObject({ status: 202, body: { status: 'accepted', data: { scope: 'account' } } });
        const again = await device.send('DELETE', '/account', { password: credentials.password });
        expect([again.status, again.body.code]).toEqual([401, 'revoked_session']);
        expect((await attemptLogin(system, credentials)).status).toBe(401);
        const refresh = { method: 'POST', body: { refresh_token: device.refreshToken } };
        expect((await request(`${system.listeners}/api/v1/auth/refresh`, refresh)).status).toBe(401);
        // Its name is not free before it is done.
        const taken = await request(`${system.listeners}/api/v1/accounts`, { method: 'POST', body: credentials });
        expect(taken.body.code).toBe('username_taken');

        if (kind === 'services') await killAgainAndAgain(system, client);
        await waitFor(async () => (await tracesOf(client, names)).filter(isNoTombstone).length === 0, {
          what: 'every trace to be gone',
          timeoutMs: ERASED_WITHIN_MS,
        }).catch(async () => expect((await tracesOf(client, names)).filter(isNoTombstone)).toEqual([]));
        const { rows } = await client.query('SELECT user_id, user_hash, scope, finished_at FROM users.erasures');
        const user_hash = createHash('sha256').update(device.userId).digest();
        expect(rows).toEqual([{ user_id: null, user_hash, scope: 'account', finished_at: expect.any(Date) }]);
        expect(await everythingOf(other, system)).toEqual(before);
        expect(await withoutOrphans(client)).toEqual([]);
        const sql = { query: async (statement: string) => (await client.query(statement)).rows };
        expect(await drift(sql as never, { publicMinListeners: 1 })).toBe(0);
      });
      // Of the podcast that both heard counts what the other does: a subscription, a play, a save and a share.
      const popularity = `${system.public}/api/v1/public/feed/${base64Url(SHARED)}/popularity`;
      const counted = { score: 20, plays: 1, likes: 1, plays_people: [other.userId], likes_people: [other.userId] };
      await waitFor(async () => (await request(popularity)).body.podcast.score === counted.score, {
        what: 'the counts of the other alone',
      });
      expect((await request(popularity)).body.podcast).toMatchObject(counted);
      const anew = await request(`${system.listeners}/api/v1/accounts`, { method: 'POST', body: credentials });
      expect(anew.status).toBe(201);
      expect(anew.body.user_id).not.toBe(device.userId);
    },
    ERASED_WITHIN_MS + 60_000,
  );
});

const isNoTombstone = (trace: string): boolean => !/^events\.(events\.stream|streams\.name) /.test(trace);

async function attemptLogin({ listeners }: System, credentials: Credentials) {
  return request(`${listeners}/api/v1/auth/login`, { method: 'POST', body: credentials });
}

/** A bit of everything: also on a podcast that both hear, and with `secretly` on ones that are the listener's alone. */
async function liveALittle(device: Device, secretly: boolean): Promise<void> {
  const answers = [
    await device.subscribe(SHARED),
    await device.play(SHARED, SHARED_ITEM, 30),
    await device.save(SHARED_ITEM, SHARED),
    await device.share(SHARED_ITEM, SHARED),
    await device.send('PUT', '/privacy', { privacy: 'public' }),
    await device.send('POST', '/tokens', { name: secretly ? `${SECRET}'s car` : 'car' }),
  ];
  if (secretly) {
    answers.push(
      await device.subscribe(OWN),
      await device.subscribe(LEFT),
      await device.unsubscribe(LEFT),
      await device.play(OWN, ITEM, 10),
      await device.save(ITEM, OWN),
      await device.unsave(ITEM, OWN),
      await device.share(ITEM, OWN),
      await device.send('PUT', '/privacy', { privacy: 'public', feed: base64(OWN) }),
    );
    const playlist = await device.send('POST', '/playlists', { name: `${SECRET} walks` });
    const entry = { rss_source_feed: base64(OWN), rss_source_item: base64(ITEM), item_title: SECRET };
    answers.push(playlist, await device.send('POST', `/playlists/${playlist.body.data.id}/items`, entry));
  }
  for (const { status } of answers) expect(status).toBe(200);
}

const untilProjected = (client: Client, { userId }: Device): Promise<unknown> =>
  waitFor(
    async () => {
      const { rows } = await client.query(
        'SELECT count(*)::int AS streams FROM site_private.listener_revisions WHERE user_id = $1',
        [userId],
      );
      return rows[0].streams === 3;
    },
    { what: 'the projection of the other listener' },
  );

/** All that a listener is answered of themselves, and what is public without those who are gone. */
async function everythingOf(device: Device, system: System): Promise<unknown> {
  const { body } = await device.get('/account/export');
  const { exported_at: _, ...held } = body;
  for (const token of held.tokens) delete token.last_used_at;
  const popularity = `/public/feed/${base64Url(SHARED)}/popularity`;
  const { body: shared } = await request(`${system.public}/api/v1${popularity}`);
  expect(shared.podcast.plays_people).toContain(device.userId);
  return held;
}

/** Every value of every table of every schema of ours that shows one of these texts: `schema.table.column how`. */
async function tracesOf(client: Client, texts: readonly string[]): Promise<string[]> {
  const { rows: columns } = await client.query<{ name: string; column: string; type: string }>(
    `SELECT format('%I.%I', table_schema, table_name) AS name, column_name AS column, data_type AS type
     FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
     WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'`,
  );
  const wanted = texts.flatMap((text) => [text, base64(text).replace(/=+$/, '').slice(0, -1)]);
  const found: string[] = [];
  for (const { name, column, type } of columns) {
    const value = type === 'bytea' ? `encode("${column}", 'escape')` : `"${column}"::text`;
    const { rows } = await client.query<{ times: number; example: string }>(
      `SELECT count(*)::int AS times, min(left(${value}, 200)) AS example FROM ${name} WHERE ${value} ILIKE ANY ($1::text[])`,
      [wanted.map((text) => `%${text}%`)],
    );
    if (rows[0]!.times > 0) found.push(`${name}.${column} ${rows[0]!.times} times, ${rows[0]!.example}`);
  }
  return found;
}

/** Podcasts and people of whom nothing stands any more. */
async function withoutOrphans(client: Client): Promise<unknown[]> {
  const { rows } = await client.query(
    `SELECT feed FROM site_private.feeds WHERE feed_id NOT IN (SELECT feed_id FROM site_private.contributions)
     UNION ALL SELECT feed FROM site.podcast_popularity WHERE feed_id NOT IN (SELECT feed_id FROM site_private.contributions)
     UNION ALL SELECT item FROM site.episode_popularity WHERE episode_id NOT IN (
       SELECT episode_id FROM site_private.contributions WHERE episode_id IS NOT NULL)`,
  );
  return rows;
}

/** As often as jobs comes up before the erasure is done, at another place each time. */
async function killAgainAndAgain({ processes }: System, client: Client): Promise<void> {
  const jobs = processes['jobs']!;
  for (let times = 0; times < 6; times += 1) {
    // Not a wait for anything: where it strikes is to be left to chance.
    await delay(500 + Math.random() * 3_000);
    await jobs.kill();
    await jobs.start();
    const { rows } = await client.query('SELECT FROM users.erasures WHERE finished_at IS NULL');
    if (rows.length === 0) return;
  }
}
