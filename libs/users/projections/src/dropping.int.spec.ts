import { StoredEvent } from '@balados/event-sourcing';
import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase } from '@balados/testing';
import { UsersEvent, usersEvents } from '@balados/users-contracts';
import { usersContext } from '@balados/users-schema';
import { DataSource } from 'typeorm';
import { usersProjector } from './users-projector';

const USER = '00000000-0000-4000-8000-00000000000a';
const PLAYLIST = '00000000-0000-4000-8000-000000000001';
const AT = '2026-01-01T00:00:00.000Z';

let database: TestDatabase;
let users: DataSource;
beforeAll(async () => {
  database = await createDatabase();
  users = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 2 });
  await migrate(users, usersContext);
});
afterAll(async () => {
  await users?.destroy();
  await database?.drop();
});

const playlist = (type: 'PlaylistCreated' | 'PlaylistChanged' | 'PlaylistDeleted', name: string): UsersEvent => ({
  type,
  data: {
    playlistId: PLAYLIST,
    name,
    description: null,
    updatedAt: AT,
    deletedAt: type === 'PlaylistDeleted' ? AT : null,
  },
});
const item: UsersEvent = {
  type: 'PlaylistItemAdded',
  data: {
    playlistId: PLAYLIST,
    feed: 'https://feeds.example/a',
    item: 'g,https://m.example/1',
    itemTitle: 'One',
    feedTitle: null,
    createdAt: AT,
    updatedAt: AT,
    deletedAt: null,
  },
};

it.each([1, 2, 5])('drops what had ended by then, and not what began anew, in batches of %s', async (size) => {
  await users.query('TRUNCATE users.playlists, users.playlist_items, users.listener_revisions');
  const events = [
    playlist('PlaylistCreated', 'before'),
    item,
    playlist('PlaylistDeleted', 'before'),
    { type: 'ContentDropped', data: { upTo: 2 } } as UsersEvent,
    playlist('PlaylistChanged', 'anew'),
  ].map((event, revision): StoredEvent => {
    const encoded = usersEvents.encode(event, { recordedAt: AT, correlationId: 'test' }, `${revision}`);
    return { ...encoded, stream: `playlists-${USER}`, revision, position: BigInt(revision + 1) };
  });
  for (let next = 0; next < events.length; next += size)
    await users.transaction((sql) => usersProjector.project(sql, events.slice(next, next + size)));
  expect(await users.query('SELECT name, deleted_at, revision::int FROM users.playlists')).toEqual([
    { name: 'anew', deleted_at: null, revision: 4 },
  ]);
  expect(await users.query('SELECT item FROM users.playlist_items')).toEqual([]);
  const revisions = await users.query('SELECT revision::int FROM users.listener_revisions');
  expect(revisions).toEqual([{ revision: 4 }]);
});
