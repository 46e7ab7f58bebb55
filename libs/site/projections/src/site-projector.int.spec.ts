import { StoredEvent } from '@balados/event-sourcing';
import { feedId } from '@balados/feeds-ids';
import { waitFor } from '@balados/testing';
import { DataSource } from 'typeorm';
import { Privacy } from '@balados/users-contracts';
import { createSiteProjector, drift, storeDefaultPrivacy } from './index';
import { publish, withdraw } from './publication';
import { emptySite, History, openSite, uuidOf } from './testing';

const [ada, ben, cleo] = ['ada', 'ben', 'cleo'].map(uuidOf) as [string, string, string];
const FEED = 'https://example.org/feed.xml';
const ITEM = 'guid-1,https://cdn.example.org/1.mp3';
const at = (day: number, time = '10:00'): string => `2026-03-0${day}T${time}:00.000Z`;

let site: DataSource;
let close: () => Promise<void>;
let history: History;

beforeAll(async () => ({ site, close } = await openSite()));
afterAll(() => close());
beforeEach(async () => {
  await emptySite(site);
  history = new History();
});

type Policy = { defaultPrivacy?: Privacy; publicMinListeners?: number };

async function project(events: StoredEvent[], { defaultPrivacy = 'anonymous', publicMinListeners = 2 }: Policy = {}) {
  const projector = createSiteProjector({ publicMinListeners });
  expect(await storeDefaultPrivacy(site, defaultPrivacy)).toBe(defaultPrivacy);
  await site.transaction((transaction) => projector.project(transaction, events));
  expect(await drift(site, { publicMinListeners })).toBe(0);
}

const podcasts = () => site.query('SELECT feed, score, plays, plays_people FROM site.podcast_popularity ORDER BY feed');
const episodes = () => site.query('SELECT item, score, plays, plays_people FROM site.episode_popularity ORDER BY item');
const likes = async () => ({
  podcast: await site.query('SELECT score, likes FROM site.podcast_popularity'),
  episode: await site.query('SELECT score, likes FROM site.episode_popularity ORDER BY item'),
});
const timeline = async () =>
  (
    await site.query(
      `SELECT event_type, user_id, occurred_at FROM site.public_events ORDER BY recorded_at DESC, id DESC`,
    )
  ).map((row: { event_type: string; user_id: string | null; occurred_at: Date }) => [
    row.event_type,
    row.user_id,
    row.occurred_at.toISOString(),
  ]);
const nothingPublic = async () => expect([await podcasts(), await episodes(), await timeline()]).toEqual([[], [], []]);

describe('publication', () => {
  it('waits for the second distinct listener, and then shows what was before', async () => {
    await project([
      history.subscribed(ada, FEED, at(1)),
      history.played(ada, FEED, ITEM, at(1, '11:00')),
      history.played(ada, FEED, ITEM, at(2)),
    ]);
    await nothingPublic();

    await project([history.subscribed(ben, FEED, at(3), at(1, '09:00'))]);
    expect(await podcasts()).toEqual([{ feed: FEED, score: 30, plays: 2, plays_people: [] }]);
    expect(await episodes()).toEqual([{ item: ITEM, score: 10, plays: 2, plays_people: [] }]);
    expect(await timeline()).toEqual([
      ['subscribe', null, at(1, '09:00')],
      ['play', null, at(2)],
      ['play', null, at(1, '11:00')],
      ['subscribe', null, at(1)],
    ]);
  });

  it('takes as long as it needs, however much was heard of a podcast before', async () => {
    const plays = Array.from({ length: 5_000 }, (_, n) => history.played(ada, FEED, `guid-${n},`, at(1)));
    await project([history.subscribed(ada, FEED, at(1)), ...plays]);
    const inHaste = (work: typeof publish) =>
      site.transaction(async (transaction) => {
        await transaction.query('SET LOCAL statement_timeout = 1');
        await work(transaction, [feedId(FEED)]);
      });
    await site.query('UPDATE site_private.feeds SET published = true');
    await inHaste(publish);
    expect(await episodes()).toHaveLength(5_000);
    await inHaste(withdraw);
    await nothingPublic();
  });

  it('ends when too few are left, and returns with them', async () => {
    await project([history.subscribed(ada, FEED, at(1)), history.subscribed(ben, FEED, at(1))]);
    expect(await podcasts()).toHaveLength(1);
    await project([history.unsubscribed(ben, FEED, at(2))]);
    await nothingPublic();
    await project([history.played(cleo, FEED, ITEM, at(3))]);
    expect(await podcasts()).toEqual([{ feed: FEED, score: 15, plays: 1, plays_people: [] }]);
    expect(await timeline()).toEqual([
      ['play', null, at(3)],
      ['subscribe', null, at(1)],
    ]);
  });

  it('never comes for a feed, an enclosure or a guid with credentials, of which nothing is kept', async () => {
    const secret = 'https://example.org/feed.xml?token=s3cret';
    const items = [
      'guid-2,https://cdn.example.org/2.mp3?signature=s3cret',
      'https://ben:s3cret@example.org/3,',
      'guid-4, https://ben:s3cret@example.org/4',
      'guid-5,ftp://ben:s3cret@example.org/5',
      'guid-6,rtsp://ben:s3cret@example.org/6',
      'guid-7,//ben:s3cret@example.org/7',
      'sftp://example.org/8?token=s3cret,',
      'guid-9,https://cdn.example.org/9.mp3#access_token=s3cret',
    ];
    await project(
      [
        history.subscribed(ada, secret, at(1)),
        history.played(ada, secret, ITEM, at(1)),
        ...items.map((item) => history.played(ada, FEED, item, at(1))),
        history.subscribed(ada, FEED, at(1)),
      ],
      { publicMinListeners: 1 },
    );
    expect(await podcasts()).toEqual([{ feed: FEED, score: 10, plays: 0, plays_people: [] }]);
    expect(await episodes()).toEqual([]);
    const [{ kept }] = await site.query(
      `SELECT (SELECT json_agg(f) FROM site_private.feeds f)::text || (SELECT json_agg(c) FROM site_private.contributions c)::text AS kept`,
    );
    expect(kept).toContain(FEED);
    expect(kept).not.toContain('s3cret');
  });

  it.each([
    ['new', () => []],
    ['known', () => [history.subscribed(cleo, FEED, at(1)), history.unsubscribed(cleo, FEED, at(1))]],
  ])('is decided once when two transactions cross the threshold of a %s podcast', async (_, before) => {
    const projector = createSiteProjector({ publicMinListeners: 2 });
    await project(before());
    const [first, second] = [site.createQueryRunner(), site.createQueryRunner()];
    try {
      await Promise.all([first.startTransaction(), second.startTransaction()]);
      await projector.project(first.manager, [history.subscribed(ada, FEED, at(1))]);
      const [{ pid }] = await second.query('SELECT pg_backend_pid() AS pid');
      const waiting = projector.project(second.manager, [history.played(ben, FEED, ITEM, at(2))]);
      await expectBlocked(pid);
      await first.commitTransaction();
      await waiting;
      await second.commitTransaction();
    } finally {
      await Promise.all([first.release(), second.release()]);
    }
    expect(await podcasts()).toEqual([{ feed: FEED, score: 15, plays: 1, plays_people: [] }]);
    expect(await timeline()).toHaveLength(2);
    expect(await drift(site, { publicMinListeners: 2 })).toBe(0);
  });

  it('counts right, without deadlock, when many segments meet on the same podcasts', async () => {
    const feeds = Array.from({ length: 12 }, (_, n) => `https://example.org/${n}.xml`);
    const segments = Array.from({ length: 6 }, (_, segment) => {
      const turned = [...feeds.slice(segment), ...feeds.slice(0, segment)];
      const listener = uuidOf(`segment ${segment}`);
      return [
        turned.flatMap((feed) => [
          history.subscribed(listener, feed, at(1)),
          history.played(listener, feed, ITEM, at(1)),
        ]),
        turned.reverse().map((feed) => history.unsubscribed(listener, feed, at(2))),
        turned.map((feed) => history.played(listener, feed, ITEM, at(3))),
      ];
    });
    await storeDefaultPrivacy(site, 'public');
    const projector = createSiteProjector({ publicMinListeners: 4 });
    await Promise.all(
      segments.map(async (batches) => {
        for (const batch of batches) await site.transaction((transaction) => projector.project(transaction, batch));
      }),
    );
    expect(await drift(site, { publicMinListeners: 4 })).toBe(0);
    const rows = await podcasts();
    expect(rows).toHaveLength(feeds.length);
    for (const row of rows) expect(row).toMatchObject({ score: 60, plays: 12 });
  });
});

describe('what counts', () => {
  const alone = { publicMinListeners: 1 };

  it('is a subscription while it stands, however often it is stated', async () => {
    await project([history.subscribed(ada, FEED, at(1)), history.subscribed(ada, FEED, at(2))], alone);
    await project([history.subscribed(ada, FEED, at(3))], alone);
    expect(await podcasts()).toMatchObject([{ score: 10 }]);
    expect(await timeline()).toEqual([['subscribe', null, at(1)]]);
    await project([history.unsubscribed(ada, FEED, at(4)), history.subscribed(ada, FEED, at(5))], alone);
    expect(await podcasts()).toMatchObject([{ score: 10 }]);
    expect(await timeline()).toEqual([['subscribe', null, at(5)]]);
    await project([history.subscribed(ben, FEED, at(6)), history.unsubscribed(ben, FEED, at(6))], alone);
    expect(await podcasts()).toMatchObject([{ score: 10 }]);
  });

  it('is a play once per listener, episode and UTC day of its recording, and no position', async () => {
    await project(
      [
        history.played(ada, FEED, ITEM, at(1, '00:00')),
        history.moved(ada, FEED, ITEM, at(1, '00:01')),
        history.played(ada, FEED, ITEM, at(1, '23:59')),
      ],
      alone,
    );
    await project([history.played(ada, FEED, ITEM, at(1, '23:59')), history.moved(ben, FEED, ITEM, at(1))], alone);
    expect(await podcasts()).toMatchObject([{ score: 5, plays: 1 }]);
    await project([history.played(ada, FEED, ITEM, at(2, '00:00'), at(1, '12:00'))], alone);
    expect(await podcasts()).toMatchObject([{ score: 10, plays: 2 }]);
    expect(await episodes()).toMatchObject([{ score: 10, plays: 2 }]);
    expect(await timeline()).toEqual([
      ['play', null, at(1, '12:00')],
      ['play', null, at(1, '00:00')],
    ]);
  });

  it('is a save while it stands, however often it is stated', async () => {
    await project([history.saved(ada, FEED, ITEM, at(1)), history.saved(ada, FEED, ITEM, at(2))], alone);
    expect(await likes()).toEqual({ podcast: [{ score: 3, likes: 1 }], episode: [{ score: 3, likes: 1 }] });
    expect(await timeline()).toEqual([['save', null, at(1)]]);
    await project([history.unsaved(ada, FEED, ITEM, at(3)), history.saved(ada, FEED, ITEM, at(4))], alone);
    expect(await likes()).toEqual({ podcast: [{ score: 3, likes: 1 }], episode: [{ score: 3, likes: 1 }] });
    expect(await timeline()).toEqual([['save', null, at(4)]]);
    await project([history.saved(ben, FEED, ITEM, at(5)), history.unsaved(ben, FEED, ITEM, at(5))], alone);
    expect(await likes()).toMatchObject({ podcast: [{ score: 3, likes: 1 }] });
  });

  it('is a share once per listener, episode and UTC day of its recording', async () => {
    await project([history.shared(ada, FEED, ITEM, at(1, '00:00')), history.shared(ada, FEED, ITEM, at(1))], alone);
    await project([history.shared(ada, FEED, ITEM, at(1, '23:59'))], alone);
    expect(await likes()).toEqual({ podcast: [{ score: 2, likes: 0 }], episode: [{ score: 2, likes: 0 }] });
    await project([history.shared(ada, FEED, ITEM, at(2, '00:00'))], alone);
    expect(await podcasts()).toMatchObject([{ score: 4, plays: 0 }]);
    expect(await timeline()).toEqual([
      ['share', null, at(2, '00:00')],
      ['share', null, at(1, '00:00')],
    ]);
  });

  it('is no save that was taken back: what it made public goes, and nothing else', async () => {
    const other = 'guid-2,https://cdn.example.org/2.mp3';
    const moved = 'guid-1,https://other.example.org/1.mp3';
    await project([history.subscribed(ada, FEED, at(1)), history.played(ben, FEED, ITEM, at(1))]);
    const before = [await podcasts(), await episodes(), await timeline()];
    await project([history.saved(ada, FEED, moved, at(2)), history.saved(ada, FEED, other, at(2))]);
    expect(await episodes()).toMatchObject([
      { item: moved, score: 8 },
      { item: other, score: 3 },
    ]);
    await project([history.unsaved(ada, FEED, ITEM, at(3)), history.unsaved(ada, FEED, other, at(3))]);
    expect([await podcasts(), await episodes(), await timeline()]).toEqual(before);
  });

  it('is no save of a secret item, but one is taken back by whatever item its episode has', async () => {
    const secret = 'guid-1,https://cdn.example.org/1.mp3?token=s3cret';
    await project([history.saved(ada, FEED, secret, at(1)), history.shared(ada, FEED, secret, at(1))], alone);
    await nothingPublic();
    await project([history.saved(ada, FEED, ITEM, at(2))], alone);
    expect(await likes()).toMatchObject({ episode: [{ likes: 1 }] });
    await project([history.unsaved(ada, FEED, secret, at(3))], alone);
    await nothingPublic();
  });

  it('is one episode for one guid, with the item as last sent', async () => {
    const moved = 'guid-1,https://other.example.org/1.mp3';
    await project([history.played(ada, FEED, ITEM, at(1))], alone);
    await project([history.played(ben, FEED, moved, at(2))], alone);
    expect(await episodes()).toMatchObject([{ item: moved, plays: 2 }]);
    await project([history.played(ben, FEED, ITEM, at(2, '11:00'))], alone);
    expect(await episodes()).toMatchObject([{ item: ITEM, plays: 2 }]);
    // a segment that lags brings what is older
    await project([history.played(cleo, FEED, moved, at(1, '12:00'))], alone);
    expect(await episodes()).toMatchObject([{ item: ITEM, plays: 3 }]);
  });

  it('is one key for an item, whatever its feed: the one that look-ups use', async () => {
    await project([history.played(ada, FEED, ITEM, at(1)), history.played(ada, `${FEED}2`, ITEM, at(1))], alone);
    expect(await site.query('SELECT DISTINCT item_key FROM site.episode_popularity')).toEqual([
      { item_key: 'a2240317-28be-20a7-77cb-ea23516fbc2f' },
    ]);
  });

  it('is nothing new when a batch is applied again', async () => {
    const first = [history.subscribed(ada, FEED, at(1)), history.unsubscribed(ada, FEED, at(1))];
    const second = [history.subscribed(ada, FEED, at(2)), history.played(ada, FEED, ITEM, at(2))];
    await project([...first, ...second], alone);
    const before = await site.query('SELECT xmin, ctid, * FROM site_private.contributions ORDER BY kind');
    const events = await site.query('SELECT xmin, * FROM site.public_events ORDER BY event_type');
    await project([...first, ...second], alone);
    await project(first, alone);
    expect(await site.query('SELECT xmin, ctid, * FROM site_private.contributions ORDER BY kind')).toEqual(before);
    expect(await site.query('SELECT xmin, * FROM site.public_events ORDER BY event_type')).toEqual(events);
  });
});

describe('privacy', () => {
  const both = () => [history.subscribed(ada, FEED, at(1)), history.played(ben, FEED, ITEM, at(2))];

  it('public names the listener', async () => {
    await project(both(), { defaultPrivacy: 'public' });
    expect(await podcasts()).toMatchObject([{ score: 15, plays_people: [ben] }]);
    expect(await episodes()).toMatchObject([{ score: 5, plays_people: [ben] }]);
    expect(await timeline()).toEqual([
      ['play', ben, at(2)],
      ['subscribe', ada, at(1)],
    ]);
  });

  it('anonymous names nobody', async () => {
    await project(both(), { defaultPrivacy: 'anonymous' });
    expect(await podcasts()).toMatchObject([{ score: 15, plays_people: [] }]);
    const [{ published }] = await site.query(
      `SELECT json_agg(p)::text || json_agg(i)::text || json_agg(e)::text AS published
       FROM site.podcast_popularity p, site.episode_popularity i, site.public_events e`,
    );
    expect(published).not.toContain(ada);
    expect(published).not.toContain(ben);
  });

  it('private counts and shows nothing, and is remembered', async () => {
    await project(both(), { defaultPrivacy: 'private', publicMinListeners: 1 });
    await nothingPublic();
    expect(await site.query('SELECT feed_id, listeners FROM site_private.feeds')).toEqual([
      { feed_id: feedId(FEED), listeners: 0 },
    ]);
    expect(await site.query('SELECT count(*)::int FROM site_private.contributions')).toEqual([{ count: 2 }]);
  });

  it('lists the ten most recent distinct public listeners, the latest first', async () => {
    const listeners = Array.from({ length: 12 }, (_, n) => uuidOf(`listener ${n}`));
    const minute = (n: number) => at(1, `10:${String(n).padStart(2, '0')}`);
    await project(
      listeners.map((listener, n) => history.played(listener, FEED, ITEM, minute(n))),
      { defaultPrivacy: 'public' },
    );
    await project([history.played(listeners[3]!, FEED, 'guid-2,', minute(30))], { defaultPrivacy: 'public' });
    const latest = [...listeners].reverse();
    const [podcast] = await podcasts();
    expect(podcast.plays_people).toEqual([listeners[3], ...latest.filter((id) => id !== listeners[3])].slice(0, 10));
    expect(await episodes()).toMatchObject([
      { item: ITEM, plays_people: latest.slice(0, 10) },
      { item: 'guid-2,', plays_people: [listeners[3]] },
    ]);
  });

  it('lists who saved, as long as they do, of the podcast and of the episode', async () => {
    const other = 'guid-2,https://cdn.example.org/2.mp3';
    const people = async () => [
      (await site.query('SELECT likes_people FROM site.podcast_popularity'))[0]?.likes_people,
      ...(await site.query('SELECT likes_people FROM site.episode_popularity ORDER BY item')).map(
        (row: { likes_people: string[] }) => row.likes_people,
      ),
    ];
    const inPublic = { defaultPrivacy: 'public' } as const;
    await project([history.saved(ada, FEED, ITEM, at(1)), history.saved(ben, FEED, ITEM, at(2))], inPublic);
    await project([history.saved(ada, FEED, other, at(3)), history.shared(cleo, FEED, ITEM, at(4))], inPublic);
    expect(await people()).toEqual([[ada, ben], [ben, ada], [ada]]);
    await project([history.unsaved(ada, FEED, other, at(5))], inPublic);
    expect(await people()).toEqual([
      [ben, ada],
      [ben, ada],
    ]);
    await project([history.unsaved(ada, FEED, ITEM, at(5))], inPublic);
    expect(await people()).toEqual([[ben], [ben]]);
  });
});

/** Resolves once the backend waits for a lock. */
async function expectBlocked(pid: number): Promise<void> {
  await waitFor(
    async () => (await site.query('SELECT 1 FROM pg_locks WHERE pid = $1 AND NOT granted', [pid])).length > 0,
    { what: 'the second transaction to wait' },
  );
}
