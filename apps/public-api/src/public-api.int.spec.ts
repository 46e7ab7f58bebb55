import { createServer, Server } from 'node:http';
import { AddressInfo } from 'node:net';
import { feedId } from '@balados/feeds-ids';
import { createLogger, Service } from '@balados/platform-service';
import { migrate, openPostgres } from '@balados/platform-stores';
import { SITE_READER, siteContext } from '@balados/site-schema';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { DataSource } from 'typeorm';
import { SEARCHES_AT_ONCE, SEARCHES_WAITING_MAX } from './gpodder.controller';
import { config, start } from './index';

const FEED = 'https://example.org/feed.xml';
const ADA = '7f1f3c1e-52c6-4d3e-9d0f-0d6a2d2b9a01';

let database: TestDatabase;
let site: DataSource;
let service: Service;
let server: Server;

beforeAll(async () => {
  database = await createDatabase();
  site = await openPostgres(database.url, siteContext, { service: 'test' });
  await migrate(site, siteContext);
  await site.query(
    `INSERT INTO site.podcast_popularity (feed_id, feed, score, score_previous, plays, plays_previous, likes, likes_previous,
       plays_people, likes_people)
     VALUES ($1, $2, 8, 0, 1, 0, 1, 0, $3, $3)`,
    [feedId(FEED), FEED, JSON.stringify([ADA])],
  );
  await site.query(
    `INSERT INTO site.public_events VALUES (1, 'subscribe', $1, $2, NULL, now(), now()), (2, 'subscribe', $1, $2, NULL, now(), now())`,
    [ADA, feedId(FEED)],
  );
  await site.query(`INSERT INTO site_private.projector_segments (projector, segment) VALUES ('site', 0)`);
  const url = new URL(database.url);
  url.searchParams.set('options', `-c role=${SITE_READER}`);
  service = await start(config.parse({ SITE_DATABASE_URL: url.href }), createLogger('public-api', 'fatal'));
  server = createServer((request, response) => service.handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await service.close();
  await site.destroy();
  await database.drop();
});

/** Searches that wait for the table of podcasts. */
const SEARCHING = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%LIKE ALL%'
  AND datname = current_database() AND pid <> pg_backend_pid()`;
/** Answers are kept for a second by their address: another one each time. */
let asked = 0;
const get = async (path: string) => {
  const address = `${path}${path.includes('?') ? '&' : '?'}asked=${(asked += 1)}`;
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/public/${address}`);
  const body = (await answer.json()) as { pagination: { next_cursor: string | null } };
  return { status: answer.status, withheld: answer.headers.get('balados-withheld'), body };
};
const caughtUp = (secondsAgo: number) =>
  site.query(
    `INSERT INTO site_private.segments_caught_up VALUES (0, clock_timestamp() - $1 * interval '1 s')
     ON CONFLICT (segment) DO UPDATE SET caught_up_at = EXCLUDED.caught_up_at`,
    [secondsAgo],
  );
const POPULARITY = `feed/${Buffer.from(FEED).toString('base64url')}/popularity`;

it('names people and shows the timeline while projections keep up', async () => {
  await caughtUp(200);
  const named = { score: 8, plays_people: [ADA], likes_people: [ADA] };
  expect(await get('trending/podcasts')).toMatchObject({ status: 200, withheld: null, body: { podcasts: [named] } });
  expect(await get(POPULARITY)).toMatchObject({ withheld: null, body: { podcast: named } });
  const timeline = await get('timeline?limit=1');
  expect(timeline).toMatchObject({ withheld: null, body: { events: [{ user_id: ADA }] } });
  expect(timeline.body.pagination.next_cursor).not.toBeNull();
});

it.each([
  ['too late', () => caughtUp(301)],
  ['at the beginning', () => site.query('TRUNCATE site_private.segments_caught_up')],
])('names nobody and shows no timeline while projections are %s, and says so', async (_, before) => {
  await before();
  const nameless = { score: 8, plays_people: [], likes_people: [] };
  expect(await get('trending/podcasts')).toMatchObject({
    status: 200,
    withheld: 'true',
    body: { podcasts: [nameless] },
  });
  expect(await get(POPULARITY)).toMatchObject({ status: 200, withheld: 'true', body: { podcast: nameless } });
  expect(await get('timeline?limit=1')).toEqual({
    status: 200,
    withheld: 'true',
    body: { events: [], pagination: { limit: 1, offset: 0, next_cursor: null } },
  });
  expect(await get('timeline?limit=0')).toMatchObject({ status: 422 });
});

/** As apps of gPodder's protocol ask. */
const ask = async (path: string) => {
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
};

it('tells apps of podcasts without any name of a person, also while projections are late', async () => {
  await caughtUp(301);
  for (const path of ['/toplist/10.json', '/toplist/10.opml', '/toplist/10.txt', '/search.json?q=FEED.xml']) {
    const { status, headers, text } = await ask(path);
    expect([path, status, headers.get('cache-control'), text.includes(FEED)]).toEqual([
      ...[path, 200, 'public, max-age=29, must-revalidate', true],
    ]);
    expect(headers.get('etag')).toMatch(/^"/);
    expect(text).not.toContain(ADA);
  }
  const [known, unknown] = [FEED, `${FEED}2`].map((url) => `/api/2/data/podcast.json?url=${encodeURIComponent(url)}`);
  expect(JSON.parse((await ask(known!)).text)).toMatchObject({
    url: FEED,
    title: FEED,
    subscribers: 0,
    logo_url: null,
  });
  for (const path of [unknown!, `/api/2/data/episode.json?podcast=${FEED}&url=x`])
    expect([path, (await ask(path)).status]).toEqual([path, 404]);
  for (const path of ['/api/2/tags/10.json', '/api/2/tag/news/10.json']) expect((await ask(path)).text).toBe('[]');
  for (const path of ['/toplist/0.json', '/toplist/101.txt', '/toplist/1.xml', '/search.json', '/search.xml?q=a'])
    expect([path, (await ask(path)).status]).toEqual([path, 422]);
  expect((await ask('/api/2/data/podcast.json?url=nonsense')).status).toBe(422);
});

it('lets two search at a time, and fifty wait; who comes on top is told to come again', async () => {
  const statuses: number[] = [];
  const searches = (count: number, text: string): Promise<void>[] =>
    Array.from({ length: count }, async (_, n) => {
      statuses.push((await ask(`/search.json?q=${text}+${n}`)).status);
    });
  let asked: Promise<void>[] = [];
  await site.transaction(async (transaction) => {
    await transaction.query('LOCK TABLE site.podcast_popularity IN ACCESS EXCLUSIVE MODE');
    asked = searches(SEARCHES_AT_ONCE + SEARCHES_WAITING_MAX + 5, 'nothing');
    await waitFor(() => statuses.length === 5, { what: 'those on top to be refused' });
    expect(statuses).toEqual(Array(5).fill(503));
    expect(await transaction.query(SEARCHING)).toHaveLength(SEARCHES_AT_ONCE);
  });
  await Promise.all(asked);
  expect(statuses.filter((status) => status === 200)).toHaveLength(SEARCHES_AT_ONCE + SEARCHES_WAITING_MAX);
});

it('shows nothing that projections withdrew while it was being read, when they were late until then', async () => {
  await caughtUp(301);
  let answered: ReturnType<typeof get>;
  await site.transaction(async (transaction) => {
    await transaction.query('LOCK TABLE site_private.segments_caught_up IN ACCESS EXCLUSIVE MODE');
    answered = get('timeline');
    await waitFor(
      async () =>
        (
          await site.query(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%site.projection%'
           AND datname = current_database() AND pid <> pg_backend_pid()`)
        ).length > 0,
      { what: 'the answer to ask how late projections are' },
    );
    await transaction.query('DELETE FROM site.public_events WHERE id = 1');
    await transaction.query('UPDATE site_private.segments_caught_up SET caught_up_at = clock_timestamp()');
  });
  const { status, withheld, body } = await answered!;
  expect([status, withheld]).toEqual([200, null]);
  expect((body as unknown as { events: unknown[] }).events).toHaveLength(1);
});
