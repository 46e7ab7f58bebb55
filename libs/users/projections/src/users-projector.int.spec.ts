import { randomUUID } from 'node:crypto';
import { Recorded, StoredEvent } from '@balados/event-sourcing';
import { episodeId, feedId, FEED_MAX_LENGTH, ITEM_MAX_BYTES } from '@balados/feeds-ids';
import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase } from '@balados/testing';
import { ListeningEvent, SubscriptionsEvent, usersEvents } from '@balados/users-contracts';
import { usersContext } from '@balados/users-schema';
import fc from 'fast-check';
import { DataSource } from 'typeorm';
import { usersProjector } from './users-projector';

/** Playlists have a suite of their own. */
type UsersEvent = SubscriptionsEvent | ListeningEvent;

let database: TestDatabase;
let dataSource: DataSource;

beforeAll(async () => {
  database = await createDatabase();
  dataSource = await openPostgres(database.url, usersContext, { service: 'test' });
  await migrate(dataSource, usersContext);
});

afterAll(async () => {
  await dataSource?.destroy();
  await database?.drop();
});

const project = (events: readonly StoredEvent[]) =>
  dataSource.transaction((transaction) => usersProjector.project(transaction, events));

/** A log: each listener's events numbered within their stream, positions growing. */
function logOf(said: readonly { userId: string; event: UsersEvent }[]): StoredEvent[] {
  const revisions = new Map<string, number>();
  return said.map(({ userId, event }, index) => {
    const category = event.type.startsWith('Podcast') ? 'subscriptions' : 'listening';
    const stream = `${category}-${userId}`;
    const revision = (revisions.get(stream) ?? -1) + 1;
    revisions.set(stream, revision);
    const metadata = { recordedAt: '2026-01-01T00:00:00.000Z', correlationId: 'test' };
    const encoded = usersEvents.encode(event, metadata, randomUUID());
    // As the client hands it over: what JSON made of it.
    return {
      ...(JSON.parse(JSON.stringify(encoded)) as typeof encoded),
      stream,
      revision,
      position: BigInt(index * 7),
    };
  });
}

/** What the tables must hold of these listeners after the log: of each key the last word. */
function expected(log: readonly StoredEvent[]) {
  const rows = new Map<string, object>();
  for (const stored of log) {
    const userId = stored.stream.slice(stored.stream.indexOf('-') + 1);
    const { revision } = stored;
    const [{ type, data }] = usersEvents.decode(stored) as [Recorded<UsersEvent>];
    rows.set(`revision ${stored.stream}`, { stream: stored.stream, revision });
    if (type === 'PodcastSubscribed' || type === 'PodcastUnsubscribed')
      rows.set(`${userId} ${data.feed}`, {
        ...data,
        userId,
        feedId: feedId(data.feed),
        subscribed: type === 'PodcastSubscribed',
        revision,
      });
    else {
      const episode = episodeId(data.feed, data.item);
      const row = { ...data, userId, episodeId: episode, feedId: feedId(data.feed), revision };
      if (type === 'PlayRecorded' || type === 'PositionUpdated') rows.set(`${userId} ${episode}`, row);
      else if (type === 'EpisodeShared') rows.set(`share ${userId} ${episode}`, row);
      else {
        const { unsavedAt: _, ...save } = { savedAt: null, unsavedAt: null, ...row };
        rows.set(`save ${userId} ${episode}`, save);
      }
    }
  }
  return sorted([...rows.values()]);
}

const instant = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

async function stored(users: readonly string[]) {
  const subscriptions = await dataSource.query(
    `SELECT user_id AS "userId", feed_id AS "feedId", feed, source_id AS "sourceId", subscribed, revision::int,
       ${instant('subscribed_at')} AS "subscribedAt", ${instant('unsubscribed_at')} AS "unsubscribedAt"
     FROM users.subscriptions WHERE user_id = ANY ($1)`,
    [users],
  );
  const plays = await dataSource.query(
    `SELECT user_id AS "userId", episode_id AS "episodeId", feed_id AS "feedId", feed, item, position, played, revision::int,
       ${instant('updated_at')} AS "updatedAt"
     FROM users.play_statuses WHERE user_id = ANY ($1)`,
    [users],
  );
  const revisions = await dataSource.query(
    `SELECT category || '-' || user_id AS stream, revision::int FROM users.listener_revisions WHERE user_id = ANY ($1)`,
    [users],
  );
  const marks = async (what: 'saved' | 'shared') =>
    dataSource.query(
      `SELECT user_id AS "userId", episode_id AS "episodeId", feed_id AS "feedId", feed, item, revision::int,
         ${instant(`${what}_at`)} AS "${what}At"
       FROM users.${what}_episodes WHERE user_id = ANY ($1)`,
      [users],
    );
  return sorted([...subscriptions, ...plays, ...(await marks('saved')), ...(await marks('shared')), ...revisions]);
}

const sorted = (rows: object[]): object[] => {
  const text = (row: object) => JSON.stringify(Object.entries(row).sort(([one], [two]) => (one < two ? -1 : 1)));
  return rows.sort((one, two) => (text(one) < text(two) ? -1 : 1));
};

const feed = fc.constantFrom('https://a.example/feed', 'https://b.example/feed?x=1', 'http://c.example/ü');
// Two prefixes of one enclosure are one episode, told by its guid; the others have no guid.
const item = fc.constantFrom(
  'guid,https://a.example/1.mp3',
  'guid,https://track.example/a.example/1.mp3',
  ',https://a.example/2.mp3',
  'a,b,https://a.example/3.mp3',
);
const time = fc
  .date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString());
const timeOrNull = fc.option(time, { nil: null });
const event: fc.Arbitrary<UsersEvent> = fc.oneof(
  fc.record({
    type: fc.constantFrom('PodcastSubscribed' as const, 'PodcastUnsubscribed' as const),
    data: fc.record({
      feed,
      sourceId: fc.option(fc.string(), { nil: null }).map((id) => id?.replaceAll('\0', '') ?? null),
      subscribedAt: timeOrNull,
      unsubscribedAt: timeOrNull,
    }),
  }),
  fc.record({
    type: fc.constantFrom('PlayRecorded' as const, 'PositionUpdated' as const),
    data: fc.record({
      feed,
      item,
      position: fc.double({ min: 0, max: 10_000_000, noNaN: true }).map((seconds) => seconds + 0),
      played: fc.boolean(),
      updatedAt: time,
    }),
  }),
  fc.record({ type: fc.constant('EpisodeSaved' as const), data: fc.record({ feed, item, savedAt: time }) }),
  fc.record({ type: fc.constant('EpisodeUnsaved' as const), data: fc.record({ feed, item, unsavedAt: time }) }),
  fc.record({ type: fc.constant('EpisodeShared' as const), data: fc.record({ feed, item, sharedAt: time }) }),
);

it('holds the last word of each key, in whatever batches the log comes and however often', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(2), event), { maxLength: 40 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 12 })),
      fc.nat(40),
      async (said, sizes, until) => {
        const users = [randomUUID(), randomUUID(), randomUUID()];
        const log = logOf(said.map(([user, event]) => ({ userId: users[user]!, event })));
        const apply = async (events: readonly StoredEvent[]) => {
          for (let next = 0; next < events.length;) {
            const size = sizes.next().value;
            await project(events.slice(next, next + size));
            next += size;
          }
        };
        await apply(log);
        expect(await stored(users)).toEqual(expected(log));
        // Older events again, without those that came after them, write nothing.
        await apply(log.slice(0, until));
        expect(await stored(users)).toEqual(expected(log));
      },
    ),
    { numRuns: 40 },
  );
});

it('takes the longest feeds and items that are allowed', async () => {
  const userId = randomUUID();
  const feed = `https://a.example/${'f'.repeat(FEED_MAX_LENGTH)}`.slice(0, FEED_MAX_LENGTH);
  // Random, or Postgres would compress it under the limit of an index entry.
  const guid = Array.from({ length: ITEM_MAX_BYTES / 36 }, () => randomUUID()).join('');
  const item = `${guid.slice(0, ITEM_MAX_BYTES - 24)},https://a.example/1.mp3`;
  const log = logOf([
    {
      userId,
      event: {
        type: 'PodcastSubscribed',
        data: { feed, sourceId: null, subscribedAt: '2026-01-01T00:00:00.000Z', unsubscribedAt: null },
      },
    },
    {
      userId,
      event: {
        type: 'PlayRecorded',
        data: { feed, item, position: 0.5, played: false, updatedAt: '2026-01-01T00:00:00.001Z' },
      },
    },
  ]);
  await project(log);
  expect(await stored([userId])).toEqual(expected(log));
});

it('refuses what it cannot read, and writes nothing of that batch', async () => {
  const userId = randomUUID();
  const [good] = logOf([
    {
      userId,
      event: {
        type: 'PodcastSubscribed',
        data: { feed: 'https://a.example', sourceId: null, subscribedAt: null, unsubscribedAt: null },
      },
    },
  ]);
  await expect(project([good!, { ...good!, revision: 1, type: 'Undeclared' }])).rejects.toThrow('not declared');
  await expect(project([good!, { ...good!, revision: 1, data: 'no JSON' }])).rejects.toThrow('cannot be read');
  expect(await stored([userId])).toEqual([]);
});
