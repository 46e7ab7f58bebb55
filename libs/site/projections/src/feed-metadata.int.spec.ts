import { DataSource } from 'typeorm';
import {
  createSiteProjector,
  describeFeed,
  drift,
  FeedDescription,
  feedsDue,
  putOff,
  storeDefaultPrivacy,
} from './index';
import { emptySite, History, openSite, uuidOf } from './testing';

const [ADA, BEN] = [uuidOf('ada'), uuidOf('ben')];
const FEED = 'https://feeds.example/a.xml';
const OTHER = 'https://feeds.example/b.xml';
const ITEM = 'guid,https://media.example/1.mp3';
const AT = '2026-03-01T10:00:00.000Z';
const DUE = new Date('2026-03-02T10:00:00.000Z');
const policy = { publicMinListeners: 2, dueAt: DUE };
const said: FeedDescription = {
  title: 'The Show',
  author: 'Somebody',
  cover: { src: 'https://media.example/cover.jpg', srcset: null },
  blocked: false,
};

let site: DataSource;
let close: () => Promise<void>;
beforeAll(async () => ({ site, close } = await openSite()));
afterAll(() => close());
beforeEach(async () => {
  await emptySite(site);
  await storeDefaultPrivacy(site, 'public');
  const history = new History();
  const events = [
    history.subscribed(ADA, FEED, AT),
    history.played(BEN, FEED, ITEM, AT),
    // Of one listener alone, and so not public.
    history.subscribed(ADA, OTHER, AT),
  ];
  await site.transaction((sql) => createSiteProjector({ publicMinListeners: 2 }).project(sql, events));
});

const idOf = async (feed: string): Promise<string> => {
  const due = await feedsDue(site, new Date(AT), 10);
  return due.find((one) => one.feed === feed)!.feedId;
};
const shown = async () => ({
  podcasts: await site.query(
    'SELECT feed, feed_title, feed_author, feed_cover, plays_people FROM site.podcast_popularity ORDER BY feed',
  ),
  episodes: (await site.query('SELECT FROM site.episode_popularity')).length,
  events: (await site.query('SELECT FROM site.public_events')).length,
});

it('is due at once when a clock that was a year ahead has put it off', async () => {
  const feed = await idOf(FEED);
  await putOff(site, feed, new Date(DUE.getTime() + 365 * 86_400_000));
  expect(await idOf(FEED)).toBe(feed);
  await putOff(site, feed, DUE);
  expect((await feedsDue(site, new Date(AT), 10)).map((due) => due.feed)).toEqual([OTHER]);
});

it('is shown where the feed is public, and kept for when it will be', async () => {
  const [feed, other] = [await idOf(FEED), await idOf(OTHER)];
  await describeFeed(site, feed, said, policy);
  await describeFeed(site, other, { ...said, title: 'Another' }, policy);
  const described = { feed_title: 'The Show', feed_author: 'Somebody', feed_cover: said.cover, plays_people: [BEN] };
  expect((await shown()).podcasts).toEqual([{ feed: FEED, ...described }]);
  const history = new History();
  await site.transaction((sql) =>
    createSiteProjector({ publicMinListeners: 2 }).project(sql, [history.subscribed(BEN, OTHER, AT)]),
  );
  expect((await shown()).podcasts).toMatchObject([{ feed: FEED }, { feed: OTHER, feed_title: 'Another' }]);
  expect(await drift(site, policy)).toBe(0);
});

it('takes what its publisher does not want listed out of every list, and puts it back', async () => {
  const feed = await idOf(FEED);
  const before = await shown();
  expect([before.podcasts.length, before.episodes, before.events]).toEqual([1, 1, 2]);
  await describeFeed(site, feed, { ...said, blocked: true }, policy);
  expect(await shown()).toEqual({ podcasts: [], episodes: 0, events: 0 });
  expect(await drift(site, policy)).toBe(0);
  // Nor does anything that a listener does bring it back, nor that they want it seen.
  const history = new History();
  const events = [
    history.subscribed(BEN, FEED, AT),
    history.saved(BEN, FEED, ITEM, AT),
    history.madePrivacy(BEN, 'public', AT, FEED),
  ];
  await site.transaction((sql) => createSiteProjector({ publicMinListeners: 2 }).project(sql, events));
  expect(await shown()).toEqual({ podcasts: [], episodes: 0, events: 0 });
  expect(await drift(site, policy)).toBe(0);
  await describeFeed(site, feed, said, policy);
  expect(await shown()).toMatchObject({ podcasts: [{ feed: FEED, feed_title: 'The Show' }], episodes: 1 });
  expect(await drift(site, policy)).toBe(0);
});

it.each<[string, Partial<FeedDescription>, object]>([
  ['nothing', { title: null, author: '  ', cover: null }, { feed_title: null, feed_author: null, feed_cover: null }],
  ['a title without end', { title: '🎙'.repeat(600) }, { feed_title: '🎙'.repeat(500) }],
  [
    'a cover with a credential',
    { cover: { src: 'https://a.example/c.jpg?token=1', srcset: null } },
    { feed_cover: null },
  ],
  ['a cover that is a script', { cover: { src: 'javascript:alert(1)', srcset: null } }, { feed_cover: null }],
  [
    'a set of covers with a credential',
    { cover: { src: 'https://a.example/c', srcset: 'https://a.example/d 1x, https://u:p@a.example/e 2x' } },
    { feed_cover: { src: 'https://a.example/c', srcset: null } },
  ],
])('of a feed that says %s no more is shown than may be', async (_, odd, expected) => {
  await describeFeed(site, await idOf(FEED), { ...said, ...odd }, policy);
  expect((await shown()).podcasts).toMatchObject([expected]);
});

it('is asked for again when it is due, and later when nothing could be learned', async () => {
  const [feed, other] = [await idOf(FEED), await idOf(OTHER)];
  await describeFeed(site, feed, said, policy);
  await putOff(site, other, DUE);
  expect(await feedsDue(site, new Date(AT), 10)).toEqual([]);
  const due = await feedsDue(site, DUE, 10);
  expect(due.map(({ feed: url, failures }) => [url, failures]).sort()).toEqual([
    [FEED, 0],
    [OTHER, 1],
  ]);
  expect(await feedsDue(site, DUE, 1)).toHaveLength(1);
});

it('of a feed that nobody has to do with any more nothing is kept', async () => {
  const feed = await idOf(OTHER);
  const history = new History();
  history.subscribed(ADA, FEED, AT);
  await site.transaction((sql) =>
    createSiteProjector({ publicMinListeners: 2 }).project(sql, [
      { ...history.unsubscribed(ADA, OTHER, AT), revision: 2 },
    ]),
  );
  await describeFeed(site, feed, said, policy);
  expect(await site.query('SELECT FROM site_private.feeds WHERE feed = $1', [OTHER])).toEqual([]);
});
