import { waitFor } from '@balados/testing';
import { DataSource } from 'typeorm';
import {
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
