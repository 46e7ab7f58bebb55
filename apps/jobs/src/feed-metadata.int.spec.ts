import { FeedsClient, FeedsServer, FeedUnavailable, openFeedsClient, serveFeeds } from '@balados/feeds-client';
import { feedId } from '@balados/feeds-ids';
import { createLogger, nestLogger } from '@balados/platform-service';
import { migrate, openPostgres } from '@balados/platform-stores';
import { siteContext } from '@balados/site-schema';
import { usersContext } from '@balados/users-schema';
import { createDatabase, TestDatabase } from '@balados/testing';
import { DataSource } from 'typeorm';
import type { Figures } from './jobs';
import { SETTINGS } from './settings.fixture';
import { METADATA_KEPT_MS, METADATA_RETRY_MS, refreshFeedMetadata } from './feed-metadata';

const NOW = 1_800_000_000_000;
const url = (name: string): string => `https://${name}.example/feed.xml`;

let database: TestDatabase;
let site: DataSource;
let users: DataSource;
let server: FeedsServer;
let answerLate: () => void = () => undefined;
let movesTo: string | null = null;

/** What each podcast is named after is what comes of asking for it. */
const feeds: Pick<FeedsClient, 'metadata'> = {
  async metadata({ feed }) {
    const title = new URL(feed).host.split('.')[0]!;
    if (title === 'endless') await new Promise<void>((resolve) => (answerLate = resolve));
    if (title === 'dead') throw new FeedUnavailable('feed_not_found', 'The origin answers 404.');
    const movedTo = title === 'moved' ? movesTo : null;
    return { title, author: null, link: null, cover: null, blocked: false, gone: false, movedTo };
  },
};

beforeAll(async () => {
  database = await createDatabase();
  site = await openPostgres(database.url, siteContext, { service: 'test', poolSize: 4 });
  await migrate(site, siteContext);
  users = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 1 });
  await migrate(users, usersContext);
  server = await serveFeeds(feeds as FeedsClient, {
    host: '127.0.0.1',
    port: 0,
    logger: nestLogger(createLogger('test', 'silent')),
    drainMs: 1,
  });
});
afterAll(async () => {
  answerLate();
  await server?.close();
  await site?.destroy();
  await users?.destroy();
  await database?.drop();
});
beforeEach(() => site.query('DELETE FROM site_private.feeds'));

async function run(names: string[], { now = NOW, port = server.port } = {}): Promise<Figures> {
  for (const name of names)
    await site.query('INSERT INTO site_private.feeds (feed_id, feed) VALUES ($1, $2)', [feedId(url(name)), url(name)]);
  const client = openFeedsClient(`tcp://127.0.0.1:${port}`, { timeoutMs: 500 });
  try {
    return await refreshFeedMetadata({
      ...SETTINGS,
      users,
      site,
      feeds: client,
      now: () => now,
    });
  } finally {
    client.close();
  }
}

/** Of a podcast: its title, and in how many milliseconds it is asked for again. */
async function known(name: string): Promise<{ title: string | null; inMs: number }> {
  const [row] = await site.query<{ feed_title: string | null; due: number | null }[]>(
    `SELECT feed_title, extract(epoch FROM nullif(metadata_due_at, '-infinity')) * 1000 AS due
     FROM site_private.feeds WHERE feed_id = $1`,
    [feedId(url(name))],
  );
  return { title: row!.feed_title, inMs: row!.due === null ? -Infinity : Number(row!.due) - NOW };
}

it('learns what feeds say of themselves, and asks again in about a day', async () => {
  expect(await run(['pond', 'trains'])).toEqual({ described: 2 });
  const { title, inMs } = await known('pond');
  expect(title).toBe('pond');
  expect(Math.abs(inMs - METADATA_KEPT_MS)).toBeLessThanOrEqual(METADATA_KEPT_MS / 4);
  expect(await run([])).toEqual({ described: 0 });
});

it('asks a dead one again, twice as late each time', async () => {
  expect(await run(['dead', 'pond'])).toEqual({ described: 1, feed_not_found: 1 });
  expect((await known('dead')).inMs).toBe(METADATA_RETRY_MS);
  await run([], { now: NOW + METADATA_RETRY_MS });
  expect((await known('dead')).inMs).toBe(3 * METADATA_RETRY_MS);
});

it('puts one off that takes rss-proxy too long, and goes on with the others', async () => {
  const others = Array.from({ length: 20 }, (_, n) => `podcast-${n}`);
  expect(await run(['endless', ...others])).toEqual({ described: others.length, late: 1 });
  expect((await known('endless')).inMs).toBe(METADATA_RETRY_MS);
});

it('puts none off while rss-proxy is away', async () => {
  expect(await run(['pond', 'trains'], { port: 1 })).toEqual({ described: 0, unreachable: expect.any(Number) });
  expect(await known('pond')).toEqual({ title: null, inMs: -Infinity });
});

it('goes on with the others when the database takes one amiss', async () => {
  await site.query(`CREATE FUNCTION refuse_odd() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.feed_title = 'odd' THEN RAISE 'not this one'; END IF; RETURN NEW; END $$`);
  await site.query(
    `CREATE TRIGGER refuse_odd BEFORE UPDATE ON site_private.feeds FOR EACH ROW EXECUTE FUNCTION refuse_odd()`,
  );
  try {
    const others = Array.from({ length: 20 }, (_, n) => `podcast-${n}`);
    expect(await run(['odd', ...others])).toEqual({ described: others.length, database_P0001: 1 });
    expect((await known('odd')).inMs).toBe(METADATA_RETRY_MS);
  } finally {
    await site.query('DROP FUNCTION refuse_odd CASCADE');
  }
});

it('keeps where a feed has moved to, until it is back or nobody has to do with it any more', async () => {
  const moves = async (): Promise<string[]> => {
    const rows: { moved_to: string }[] = await users.query('SELECT moved_to FROM users.feed_moves');
    return rows.map(({ moved_to }) => moved_to);
  };
  movesTo = url('first');
  await run(['moved', 'here']);
  expect(await moves()).toEqual([url('first')]);
  const later = NOW + 2 * METADATA_KEPT_MS;
  movesTo = url('second');
  await run([], { now: later });
  expect(await moves()).toEqual([url('second')]);
  movesTo = null;
  await run([], { now: later + 2 * METADATA_KEPT_MS });
  expect(await moves()).toEqual([]);

  movesTo = url('first');
  await run([], { now: later + 4 * METADATA_KEPT_MS });
  expect(await moves()).toEqual([url('first')]);
  await site.query('DELETE FROM site_private.feeds WHERE feed = $1', [url('moved')]);
  await run([], { now: later + 4 * METADATA_KEPT_MS });
  expect(await moves()).toEqual([]);
});
