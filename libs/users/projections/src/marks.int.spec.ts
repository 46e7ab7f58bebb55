import { StoredEvent, streamOf } from '@balados/event-sourcing';
import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase } from '@balados/testing';
import { UsersEvent, usersEvents } from '@balados/users-contracts';
import { usersContext } from '@balados/users-schema';
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { usersProjector } from './users-projector';

const FEED = 'https://example.org/feed.xml';
const ITEM = 'guid-1,https://cdn.example.org/1.mp3';
const MOVED = 'guid-1,https://other.example.org/1.mp3';
const at = (minute: number): string => new Date(Date.UTC(2026, 2, 1, 10, minute)).toISOString();

let database: TestDatabase;
let users: DataSource;
let listener: string;

beforeAll(async () => {
  database = await createDatabase();
  users = await openPostgres(database.url, usersContext, { service: 'test' });
  await migrate(users, usersContext);
});
afterAll(async () => {
  await users?.destroy();
  await database?.drop();
});
beforeEach(() => (listener = randomUUID()));

const saved = (minute: number, item = ITEM): UsersEvent => ({
  type: 'EpisodeSaved',
  data: { feed: FEED, item, savedAt: at(minute) },
});
const unsaved = (minute: number, item = ITEM): UsersEvent => ({
  type: 'EpisodeUnsaved',
  data: { feed: FEED, item, unsavedAt: at(minute) },
});
const shared = (minute: number, item = ITEM): UsersEvent => ({
  type: 'EpisodeShared',
  data: { feed: FEED, item, sharedAt: at(minute) },
});

/** As the listener's stream holds them, from its start. */
const stored = (...events: UsersEvent[]): StoredEvent[] =>
  events.map((event, revision) => ({
    ...usersEvents.encode(event, { recordedAt: at(revision), correlationId: 'test' }, randomUUID()),
    stream: streamOf('listening', listener),
    revision,
    position: BigInt(revision),
  }));
const project = (events: StoredEvent[]) =>
  users.transaction((transaction) => usersProjector.project(transaction, events));

async function held() {
  const saves = await users.query(
    'SELECT item, saved_at AS at, revision::int FROM users.saved_episodes WHERE user_id = $1 ORDER BY item',
    [listener],
  );
  const shares = await users.query(
    'SELECT item, shared_at AS at, revision::int FROM users.shared_episodes WHERE user_id = $1 ORDER BY item',
    [listener],
  );
  return { saves, shares };
}
const row = (item: string, minute: number | null, revision: number) => ({
  item,
  at: minute === null ? null : new Date(at(minute)),
  revision,
});

it('holds what was said last of each, and an unsaved episode without its date', async () => {
  await project(stored(saved(1), shared(2), saved(1, MOVED), saved(3, 'other,'), unsaved(4, 'other,')));
  expect(await held()).toEqual({ saves: [row(MOVED, 1, 2), row('other,', null, 4)], shares: [row(ITEM, 2, 1)] });
});

it('makes no play status, and says how far the stream has come', async () => {
  await project(stored(saved(1), shared(2)));
  expect(await users.query('SELECT 1 FROM users.play_statuses WHERE user_id = $1', [listener])).toEqual([]);
  expect(
    await users.query('SELECT category, revision::int FROM users.listener_revisions WHERE user_id = $1', [listener]),
  ).toEqual([{ category: 'listening', revision: 1 }]);
});
