import { StoredEvent } from '@balados/event-sourcing';
import { feedId } from '@balados/feeds-ids';
import { Sql } from '@balados/platform-stores';
import { PRIVACIES } from '@balados/users-contracts';
import { DataSource } from 'typeorm';
import { applyDefaultPrivacy, createSiteProjector, drift, recomputePopularity, storeDefaultPrivacy } from './index';
import { emptySite, History, openSite, uuidOf } from './testing';

const [ada, ben, cleo] = ['ada', 'ben', 'cleo'].map(uuidOf) as [string, string, string];
const FEED = 'https://example.org/feed.xml';
const ITEM = 'guid-1,https://cdn.example.org/1.mp3';
const OTHER = 'guid-2,https://cdn.example.org/2.mp3';
const at = (day: number, time = '10:20:30.456'): string => `2026-03-0${day}T${time}Z`;
const policy = { publicMinListeners: 2 };

let site: DataSource;
let close: () => Promise<void>;
let history: History;

beforeAll(async () => ({ site, close } = await openSite()));
afterAll(() => close());
beforeEach(async () => {
  await emptySite(site);
  await storeDefaultPrivacy(site, 'anonymous');
  history = new History();
});

async function project(...events: StoredEvent[]): Promise<void> {
  await site.transaction((transaction) => createSiteProjector(policy).project(transaction, events));
  expect(await drift(site, policy)).toBe(0);
}

const podcasts = () => site.query('SELECT feed, score, plays, plays_people FROM site.podcast_popularity ORDER BY feed');
const score = async (): Promise<number | undefined> => (await podcasts())[0]?.score;
const items = async () =>
  (await site.query('SELECT item FROM site.episode_popularity ORDER BY item')).map(
    ({ item }: { item: string }) => item,
  );
const rows = () =>
  site.query(
    `SELECT id, user_id, event_type, occurred_at, recorded_at FROM site.public_events ORDER BY event_type, occurred_at`,
  );

describe('a setting', () => {
  const listened = () => [
    history.subscribed(ada, FEED, at(1)),
    history.subscribed(ben, FEED, at(1)),
    history.subscribed(cleo, FEED, at(1)),
    history.played(ada, FEED, ITEM, at(2)),
    history.played(ada, FEED, OTHER, at(2)),
  ];

  it('of the most specific scope holds, and without it the next wider one', async () => {
    await project(...listened());
    expect(await score()).toBe(40);
    await project(history.madePrivacy(ada, 'private', at(3)));
    expect([await score(), await items()]).toEqual([20, []]);
    await project(history.madePrivacy(ada, 'anonymous', at(3), FEED));
    expect([await score(), await items()]).toEqual([40, [ITEM, OTHER]]);
    await project(history.madePrivacy(ada, 'private', at(3), FEED, ITEM));
    expect([await score(), await items()]).toEqual([35, [OTHER]]);
    await project(history.resetPrivacy(ada, at(4), FEED));
    expect([await score(), await items()]).toEqual([20, []]);
    await project(history.resetPrivacy(ada, at(4)));
    expect([await score(), await items()]).toEqual([35, [OTHER]]);
    await project(history.resetPrivacy(ada, at(4), FEED, 'guid-1,https://moved.example.org/1.mp3'));
    expect([await score(), await items()]).toEqual([40, [ITEM, OTHER]]);
  });

  it('holds for what comes after it, and the last one of a batch for all of it', async () => {
    await project(history.madePrivacy(ada, 'public', at(1), FEED), ...listened());
    expect(await podcasts()).toMatchObject([{ score: 40, plays_people: [ada] }]);
    await project(
      history.madePrivacy(ada, 'anonymous', at(3), FEED),
      history.played(ada, FEED, ITEM, at(4)),
      history.madePrivacy(ada, 'private', at(5), FEED),
    );
    expect(await podcasts()).toEqual([{ feed: FEED, score: 20, plays: 0, plays_people: [] }]);
    await project(history.madePrivacy(ada, 'private', at(6), FEED), history.madePrivacy(ada, 'public', at(6), FEED));
    expect(await podcasts()).toEqual([{ feed: FEED, score: 45, plays: 3, plays_people: [ada] }]);
  });

  it('that hides takes the rows, the names and the listener away, and one that shows brings them back', async () => {
    await project(...listened(), history.madePrivacy(ada, 'public', at(3)));
    const before = [await podcasts(), await items()];
    const names = async () => (await rows()).filter((row: { user_id: string | null }) => row.user_id === ada).length;
    expect(await names()).toBe(3);
    await project(history.madePrivacy(ada, 'private', at(4)), history.madePrivacy(ben, 'private', at(4)));
    expect([await podcasts(), await rows()]).toEqual([[], []]);
    await project(history.madePrivacy(ben, 'anonymous', at(5)), history.madePrivacy(ada, 'public', at(5)));
    expect([await podcasts(), await items()]).toEqual(before);
    expect(await names()).toBe(3);
  });

  it('shows of what is anonymous the hour, and another row than before', async () => {
    await project(...listened().slice(0, 4), history.madePrivacy(ada, 'public', at(3)));
    const ofAda = { user_id: ada, event_type: 'play', occurred_at: new Date(at(2)), recorded_at: new Date(at(2)) };
    const [inPublic] = await rows();
    expect(inPublic).toMatchObject(ofAda);
    await project(history.madePrivacy(ada, 'anonymous', at(4)));
    const [anonymous] = await rows();
    const hour = new Date(at(2, '10:00:00.000'));
    expect(anonymous).toMatchObject({ user_id: null, event_type: 'play', occurred_at: hour, recorded_at: hour });
    await project(history.madePrivacy(ada, 'public', at(5)));
    const [again] = await rows();
    expect(again).toMatchObject(ofAda);
    expect(new Set([inPublic.id, anonymous.id, again.id]).size).toBe(3);
  });

  it('leaves alone what is seen as before', async () => {
    await project(...listened(), history.madePrivacy(ada, 'anonymous', at(3), FEED, ITEM));
    const written = async () => [
      await site.query('SELECT xmin, ctid, * FROM site_private.contributions ORDER BY public_id'),
      await site.query('SELECT xmin, ctid, * FROM site.public_events ORDER BY id'),
      await site.query('SELECT xmin, ctid, * FROM site.podcast_popularity'),
    ];
    const before = await written();
    await project(history.madePrivacy(ada, 'anonymous', at(4)), history.resetPrivacy(ada, at(4), FEED, ITEM));
    expect(await written()).toEqual(before);
  });

  it('shows of an episode the item that was last sent by those who may be seen', async () => {
    const moved = 'guid-1,https://private.example.org/1.mp3';
    await project(
      ...listened().slice(0, 3),
      history.played(ben, FEED, ITEM, at(2)),
      history.played(ada, FEED, moved, at(3)),
    );
    expect(await items()).toEqual([moved]);
    await project(history.madePrivacy(ada, 'private', at(4), FEED, ITEM));
    expect(await items()).toEqual([ITEM]);
    await project(history.madePrivacy(ada, 'anonymous', at(4), FEED, ITEM));
    expect(await items()).toEqual([moved]);
  });
});

describe('one listener alone', () => {
  const feeds = async () => (await podcasts()).map(({ feed }: { feed: string }) => feed);

  it('publishes a podcast by saying so of it or of an episode, but not of the account', async () => {
    await project(history.subscribed(ada, FEED, at(1)), history.played(ada, FEED, ITEM, at(2)));
    await project(history.madePrivacy(ada, 'public', at(3)));
    expect(await feeds()).toEqual([]);
    await project(history.madePrivacy(ada, 'public', at(3), FEED, ITEM));
    expect(await podcasts()).toMatchObject([{ feed: FEED, score: 15 }]);
    await project(history.resetPrivacy(ada, at(4), FEED, ITEM));
    expect(await feeds()).toEqual([]);
    await project(history.madePrivacy(ada, 'public', at(5), FEED));
    expect(await feeds()).toEqual([FEED]);
    await project(history.madePrivacy(ada, 'anonymous', at(6), FEED));
    expect(await feeds()).toEqual([]);
  });

  it('publishes nothing that they never did, and nothing that they hide', async () => {
    await project(history.madePrivacy(ada, 'public', at(1), FEED), history.subscribed(ben, FEED, at(1)));
    expect(await feeds()).toEqual([]);
    await project(history.madePrivacy(ada, 'private', at(2), FEED, ITEM), history.played(ada, FEED, ITEM, at(2)));
    expect(await feeds()).toEqual([]);
  });

  it('never publishes a feed with credentials, and of it no setting is kept', async () => {
    const secret = 'https://example.org/feed.xml?token=s3cret';
    await project(
      history.madePrivacy(ada, 'public', at(1), secret),
      history.madePrivacy(ada, 'public', at(1), secret, ITEM),
      history.madePrivacy(ada, 'public', at(1), FEED, 'guid-1,https://cdn.example.org/1.mp3?token=s3cret'),
      history.subscribed(ada, secret, at(1)),
      history.played(ada, FEED, 'guid-1,https://cdn.example.org/1.mp3?token=s3cret', at(2)),
    );
    expect(await feeds()).toEqual([]);
    const [{ kept }] = await site.query('SELECT json_agg(s)::text AS kept FROM site_private.privacy_settings s');
    expect(kept).not.toContain(feedId(secret));
    expect(kept).not.toContain('s3cret');
    // the episode itself is not secret
    await project(history.played(ada, FEED, ITEM, at(3)));
    expect(await items()).toEqual([ITEM]);
  });
});

describe('the default', () => {
  const done = () => [
    history.subscribed(ada, FEED, at(1)),
    history.played(ada, FEED, ITEM, at(1)),
    history.subscribed(ben, FEED, at(1)),
    history.madePrivacy(ben, 'anonymous', at(2)),
    history.subscribed(cleo, FEED, at(2)),
    history.madePrivacy(cleo, 'anonymous', at(2), FEED),
  ];

  it('is stored once', async () => {
    expect(await storeDefaultPrivacy(site, 'public')).toBe('anonymous');
    await project(...done());
    expect(await podcasts()).toMatchObject([{ plays_people: [] }]);
  });

  it('is private where none was ever stored', async () => {
    await site.query('DELETE FROM site_private.default_privacy');
    await project(...done());
    expect(await podcasts()).toMatchObject([{ score: 20, plays: 0 }]);
  });

  it.each(PRIVACIES)('becomes %s for all who set nothing, before and after', async (defaultPrivacy) => {
    await project(...done());
    const [before] = await podcasts();
    const changed = await applyDefaultPrivacy(site, { defaultPrivacy, ...policy });
    expect(changed > 0).toBe(defaultPrivacy !== 'anonymous');
    expect(await drift(site, policy)).toBe(0);
    expect(await podcasts()).toMatchObject([
      {
        public: { score: 35, plays_people: [ada] },
        anonymous: { score: 35, plays_people: [] },
        private: { score: 20, plays_people: [] },
      }[defaultPrivacy],
    ]);
    await project(history.played(ada, FEED, ITEM, at(5)));
    expect(await score()).toBe({ public: 40, anonymous: 40, private: 20 }[defaultPrivacy]);
    expect(await applyDefaultPrivacy(site, { defaultPrivacy, ...policy })).toBe(0);
    await applyDefaultPrivacy(site, { defaultPrivacy: 'anonymous', ...policy });
    expect(await podcasts()).toEqual([{ ...before, score: 40, plays: 2 }]);
  });
});

describe('what an account hides', () => {
  const FEEDS = 25;
  const LISTENERS = 200;
  const EPISODES = 10;
  const EACH = 100;
  const feedOf = (n: number): string => `https://example.org/${n}.xml`;

  /** Of each podcast of `feedOf` plays of EPISODES by each of LISTENERS others, written at once. */
  async function othersListen(): Promise<void> {
    await site.query(`INSERT INTO site_private.feeds (feed_id, feed) SELECT * FROM unnest($1::uuid[], $2::text[])`, [
      Array.from({ length: FEEDS }, (_, n) => feedId(feedOf(n))),
      Array.from({ length: FEEDS }, (_, n) => feedOf(n)),
    ]);
    await site.query(
      `INSERT INTO site_private.contributions (listener, feed_id, episode_id, subject_id, kind, day, points, visibility,
         item, item_key, occurred_at, recorded_at)
       SELECT md5('listener' || l)::uuid, feed_id, md5(feed || e)::uuid, md5(feed || e)::uuid, 'play', 20000, 5, 'anonymous',
         'guid-' || e, md5('' || e)::uuid, $1::timestamptz, $1
       FROM site_private.feeds, generate_series(1, ${LISTENERS}) l, generate_series(1, ${EPISODES}) e`,
      [at(1)],
    );
    // Where nothing is known of tables that were empty a moment ago, Postgres may choose to read all of one for each row of another.
    await site.query('ANALYZE site_private.contributions, site_private.feeds');
    await recomputePopularity(site, policy);
    await site.query(
      `ANALYZE site_private.feed_listeners, site_private.people, site.public_events, site.episode_popularity,
         site.podcast_popularity`,
    );
  }

  /** How many rows this connection has read by reading whole tables, of those that hold much beside what is changed. */
  const wholeScans = (sql: Sql): Promise<object[]> =>
    sql.query(
      `SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables
       WHERE relname = 'contributions' OR relname LIKE 'public\\_events\\_%' ORDER BY relname`,
    );

  it('is found by indexes, however much others did', async () => {
    await othersListen();
    const ofAda = Array.from({ length: FEEDS }, (_, feed) => [
      history.subscribed(ada, feedOf(feed), at(1)),
      ...Array.from({ length: EACH - 1 }, (_, n) =>
        history.played(ada, feedOf(feed), `guid-${n},https://cdn.example.org/${feed}/${n}.mp3`, at(2)),
      ),
    ]).flat();
    await project(history.madePrivacy(ada, 'public', at(1)), ...ofAda);
    const projector = createSiteProjector(policy);
    for (const [privacy, shown] of [
      ['anonymous', FEEDS * EACH],
      ['private', 0],
      ['public', FEEDS * EACH],
    ] as const) {
      await site.transaction(async (transaction) => {
        const before = await wholeScans(transaction);
        const started = performance.now();
        await projector.project(transaction, [history.madePrivacy(ada, privacy, at(3))]);
        const tookMs = performance.now() - started;
        if (process.env.LONG_TESTS === '1')
          process.stderr.write(`${FEEDS * EACH} contributions become ${privacy}: ${tookMs.toFixed(0)} ms\n`);
        expect(await wholeScans(transaction)).toEqual(before);
      });
      const [{ count }] = await site.query('SELECT count(*)::int FROM site.public_events');
      expect(count).toBe(FEEDS * LISTENERS * EPISODES + shown);
    }
    expect(await drift(site, policy)).toBe(0);
  });
});
