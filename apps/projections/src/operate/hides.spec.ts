import { randomUUID } from 'node:crypto';
import { BUNDLE, StoredEvent, streamOf } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { episodeId, feedId } from '@balados/feeds-ids';
import { PlaylistsCommand } from '@balados/users-domain';
import { openListenerStreams } from '@balados/users-write';
import { hides } from './hides';

const NOW = Date.UTC(2026, 0, 1);
const [USER, PLAYLIST] = [randomUUID(), randomUUID()];
const FEED = 'https://feeds.example/a.xml';

it('an event hides something that stands in privacy, or erases, whatever it was stored with', async () => {
  const store = new InMemoryEventStore();
  const { playlists } = openListenerStreams(store, 1_024);
  const say = (command: PlaylistsCommand) =>
    playlists.handle(
      USER,
      command,
      { recordedAt: new Date(NOW).toISOString(), correlationId: 'spec' },
      () => undefined,
    );
  await say({
    type: 'MergePlaylists',
    data: {
      playlists: [{ playlistId: PLAYLIST, name: 'one', description: null, updatedAt: NOW, deletedAt: null }],
      items: ['a,', 'b,'].map((item) => ({
        ...{ playlistId: PLAYLIST, feed: FEED, item, itemTitle: null, feedTitle: null },
        ...{ createdAt: NOW, updatedAt: NOW, deletedAt: null },
      })),
      orders: [{ playlistId: PLAYLIST, items: [episodeId(FEED, 'b,'), episodeId(FEED, 'a,')], orderedAt: NOW }],
    },
  });
  // The order is told anew without what is erased, by the same decision.
  const target = { scope: 'podcast', feedId: feedId(FEED), episodeId: null } as const;
  await say({ type: 'EraseHistory', data: { ...target, requestedAt: NOW } });

  expect(store.log.map((stored) => [stored.type, hides(stored)])).toEqual([
    [BUNDLE, false],
    [BUNDLE, true],
  ]);
});

it('an event hides something that cannot be read at all, where what it holds is not known', () => {
  const stored = (category: string, type: string, data: unknown): StoredEvent => ({
    ...{ id: randomUUID(), stream: streamOf(category, USER), revision: 0, position: 1n },
    ...{ type, data, metadata: {} },
  });
  expect(hides(stored('privacy', 'NeverDeclared', {}))).toBe(true);
  expect(hides(stored('listening', 'NeverDeclared', {}))).toBe(false);
  expect(hides(stored('listening', BUNDLE, { events: [{ type: 'PlayRecorded' }] }))).toBe(false);
  for (const data of [
    null,
    {},
    { events: [] },
    { events: [{ type: 'PlayRecorded' }, {}] },
    { events: [{ type: { toString: 1 } }] },
  ])
    expect(hides(stored('listening', BUNDLE, data))).toBe(true);
});
