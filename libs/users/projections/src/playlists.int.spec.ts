import { randomUUID } from 'node:crypto';
import { StoredEvent, streamOf } from '@balados/event-sourcing';
import { episodeId } from '@balados/feeds-ids';
import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase } from '@balados/testing';
import { PlaylistEvent, PlaylistItemEvent, PlaylistsEvent, usersEvents } from '@balados/users-contracts';
import { usersContext } from '@balados/users-schema';
import fc from 'fast-check';
import { DataSource } from 'typeorm';
import { usersProjector } from './index';

const [ADA, BEN] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'] as const;
const [WALKS, RUNS] = ['5b2c1a9e-0000-4000-8000-000000000001', '5b2c1a9e-0000-4000-8000-000000000002'] as const;
const FEED = 'https://feeds.example/show';
const at = (hour: number): string => `2026-01-01T${String(hour).padStart(2, '0')}:00:00.123Z`;

let database: TestDatabase;
let users: DataSource;

beforeAll(async () => {
  database = await createDatabase();
  users = await openPostgres(database.url, usersContext, { service: 'test' });
  await migrate(users, usersContext);
});
afterAll(async () => {
  await users?.destroy();
  await database?.drop();
});
beforeEach(() => users.query('TRUNCATE users.playlists, users.playlist_items, users.listener_revisions'));

/** A listener's events as the log holds them, from revision 0 on. */
const stored = (userId: string, events: readonly PlaylistsEvent[]): StoredEvent[] =>
  events.map((event, revision) => ({
    ...usersEvents.encode(event, { recordedAt: at(1), correlationId: 'test' }, randomUUID()),
    stream: streamOf('playlists', userId),
    revision,
    position: BigInt(revision) * 7n,
  }));

const project = (events: readonly StoredEvent[]): Promise<void> =>
  users.transaction((transaction) => usersProjector.project(transaction, events));

const claim = (
  type: PlaylistEvent['type'],
  hour: number,
  over: Partial<PlaylistEvent['data']> = {},
): PlaylistEvent => ({
  type,
  data: { playlistId: WALKS, name: 'Walks', description: null, updatedAt: at(hour), deletedAt: null, ...over },
});
const item = (
  type: PlaylistItemEvent['type'],
  guid: string,
  hour: number,
  over: Partial<PlaylistItemEvent['data']> = {},
): PlaylistItemEvent => ({
  type,
  data: {
    playlistId: WALKS,
    feed: FEED,
    item: `${guid},`,
    itemTitle: null,
    feedTitle: null,
    createdAt: at(hour),
    updatedAt: at(hour),
    deletedAt: null,
    ...over,
  },
});
const order = (hour: number, guids: string[], playlistId: string = WALKS): PlaylistsEvent => ({
  type: 'PlaylistReordered',
  data: { playlistId, items: guids.map((guid) => episodeId(FEED, guid)), orderedAt: at(hour) },
});

const rows = async () => ({
  playlists: await users.query('SELECT * FROM users.playlists ORDER BY user_id, playlist_id'),
  items: await users.query('SELECT * FROM users.playlist_items ORDER BY user_id, playlist_id, item_id'),
  // How much was told is counted again when it comes again: a checkpoint may then come sooner.
  revisions: (await users.query('SELECT * FROM users.listener_revisions ORDER BY user_id')).map(
    ({ told: _, ...row }: { told: number }) => row,
  ),
});

const history: PlaylistsEvent[] = [
  claim('PlaylistCreated', 1),
  item('PlaylistItemAdded', 'one', 2, { itemTitle: 'One' }),
  item('PlaylistItemAdded', 'two', 3, { feedTitle: 'Show' }),
  order(4, ['two', 'one']),
  claim('PlaylistChanged', 5, { name: 'Strolls', description: 'slow' }),
  item('PlaylistItemRemoved', 'one', 6, { createdAt: at(2), deletedAt: at(6) }),
  claim('PlaylistCreated', 7, { playlistId: RUNS, name: 'Runs' }),
  item('PlaylistItemAdded', 'one', 7, { playlistId: RUNS }),
  claim('PlaylistDeleted', 8, { playlistId: RUNS, name: 'Runs', deletedAt: at(8) }),
];

describe('the tables of playlists', () => {
  it('hold what stands, and what was deleted with its time', async () => {
    await project(stored(ADA, history));
    const { playlists, items, revisions } = await rows();
    expect(playlists).toEqual([
      {
        user_id: ADA,
        playlist_id: WALKS,
        name: 'Strolls',
        description: 'slow',
        updated_at: new Date(at(5)),
        deleted_at: null,
        revision: '4',
        item_order: [episodeId(FEED, 'two'), episodeId(FEED, 'one')],
        ordered_at: new Date(at(4)),
        order_revision: '3',
      },
      expect.objectContaining({ playlist_id: RUNS, deleted_at: new Date(at(8)), item_order: [], revision: '8' }),
    ]);
    const found = (guid: string, playlist = WALKS as string) =>
      items.find(
        (row: { item_id: string; playlist_id: string }) =>
          row.item_id === episodeId(FEED, guid) && row.playlist_id === playlist,
      );
    expect(items).toHaveLength(3);
    expect(found('one')).toMatchObject({ deleted_at: new Date(at(6)), created_at: new Date(at(2)), revision: '5' });
    expect(found('two')).toEqual({
      user_id: ADA,
      playlist_id: WALKS,
      item_id: episodeId(FEED, 'two'),
      feed: FEED,
      item: 'two,',
      item_title: null,
      feed_title: 'Show',
      created_at: new Date(at(3)),
      updated_at: new Date(at(3)),
      deleted_at: null,
      revision: '2',
    });
    expect(found('one', RUNS)).toMatchObject({ deleted_at: null });
    expect(revisions).toMatchObject([{ user_id: ADA, category: 'playlists', revision: '8' }]);
  });

  it('are the same however the events are cut into batches, and when some come again', async () => {
    const [ada, ben] = [stored(ADA, history), stored(BEN, history.slice(0, 7))];
    // Each listener's events in their order, the two beside each other.
    const both = ada.flatMap((event, index) => [event, ...ben.slice(index, index + 1)]);
    await project(both);
    const expected = await rows();
    expect(expected.playlists).toHaveLength(4);
    const cuts = fc.uniqueArray(fc.nat(both.length), { maxLength: 6 }).map((at) => at.sort((a, b) => a - b));
    await fc.assert(
      fc.asyncProperty(cuts, fc.nat(3), async (cuts, again) => {
        await users.query('TRUNCATE users.playlists, users.playlist_items, users.listener_revisions');
        let start = 0;
        for (const end of [...cuts, both.length]) {
          await project(both.slice(Math.max(0, start - again), end));
          start = end;
        }
        expect(await rows()).toEqual(expected);
      }),
      { numRuns: 30 },
    );
  });

  it('do not change when older events come alone', async () => {
    await project(stored(ADA, history));
    const before = await rows();
    for (const event of stored(ADA, history)) await project([event]);
    expect(await rows()).toEqual(before);
  });

  it('take orders of different lengths, also empty ones, in one batch', async () => {
    await project(
      stored(ADA, [
        claim('PlaylistCreated', 1),
        claim('PlaylistCreated', 1, { playlistId: RUNS }),
        order(2, ['two', 'one']),
        order(3, [], RUNS),
      ]),
    );
    const { playlists } = await rows();
    expect(playlists.map((row: { item_order: string[] }) => row.item_order.length)).toEqual([2, 0]);
    expect(playlists[1].ordered_at).toEqual(new Date(at(3)));
  });
});
