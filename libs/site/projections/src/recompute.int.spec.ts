import { waitFor } from '@balados/testing';
import { DataSource } from 'typeorm';
import {
  COMPARED_FEEDS,
  comparePopularity,
  createSiteProjector,
  drift,
  movePopularityWindows,
  recomputePopularity,
  SitePolicy,
  storeDefaultPrivacy,
} from './index';
import { emptySite, History, openSite, uuidOf } from './testing';

const [ada, ben] = ['ada', 'ben'].map(uuidOf) as [string, string];
const FEED = 'https://example.org/feed.xml';
const OTHER = 'https://example.org/other.xml';
const ITEM = 'guid-1,https://cdn.example.org/1.mp3';
const DAY_MS = 86_400_000;
const day = (number: number): string => new Date(Date.UTC(2026, 2, number, 12)).toISOString();
const WAITING = `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
const policy: SitePolicy = { publicMinListeners: 2 };

let site: DataSource;
let close: () => Promise<void>;
let history: History;

const project = (...events: Parameters<ReturnType<typeof createSiteProjector>['project']>[1]) =>
  site.transaction((transaction) => createSiteProjector(policy).project(transaction, events));

beforeAll(async () => ({ site, close } = await openSite()));
afterAll(() => close());
beforeEach(async () => {
  await emptySite(site);
  await storeDefaultPrivacy(site, 'public');
  history = new History();
  await project(
    history.subscribed(ada, FEED, day(1)),
    history.played(ada, FEED, ITEM, day(2)),
    history.subscribed(ben, FEED, day(3)),
    history.played(ben, FEED, ITEM, day(4)),
    history.subscribed(ada, OTHER, day(1)),
  );
});

describe('movePopularityWindows', () => {
  const previous = () => site.query('SELECT score_previous, plays_previous, growth FROM site.podcast_popularity');
  const ofEpisode = () => site.query('SELECT score_previous, plays_previous, growth FROM site.episode_popularity');
  const windowFrom = (start: string) =>
    movePopularityWindows(site, { now: Date.parse(start) + 7 * DAY_MS, windowMs: 7 * DAY_MS });

  it('counts as previous what was made before it, forwards and back', async () => {
    expect(await previous()).toEqual([{ score_previous: 0, plays_previous: 0, growth: 30 }]);
    await windowFrom(day(3));
    expect(await previous()).toEqual([{ score_previous: 15, plays_previous: 1, growth: 15 }]);
    expect(await ofEpisode()).toEqual([{ score_previous: 5, plays_previous: 1, growth: 5 }]);
    await windowFrom(day(9));
    expect(await previous()).toEqual([{ score_previous: 30, plays_previous: 2, growth: 0 }]);
    await windowFrom(day(2));
    expect(await previous()).toEqual([{ score_previous: 10, plays_previous: 0, growth: 20 }]);
    expect(await ofEpisode()).toEqual([{ score_previous: 0, plays_previous: 0, growth: 10 }]);
    expect(await drift(site, policy)).toBe(0);
  });

  it('holds for what projectors count afterwards: undone, late, or just published', async () => {
    await windowFrom(day(3));
    await project(history.unsubscribed(ada, FEED, day(9)));
    expect(await previous()).toEqual([{ score_previous: 5, plays_previous: 1, growth: 15 }]);
    await project(history.subscribed(ben, OTHER, day(9)));
    expect(
      await site.query('SELECT score_previous, growth FROM site.podcast_popularity WHERE feed = $1', [OTHER]),
    ).toEqual([{ score_previous: 10, growth: 10 }]);
    expect(await drift(site, policy)).toBe(0);
  });
});

describe('drift and recomputePopularity', () => {
  const everything = async () => ({
    podcasts: await site.query('SELECT * FROM site.podcast_popularity ORDER BY feed_id'),
    episodes: await site.query('SELECT * FROM site.episode_popularity ORDER BY episode_id'),
    events: await site.query('SELECT * FROM site.public_events ORDER BY id'),
    feeds: await site.query('SELECT * FROM site_private.feeds ORDER BY feed_id'),
    listeners: await site.query('SELECT * FROM site_private.feed_listeners ORDER BY feed_id, listener'),
    people: await site.query('SELECT * FROM site_private.people ORDER BY scope_id, listener'),
  });

  it.each([
    ['a count', 1, 'UPDATE site.podcast_popularity SET score = score + 1'],
    ['a lost episode', 1, 'DELETE FROM site.episode_popularity'],
    ['a list of people', 1, `UPDATE site.episode_popularity SET plays_people = '[]'`],
    ['a row that names somebody', 4, `UPDATE site.public_events SET user_id = '${ben}', id = -id`],
    ['the number of listeners', 1, `UPDATE site_private.feeds SET listeners = 7 WHERE feed = '${FEED}'`],
    ['a lost listener', 1, `DELETE FROM site_private.feed_listeners WHERE listener = '${ben}'`],
    [
      'somebody who never listened',
      1,
      `INSERT INTO site_private.people SELECT feed_id, 'save', '${ben}', now() FROM site.podcast_popularity`,
    ],
  ])('find and mend %s', async (_, atLeast, damage) => {
    const before = await everything();
    expect(await drift(site, policy)).toBe(0);
    await site.query(damage);
    expect(await drift(site, policy)).toBeGreaterThanOrEqual(atLeast);
    expect(await recomputePopularity(site, policy)).toBeGreaterThanOrEqual(atLeast);
    expect(await everything()).toEqual(before);
    expect(await recomputePopularity(site, policy)).toBe(0);
    await site.query(damage);
    const found = await comparePopularity(site, policy, { isRepaired: false });
    expect(found).toEqual({ upTo: undefined, podcasts: 2, differing: await drift(site, policy) });
    expect(await comparePopularity(site, policy, { isRepaired: true })).toEqual(found);
    expect(await everything()).toEqual(before);
    expect(await comparePopularity(site, policy, { isRepaired: true })).toMatchObject({ differing: 0 });
  });

  it.each([
    ['people of no podcast', `INSERT INTO site_private.people VALUES (gen_random_uuid(), 'play', '${ben}', now())`],
    [
      'counts of no podcast',
      `INSERT INTO site.podcast_popularity (feed_id, feed, score, score_previous, plays, plays_previous, likes, likes_previous)
       VALUES (gen_random_uuid(), 'https://nobody.example/', 1, 0, 0, 0, 0, 0)`,
    ],
    ['a listener of no podcast', `INSERT INTO site_private.feed_listeners VALUES (gen_random_uuid(), '${ben}', 1)`],
  ])('remove %s', async (_, damage) => {
    const before = await everything();
    await site.query(damage);
    expect(await comparePopularity(site, policy, { isRepaired: true })).toMatchObject({ differing: 1 });
    expect(await everything()).toEqual(before);
  });

  it('go through all podcasts, a number at a time', async () => {
    const many = Array.from({ length: 2 * COMPARED_FEEDS }, (_, nth) => `https://example.org/${nth}.xml`);
    await project(...many.map((feed) => history.subscribed(ada, feed, day(5))));
    const last = '(SELECT max(feed_id::text)::uuid FROM site_private.feeds)';
    await site.query(`UPDATE site_private.feeds SET listeners = 9 WHERE feed_id = ${last}`);
    const compared = [];
    let after: string | undefined;
    do {
      const slice = await comparePopularity(site, policy, { after, isRepaired: true });
      compared.push([slice.podcasts, slice.differing]);
      after = slice.upTo;
    } while (after !== undefined);
    expect(compared).toEqual([
      [COMPARED_FEEDS, 0],
      [COMPARED_FEEDS, 0],
      [2, 1],
    ]);
    expect(await drift(site, policy)).toBe(0);
  });

  it('find nothing while projectors write, and repair beside them what somebody falsified', async () => {
    const writers = ['ada', 'ben', 'cleo', 'dan'].map(uuidOf);
    const feeds = [FEED, OTHER, 'https://example.org/third.xml'];
    let written = 0;
    let isOver = false;
    const write = async (listener: string): Promise<void> => {
      const own = new History();
      for (let hour = 0; !isOver; hour += 1) {
        const at = new Date(Date.parse(day(6)) + hour * 3_600_000).toISOString();
        const batch = feeds.flatMap((feed, nth) => [
          hour % 2 === 0 ? own.subscribed(listener, feed, at) : own.unsubscribed(listener, feed, at),
          own.played(listener, feed, `guid-${(hour + nth) % 5},https://cdn.example.org/1.mp3`, at),
          hour % 3 === 0 ? own.saved(listener, feed, ITEM, at) : own.unsaved(listener, feed, ITEM, at),
        ]);
        // Each of them has a stream of its own from the first event on.
        await site.query('DELETE FROM site_private.listener_revisions WHERE user_id = $1 AND $2', [
          listener,
          hour === 0,
        ]);
        await site.transaction((sql) => createSiteProjector(policy).project(sql, batch));
        written += 1;
      }
    };
    const writing = Promise.all(writers.map(write));
    try {
      const untilWritten = async (more: number, work: () => Promise<void>): Promise<void> => {
        const goal = written + more;
        do await work();
        while (written < goal);
      };
      await untilWritten(40, async () =>
        expect(await comparePopularity(site, policy, { isRepaired: true })).toMatchObject({ differing: 0 }),
      );
      await untilWritten(40, async () => {
        await site.query('UPDATE site.podcast_popularity SET score = score + 5 WHERE feed = $1', [FEED]);
        await site.query(`UPDATE site_private.feed_listeners SET contributions = contributions + 1`);
        await comparePopularity(site, policy, { isRepaired: true });
      });
      expect(await drift(site, policy)).toBe(0);
    } finally {
      isOver = true;
      await writing;
    }
    expect(await drift(site, policy)).toBe(0);
  });

  it('publish and withdraw when the number of listeners that it takes was changed', async () => {
    const feeds = async () =>
      (await site.query('SELECT feed FROM site.podcast_popularity ORDER BY feed')).map(
        ({ feed }: { feed: string }) => feed,
      );
    const before = await everything();
    expect(await drift(site, { publicMinListeners: 3 })).toBeGreaterThan(0);
    await recomputePopularity(site, { publicMinListeners: 3 });
    expect(await feeds()).toEqual([]);
    expect(await site.query('SELECT * FROM site.public_events')).toEqual([]);
    await recomputePopularity(site, { publicMinListeners: 1 });
    expect(await feeds()).toEqual([FEED, OTHER]);
    await recomputePopularity(site, { publicMinListeners: 2 });
    expect(await everything()).toEqual(before);
  });

  it('leave what a projector is counting right now right', async () => {
    const runner = site.createQueryRunner();
    await runner.startTransaction();
    try {
      await createSiteProjector(policy).project(runner.manager, [history.subscribed(ben, OTHER, day(5))]);
      const mending = recomputePopularity(site, policy);
      const moving = movePopularityWindows(site, { now: Date.parse(day(12)), windowMs: 7 * DAY_MS });
      await waitFor(async () => (await site.query(WAITING)).length === 2, { what: 'both to wait for the projector' });
      expect(await drift(site, policy)).toBe(0);
      await runner.commitTransaction();
      expect(await mending).toBe(0);
      await moving;
    } finally {
      await runner.release();
    }
    expect(await drift(site, policy)).toBe(0);
    expect(await everything()).toMatchObject({ podcasts: [{}, {}] });
  });
});
