import { StoredEvent, streamOf } from '@balados/event-sourcing';
import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase } from '@balados/testing';
import { UsersEvent, usersEvents, WHOLE_ACCOUNT } from '@balados/users-contracts';
import { usersContext } from '@balados/users-schema';
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { usersProjector } from './users-projector';

const [FEED, OTHER] = ['https://example.org/feed.xml', 'https://example.org/other.xml'];
const ITEM = 'guid-1,https://cdn.example.org/1.mp3';
const at = '2026-03-01T10:00:00.000Z';
const PLAYLIST = randomUUID();

let database: TestDatabase;
let users: DataSource;
let revisions: Map<string, number>;

beforeAll(async () => {
  database = await createDatabase();
  users = await openPostgres(database.url, usersContext, { service: 'test' });
  await migrate(users, usersContext);
});
afterAll(async () => {
  await users?.destroy();
  await database?.drop();
});
beforeEach(() => (revisions = new Map()));

const erased: UsersEvent = { type: 'HistoryErased', data: { ...WHOLE_ACCOUNT, requestedAt: at, before: at } };
/** Everything that makes a row, of one podcast. */
const everything = (feed: string): [category: string, event: UsersEvent][] => [
  [
    'subscriptions',
    { type: 'PodcastSubscribed', data: { feed, sourceId: null, subscribedAt: at, unsubscribedAt: null } },
  ],
  ['listening', { type: 'PlayRecorded', data: { feed, item: ITEM, position: 1, played: false, updatedAt: at } }],
  ['listening', { type: 'EpisodeSaved', data: { feed, item: ITEM, savedAt: at } }],
  ['listening', { type: 'EpisodeShared', data: { feed, item: ITEM, sharedAt: at } }],
  [
    'playlists',
    {
      type: 'PlaylistCreated',
      data: { playlistId: PLAYLIST, name: feed, description: null, updatedAt: at, deletedAt: null },
    },
  ],
  [
    'playlists',
    {
      type: 'PlaylistItemAdded',
      data: {
        ...{ playlistId: PLAYLIST, feed, item: ITEM, itemTitle: null, feedTitle: null },
        ...{ createdAt: at, updatedAt: at, deletedAt: null },
      },
    },
  ],
  ['privacy', { type: 'PrivacyChanged', data: { feed, item: null, privacy: 'private', changedAt: at } }],
];

function stored(listener: string, said: [category: string, event: UsersEvent][]): StoredEvent[] {
  return said.map(([category, event]) => {
    const stream = streamOf(category, listener);
    const revision = (revisions.get(stream) ?? -1) + 1;
    revisions.set(stream, revision);
    const encoded = usersEvents.encode(event, { recordedAt: at, correlationId: 'test' }, randomUUID());
    return { ...encoded, stream, revision, position: 1n };
  });
}
const project = (events: StoredEvent[]) =>
  users.transaction((transaction) => usersProjector.project(transaction, events));

/** What is held, by table. */
async function held(listener: string): Promise<Record<string, string[]>> {
  const tables = [
    'subscriptions',
    'play_statuses',
    'saved_episodes',
    'shared_episodes',
    'playlist_items',
    'user_privacy',
  ];
  const found: Record<string, string[]> = {};
  for (const [table, column] of [...tables.map((name) => [name, 'feed']), ['playlists', 'name']]) {
    const rows = await users.query(`SELECT ${column} AS feed FROM users.${table} WHERE user_id = $1`, [listener]);
    found[table!] = rows.map(({ feed }: { feed: string }) => feed);
  }
  return found;
}
const all = (feeds: string[]) => ({
  subscriptions: feeds,
  play_statuses: feeds,
  saved_episodes: feeds,
  shared_episodes: feeds,
  playlist_items: feeds,
  playlists: feeds,
  user_privacy: feeds,
});
const markers = (...categories: string[]): [string, UsersEvent][] => categories.map((category) => [category, erased]);

describe.each([
  ['in one batch', Infinity],
  ['one by one', 1],
  ['in threes', 3],
])('what is erased %s', (_, size) => {
  it('goes, what comes after it stays, and nothing of another listener or stream changes', async () => {
    const [listener, neighbour] = [randomUUID(), randomUUID()];
    const events = [
      ...stored(neighbour, everything(FEED)),
      ...stored(listener, everything(FEED)),
      ...stored(listener, markers('subscriptions', 'listening', 'playlists')),
      ...stored(listener, everything(OTHER)),
    ];
    for (let next = 0; next < events.length; next += Math.min(size, events.length))
      await project(events.slice(next, next + size));
    expect(await held(listener)).toEqual({ ...all([OTHER]), user_privacy: [FEED, OTHER] });
    expect(await held(neighbour)).toEqual(all([FEED]));
    await project(stored(listener, markers('subscriptions', 'listening', 'playlists', 'privacy')));
    expect(await held(listener)).toEqual(all([]));
    expect(await held(neighbour)).toEqual(all([FEED]));
  });
});
