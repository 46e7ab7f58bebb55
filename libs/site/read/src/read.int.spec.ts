import { encodeBase64, episodeId, feedId } from '@balados/feeds-ids';
import { migrate, openPostgres, Sql } from '@balados/platform-stores';
import { siteContext, TIMELINE_DAYS, timelinePartitions } from '@balados/site-schema';
import { createDatabase, TestDatabase } from '@balados/testing';
import { DataSource } from 'typeorm';
import {
  episodePopularity,
  podcastPopularity,
  popularPodcasts,
  publicPodcast,
  SEARCH_RESULTS_MAX,
  searchPodcasts,
  timeline,
  trendingEpisodes,
  trendingPodcasts,
} from './index';

const FEEDS = 3_000;
const EPISODES_EACH = 4;
const EVENTS = 6_000;
const feedOf = (n: number): string => `https://example.org/${n}.xml`;
/** The first episode of the first two podcasts is the same item. */
const itemOf = (feed: number, n: number): string =>
  feed <= 1 && n === 0 ? SHARED : `guid-${feed}-${n},https://cdn.example.org/${feed}/${n}.mp3`;
const SHARED = 'guid-1,https://cdn.example.org/1.mp3';
/** What projectors write for it: shared with their test. */
const SHARED_KEY = 'a2240317-28be-20a7-77cb-ea23516fbc2f';
const USER = '7f1f3c1e-52c6-4d3e-9d0f-0d6a2d2b9a01';
/** An hour, of yesterday, that is whole. */
const START = Math.floor(Date.now() / 3_600_000 - 24) * 3_600_000;

const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

let database: TestDatabase;
let site: DataSource;

beforeAll(async () => {
  database = await createDatabase();
  site = await openPostgres(database.url, siteContext, { service: 'test' });
  await migrate(site, siteContext);
  await site.query(
    `INSERT INTO site.podcast_popularity (feed_id, feed, score, score_previous, plays, plays_previous, likes, likes_previous, plays_people)
     SELECT id, feed, n * 10 % 5000, n % 7, n, 0, 0, 0, '["${USER}"]'
     FROM unnest($1::uuid[], $2::text[], $3::integer[]) AS t (id, feed, n)`,
    [range(FEEDS).map((n) => feedId(feedOf(n))), range(FEEDS).map(feedOf), range(FEEDS)],
  );
  const episodes = range(FEEDS).flatMap((feed) =>
    range(EPISODES_EACH).map((n) => ({ feed, item: itemOf(feed, n), n })),
  );
  await site.query(
    `INSERT INTO site.episode_popularity (episode_id, feed_id, item, item_key, score, score_previous, plays, plays_previous, likes, likes_previous)
     SELECT id, feed_id, item, item_key, n * 5, n % 3, n, 0, 0, 0
     FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::integer[]) AS t (id, feed_id, item, item_key, n)`,
    [
      episodes.map(({ feed, item }) => episodeId(feedOf(feed), item)),
      episodes.map(({ feed }) => feedId(feedOf(feed))),
      episodes.map(({ item }) => item),
      episodes.map(({ item }) => (item === SHARED ? SHARED_KEY : episodeId('', item))),
      episodes.map(({ feed, n }) => ((feed * 31 + n * 17) % 997) + n),
    ],
  );
  await addEvents(range(EVENTS));
  await site.query('ANALYZE site.podcast_popularity, site.episode_popularity, site.public_events');
});

afterAll(async () => {
  await site.destroy();
  await database.drop();
});

/** Every third is a subscription, and three share a millisecond. */
const addEvents = (ids: number[]): Promise<unknown> =>
  site.query(
    `INSERT INTO site.public_events (id, event_type, user_id, feed_id, episode_id, occurred_at, recorded_at)
     SELECT id, CASE WHEN episode IS NULL THEN 'subscribe' ELSE 'play' END, "user", feed, episode, at - interval '1 hour', at
     FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[]) AS t (id, "user", feed, episode, at)`,
    [
      ids,
      ids.map((id) => (id % 2 ? USER : null)),
      ids.map((id) => feedId(feedOf(id % FEEDS))),
      ids.map((id) => (id % 3 === 0 ? null : episodeId(feedOf(id % FEEDS), itemOf(id % FEEDS, 1)))),
      ids.map((id) => new Date(START + Math.floor(id / 3))),
    ],
  );

/** Runs what a query would run, and fails where it would read a whole table. */
const explaining: Sql = {
  async query(statement: string, parameters?: unknown[]) {
    const [{ 'QUERY PLAN': plan }] = await site.query(`EXPLAIN (FORMAT JSON) ${statement}`, parameters);
    const text = JSON.stringify(plan);
    expect(text).toMatch(/Index (Only )?Scan/);
    // A partition that is known to be empty costs nothing.
    expect(text.replace(/"Seq Scan",(?:(?!"Total Cost").)*"Total Cost":0,/g, '')).not.toContain('Seq Scan');
    return site.query(statement, parameters);
  },
};

const byGrowth = (left: { score: number; score_previous: number }, right: typeof left): number =>
  right.score - right.score_previous - (left.score - left.score_previous) || right.score - left.score;

describe('trending', () => {
  it('orders podcasts by growth, then score', async () => {
    const podcasts = await trendingPodcasts(explaining, { limit: 100 });
    expect(podcasts).toHaveLength(100);
    expect(podcasts).toEqual([...podcasts].sort(byGrowth));
    expect(podcasts[0]!.score - podcasts[0]!.score_previous).toBe(4990);
    expect(await trendingPodcasts(explaining, { limit: 7 })).toEqual(podcasts.slice(0, 7));
  });

  it('orders episodes likewise, of all podcasts or of one', async () => {
    const episodes = await trendingEpisodes(explaining, { limit: 100 });
    expect(episodes).toHaveLength(100);
    expect(episodes).toEqual([...episodes].sort(byGrowth));
    const ofOne = await trendingEpisodes(explaining, { limit: 100, feed: feedOf(5) });
    expect(ofOne.map(({ rss_source_feed }) => rss_source_feed)).toEqual(
      range(EPISODES_EACH).map(() => encodeBase64(feedOf(5))),
    );
    expect(ofOne).toEqual([...ofOne].sort(byGrowth));
    expect(await trendingEpisodes(explaining, { limit: 100, feed: 'https://example.org/unknown.xml' })).toEqual([]);
  });
});

describe('the most popular podcasts', () => {
  const scoreOf = (url: string): number => (Number(/(\d+)\.xml$/.exec(url)![1]) * 10) % 5_000;
  const urlsOf = async (asked: Parameters<typeof popularPodcasts>[1], sql: Sql = explaining): Promise<string[]> =>
    (await popularPodcasts(sql, asked)).map(({ url }) => url);

  it('come first, and are as many as were asked for', async () => {
    const urls = await urlsOf({ limit: 100 });
    expect(urls).toHaveLength(100);
    expect(scoreOf(urls[0]!)).toBe(4_990);
    expect(urls.map(scoreOf)).toEqual(urls.map(scoreOf).sort((a, b) => b - a));
    expect(await urlsOf({ limit: 3 })).toEqual(urls.slice(0, 3));
  });

  it('are others than those that are left out', async () => {
    const urls = await urlsOf({ limit: 20 });
    const except = [urls[0]!, urls[2]!, 'https://example.org/unknown.xml'];
    expect(await urlsOf({ limit: 18, except })).toEqual(urls.filter((url) => !except.includes(url)));
    expect(await urlsOf({ limit: 1, except: range(FEEDS).map(feedOf) }, site)).toEqual([]);
  });
});

describe('a search', () => {
  const described = { title: 'Der Büchersalon: 100% Lesen', author: 'Ada O\\Brian' };
  beforeAll(async () => {
    await site.query(
      `UPDATE site.podcast_popularity SET feed_title = $2, feed_author = $3, feed_cover = '{"src": "https://media.example/1.png", "srcset": null}'
       WHERE feed_id = $1`,
      [feedId(feedOf(7)), described.title, described.author],
    );
  });
  // So few podcasts are all looked through, which wants no index.
  const found = async (text: string): Promise<string[]> => (await searchPodcasts(site, { text })).map(({ url }) => url);

  it.each([...['büchersalon', 'BÜCHER ada', '  lesen\tbücher  ', '100%', 'o\\b', '/7.xml DER'].map((text) => [text])])(
    'finds by title, author and address: %p',
    async (text) => {
      expect(await found(text)).toEqual([feedOf(7)]);
    },
  );

  it('shows what is known of a podcast', async () => {
    const podcast = { url: feedOf(7), ...described, logo: 'https://media.example/1.png' };
    expect(await searchPodcasts(site, { text: 'salon' })).toEqual([podcast]);
    expect(await publicPodcast(explaining, feedOf(7))).toEqual(podcast);
    expect(await publicPodcast(explaining, feedOf(8))).toEqual({
      url: feedOf(8),
      title: null,
      author: null,
      logo: null,
    });
    expect(await publicPodcast(explaining, 'https://example.org/unknown.xml')).toBeUndefined();
  });

  it.each(['b_cher', 'büch%ada', '%', '\\', 'salon nobody', 'example.org salon unknown'].map((text) => [text]))(
    'takes nothing for a wildcard, and wants every word: %p',
    async (text) => {
      expect(await found(text)).toEqual(['%', '\\'].includes(text) ? [feedOf(7)] : []);
    },
  );

  it('gives the most popular of what it finds, and nothing for nothing', async () => {
    const urls = await found('example.org');
    expect(urls).toHaveLength(SEARCH_RESULTS_MAX);
    expect(urls).toEqual((await popularPodcasts(site, { limit: SEARCH_RESULTS_MAX })).map(({ url }) => url));
    for (const text of ['', '  \t']) expect(await searchPodcasts(site, { text })).toEqual([]);
  });
});

describe('popularity', () => {
  it('of a podcast has every field of the wire, null where there is nothing', async () => {
    expect(await podcastPopularity(explaining, feedOf(11))).toEqual({
      rss_source_feed: encodeBase64(feedOf(11)),
      feed_title: null,
      feed_author: null,
      feed_cover: null,
      score: 110,
      score_previous: 4,
      plays: 11,
      plays_previous: 0,
      plays_people: [USER],
      likes: 0,
      likes_previous: 0,
      likes_people: [],
    });
    expect(await podcastPopularity(explaining, 'https://example.org/unknown.xml')).toBeUndefined();
  });

  it('of an episode is found with its feed, or without where one podcast alone holds the item', async () => {
    const item = itemOf(5, 1);
    const episode = await episodePopularity(explaining, item, feedOf(5));
    expect(episode).toMatchObject({
      rss_source_feed: encodeBase64(feedOf(5)),
      rss_source_item: encodeBase64(item),
      feed_cover: null,
      plays_people: [],
    });
    expect(await episodePopularity(explaining, item)).toEqual(episode);
    // the guid makes the episode, whatever its enclosure
    expect(await episodePopularity(explaining, 'guid-5-1,https://moved.example.org/1.mp3')).toEqual(episode);
    expect(await episodePopularity(explaining, item, feedOf(6))).toBeUndefined();
    expect(await episodePopularity(explaining, 'guid-unknown,')).toBeUndefined();
  });

  it('of an item that several podcasts hold names them', async () => {
    expect(await episodePopularity(explaining, SHARED)).toEqual({ candidates: [feedOf(0), feedOf(1)] });
    expect(await episodePopularity(explaining, SHARED, feedOf(1))).toMatchObject({
      rss_source_item: encodeBase64(SHARED),
    });
  });
});

describe('timeline', () => {
  const expected = (id: number) => ({
    event_type: id % 3 === 0 ? 'subscribe' : 'play',
    user_id: id % 2 ? USER : null,
    rss_source_feed: encodeBase64(feedOf(id % FEEDS)),
    rss_source_item: id % 3 === 0 ? null : encodeBase64(itemOf(id % FEEDS, 1)),
    occurred_at: new Date(START + Math.floor(id / 3) - 3_600_000).toISOString(),
  });
  const newestFirst = range(EVENTS).reverse();

  it('shows the newest recorded first', async () => {
    const { events } = await timeline(explaining, { limit: 50, offset: 0 });
    expect(events).toEqual(newestFirst.slice(0, 50).map(expected));
    expect((await timeline(explaining, { limit: 20, offset: 30 })).events).toEqual(events.slice(30));
  });

  it('filters by type and by feed, and both', async () => {
    const plays = await timeline(explaining, { limit: 10, offset: 0, eventType: 'play' });
    expect(plays.events).toEqual(
      newestFirst
        .filter((id) => id % 3 !== 0)
        .slice(0, 10)
        .map(expected),
    );
    const shares = await timeline(explaining, { limit: 10, offset: 0, eventType: 'share' });
    expect(shares).toEqual({ events: [], next_cursor: null });
    const ofFeed = await timeline(explaining, { limit: 10, offset: 0, feed: feedOf(4) });
    expect(ofFeed).toEqual({ events: [expected(FEEDS + 4), expected(4)], next_cursor: null });
    const both = await timeline(explaining, { limit: 1, offset: 0, feed: feedOf(4), eventType: 'play' });
    expect(both.events).toEqual([expected(FEEDS + 4)]);
  });

  it('goes on where the page before ended, while events arrive', async () => {
    let cursor: string | undefined;
    const seen: unknown[] = [];
    let pages = 0;
    try {
      do {
        const page = await timeline(explaining, { limit: 100, offset: 0, cursor, eventType: 'play' });
        seen.push(...page.events);
        cursor = page.next_cursor ?? undefined;
        await addEvents([EVENTS + pages]);
        pages += 1;
      } while (cursor !== undefined);
    } finally {
      await site.query('DELETE FROM site.public_events WHERE id >= $1', [EVENTS]);
    }
    expect(seen).toEqual(newestFirst.filter((id) => id % 3 !== 0).map(expected));
    expect(pages).toBe(40);
  });

  it('shows what stands exactly once, while rows of the same hour come in between and others go', async () => {
    // In an order that says nothing of when they came.
    const rows = range(300).map((n) => ({ id: `${2n ** 55n - BigInt((n * 7919) % 301)}`, at: new Date(START + n) }));
    const insert = (some: typeof rows) =>
      site.query(
        `INSERT INTO site.public_events (id, event_type, feed_id, occurred_at, recorded_at)
         SELECT id, 'share', $2, at, $4 FROM unnest($1::bigint[], $3::timestamptz[]) AS t (id, at)`,
        [some.map(({ id }) => id), feedId(feedOf(1)), some.map(({ at }) => at), new Date(START)],
      );
    const [standing, leaving, coming] = [0, 1, 2].map((third) => rows.filter((_, n) => n % 3 === third)) as [
      typeof rows,
      typeof rows,
      typeof rows,
    ];
    const seen: string[] = [];
    try {
      await insert([...standing, ...leaving]);
      for (let cursor: string | null | undefined; cursor !== null;) {
        const page = await timeline(site, { limit: 10, offset: 0, eventType: 'share', cursor });
        seen.push(...page.events.map(({ occurred_at }) => occurred_at));
        cursor = page.next_cursor;
        await insert(coming.splice(0, 8));
        const gone = leaving.splice(0, 8).map(({ id }) => id);
        await site.query('DELETE FROM site.public_events WHERE id = ANY($1::bigint[])', [gone]);
      }
    } finally {
      await site.query(`DELETE FROM site.public_events WHERE event_type = 'share'`);
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(standing.map(({ at }) => at.toISOString())));
  });

  it('is of the last 31 days', async () => {
    const ages = [TIMELINE_DAYS * 24 - 1, TIMELINE_DAYS * 24 + 1, 62 * 24].map(
      (hours) => Date.now() - hours * 3_600_000,
    );
    try {
      await site.query(
        `INSERT INTO site.public_events (id, event_type, feed_id, occurred_at, recorded_at)
         SELECT 1, 'share', $1, at, at FROM unnest($2::timestamptz[]) AS at`,
        [feedId(feedOf(1)), ages.map((time) => new Date(time))],
      );
      const { events } = await timeline(site, { limit: 10, offset: 0, eventType: 'share' });
      expect(events.map(({ occurred_at }) => occurred_at)).toEqual([new Date(ages[0]!).toISOString()]);
    } finally {
      await site.query(`DELETE FROM site.public_events WHERE event_type = 'share'`);
    }
  });

  it('opens one partition after the other, and of those only what a page needs', async () => {
    /** Which partitions a page really read from. */
    const opened = async (page: Parameters<typeof timeline>[1]): Promise<string[]> => {
      let names: string[] = [];
      const analysing: Sql = {
        async query(statement: string, parameters?: unknown[]) {
          const [{ 'QUERY PLAN': plan }] = await site.query(`EXPLAIN (ANALYZE, FORMAT JSON) ${statement}`, parameters);
          names =
            JSON.stringify(plan).match(
              /"Relation Name":"public_events_\w+"(?:(?!"Actual Loops").)*"Actual Loops":1/g,
            ) ?? [];
          names = names.map((text) => /public_events_\w+/.exec(text)![0]);
          return site.query(statement, parameters);
        },
      };
      await timeline(analysing, page);
      return names;
    };
    const { partitions } = timelinePartitions(Date.now());
    const holds = (time: number): string =>
      partitions.find(({ to }) => to === 'MAXVALUE' || time < Date.parse(to.slice(1, -1)))!.name;
    const last = START + EVENTS / 3;
    const names = partitions.map(({ name }) => name);
    const current = names.indexOf(holds(last));
    const { next_cursor: cursor } = await timeline(site, { limit: 50, offset: 0 });
    for (const filter of [{}, { eventType: 'play' as const }]) {
      expect(await opened({ limit: 50, offset: 0, ...filter })).toEqual(names.slice(current).reverse());
      // What lies after the cursor is not looked at.
      expect(await opened({ limit: 50, offset: 0, cursor: cursor!, ...filter })).toEqual([names[current]]);
    }
    const ofFeed = await opened({ limit: 50, offset: 0, feed: feedOf(4) });
    expect(ofFeed).toContain(names[current]);
    expect(ofFeed).not.toContain(names[0]);
  });

  it('refuses a cursor that it did not give', async () => {
    const bad = ['x', '!', '', '.', '-1.5', '1.-5', '99999999999999999.1', '1.2.3'].map((text) =>
      Buffer.from(text).toString('base64url'),
    );
    for (const cursor of [...bad, 'not a cursor'])
      await expect(timeline(site, { limit: 1, offset: 0, cursor })).rejects.toMatchObject({ code: 'invalid_cursor' });
  });
});
