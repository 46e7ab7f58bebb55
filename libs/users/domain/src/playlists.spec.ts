import { DomainEvent } from '@balados/event-sourcing';
import { fold, given } from '@balados/event-sourcing/testing';
import { PLAYLIST_ITEMS_MAX, PLAYLISTS_MAX, PlaylistsEvent } from '@balados/users-contracts';
import { instant } from './claims';
import { PlaylistClaim, playlistItemId, PlaylistItemClaim, PlaylistOrderClaim } from './playlist-claims';
import { playlists, PlaylistsCommand, standingItems } from './playlists';

const WALKS = '5b2c1a9e-0000-4000-8000-000000000001';
const RUNS = '5b2c1a9e-0000-4000-8000-000000000002';
const FEED = 'https://feeds.example/show';
const at = (hour: number, millisecond = 0) => `2026-01-01T${String(hour).padStart(2, '0')}:00:00.00${millisecond}Z`;
const now = (hour: number) => instant(at(hour));

const claim = (updated: number, over: Partial<PlaylistClaim> = {}): PlaylistClaim => ({
  playlistId: WALKS,
  name: 'Walks',
  description: null,
  updatedAt: now(updated),
  deletedAt: null,
  ...over,
});
const item = (guid: string, updated: number, over: Partial<PlaylistItemClaim> = {}): PlaylistItemClaim => ({
  playlistId: WALKS,
  feed: FEED,
  item: `${guid},https://media.example/${guid}.mp3`,
  itemTitle: null,
  feedTitle: null,
  createdAt: now(updated),
  updatedAt: now(updated),
  deletedAt: null,
  ...over,
});
const idOf = (guid: string): string => playlistItemId(item(guid, 0));

const iso = (time: number | null): string | null => (time === null ? null : new Date(time).toISOString());
/** The events are the claims with their times written out. */
const event = (type: PlaylistsEvent['type'], said: PlaylistClaim | PlaylistItemClaim): PlaylistsEvent => {
  const times = Object.entries(said).map(([key, value]) => [key, key.endsWith('At') ? iso(value) : value]);
  return { type, data: Object.fromEntries(times) } satisfies DomainEvent as PlaylistsEvent;
};
const created = (said = claim(1)) => event('PlaylistCreated', said);
const changed = (said: PlaylistClaim) => event('PlaylistChanged', said);
const deleted = (time: string) =>
  event('PlaylistDeleted', claim(0, { updatedAt: instant(time), deletedAt: instant(time) }));
const added = (said: PlaylistItemClaim) => event('PlaylistItemAdded', said);
const removed = (said: PlaylistItemClaim) => event('PlaylistItemRemoved', said);
const reordered = (orderedAt: string, ...items: string[]): PlaylistsEvent => ({
  type: 'PlaylistReordered',
  data: { playlistId: WALKS, items, orderedAt },
});

const create = (hour: number, name = 'Walks', description: string | null = null): PlaylistsCommand => ({
  type: 'CreatePlaylist',
  data: { playlistId: WALKS, name, description, now: now(hour) },
});
const change = (hour: number, said: { name?: string; description?: string | null }): PlaylistsCommand => ({
  type: 'ChangePlaylist',
  data: { playlistId: WALKS, ...said, now: now(hour) },
});
const remove = (hour: number): PlaylistsCommand => ({
  type: 'DeletePlaylist',
  data: { playlistId: WALKS, now: now(hour) },
});
const addItem = (guid: string, hour: number, itemTitle: string | null = null): PlaylistsCommand => {
  const { feed, item: text } = item(guid, hour);
  return {
    type: 'AddPlaylistItem',
    data: { playlistId: WALKS, feed, item: text, itemTitle, feedTitle: null, now: now(hour) },
  };
};
const removeItem = (guid: string, hour: number): PlaylistsCommand => ({
  type: 'RemovePlaylistItem',
  data: { playlistId: WALKS, itemId: idOf(guid), now: now(hour) },
});
const reorder = (hour: number, ...guids: string[]): PlaylistsCommand => ({
  type: 'ReorderPlaylist',
  data: { playlistId: WALKS, items: guids.map(idOf), now: now(hour) },
});
const merge = (
  claims: PlaylistClaim[],
  items: PlaylistItemClaim[] = [],
  orders: PlaylistOrderClaim[] = [],
): PlaylistsCommand => ({ type: 'MergePlaylists', data: { playlists: claims, items, orders } });

describe('a listener’s playlist', () => {
  it('is made with the id that it is given', () =>
    given(playlists)
      .when(create(1, 'Walks', 'slow'))
      .then(created(claim(1, { description: 'slow' }))));

  it('is made once, however often it is asked', () => given(playlists, created()).when(create(2)).thenNothing());

  it('is not made in the place of another, nor of one that was deleted', () => {
    given(playlists, created()).when(create(2, 'Runs')).thenRefused('playlist_exists');
    given(playlists, created(), deleted(at(2)))
      .when(create(3))
      .thenRefused('playlist_exists');
  });

  it('is renamed, and keeps its description', () =>
    given(playlists, created(claim(1, { description: 'slow' })))
      .when(change(2, { name: 'Strolls' }))
      .then(changed(claim(2, { name: 'Strolls', description: 'slow' }))));

  it('is described, and loses its description', () => {
    given(playlists, created())
      .when(change(2, { description: 'slow' }))
      .then(changed(claim(2, { description: 'slow' })));
    given(playlists, created(claim(1, { description: 'slow' })))
      .when(change(2, { description: null }))
      .then(changed(claim(2)));
  });

  it('stays as it is when it is so already, or when nothing is asked', () => {
    given(playlists, created())
      .when(change(2, { name: 'Walks', description: null }))
      .thenNothing();
    given(playlists, created()).when(change(2, {})).thenNothing();
  });

  it('is changed for good, also when the clock that made it was ahead', () =>
    given(playlists, created(claim(9)))
      .when(change(3, { name: 'Runs' }))
      .then(changed(claim(0, { name: 'Runs', updatedAt: instant(at(9, 1)) }))));

  it('is deleted once, and is remembered as deleted', () => {
    given(playlists, created())
      .when(remove(2))
      .then(deleted(at(2)));
    given(playlists, created(), deleted(at(2)))
      .when(remove(3))
      .thenNothing();
  });

  it.each([
    ['changed', change(3, { name: 'Runs' })],
    ['filled', addItem('one', 3)],
    ['emptied', removeItem('one', 3)],
    ['put in order', reorder(3)],
  ])('is not %s when it never was or was deleted', (_, command) => {
    given(playlists).when(command).thenRefused('playlist_unknown');
    given(playlists, created(), added(item('one', 1)), deleted(at(2)))
      .when(command)
      .thenRefused('playlist_unknown');
  });

  it('is not deleted when it never was', () => given(playlists).when(remove(1)).thenRefused('playlist_unknown'));

  it('is one of a limited number', () => {
    const many = Array.from({ length: PLAYLISTS_MAX }, (_, n) => created(claim(1, { playlistId: `p${n}` })));
    given(playlists, ...many)
      .when(create(2))
      .thenRefused('playlists_full');
    given(playlists, ...many.slice(1))
      .when(create(2))
      .then(created(claim(2)));
  });
});

describe('an item of a playlist', () => {
  it('is added', () =>
    given(playlists, created())
      .when(addItem('one', 2, 'One'))
      .then(added(item('one', 2, { itemTitle: 'One' }))));

  it('is added once, with or without the title that is known', () =>
    given(playlists, created(), added(item('one', 2, { itemTitle: 'One' })))
      .when(addItem('one', 3))
      .thenNothing());

  it('is told anew when its title is another, and keeps its place', () =>
    given(playlists, created(), added(item('one', 2)))
      .when(addItem('one', 3, 'One'))
      .then(added(item('one', 3, { itemTitle: 'One', createdAt: now(2) }))));

  it('is the same episode, whatever its enclosure is called', () => {
    const moved = { ...item('one', 3), item: 'one,https://elsewhere.example/1.mp3' };
    expect(playlistItemId(moved)).toBe(idOf('one'));
    expect(playlistItemId({ ...moved, feed: 'https://feeds.example/other' })).not.toBe(idOf('one'));
  });

  it('is removed once, and is remembered as removed', () => {
    const gone = item('one', 2, { updatedAt: now(3), deletedAt: now(3) });
    given(playlists, created(), added(item('one', 2)))
      .when(removeItem('one', 3))
      .then(removed(gone));
    given(playlists, created(), removed(gone)).when(removeItem('one', 4)).thenNothing();
  });

  it('is added again after it was removed, as the last', () =>
    given(playlists, created(), removed(item('one', 2, { itemTitle: 'One', deletedAt: now(2) })))
      .when(addItem('one', 4))
      .then(added(item('one', 4, { itemTitle: 'One' }))));

  it('is not removed from where it never was', () =>
    given(playlists, created()).when(removeItem('one', 2)).thenRefused('playlist_item_unknown'));

  it('is one of a limited number, of which those that were removed are none', () => {
    const many = Array.from({ length: PLAYLIST_ITEMS_MAX }, (_, n) => added(item(`many-${n}`, 1)));
    given(playlists, created(), ...many)
      .when(addItem('one', 2))
      .thenRefused('playlist_full');
    given(playlists, created(), ...many, removed(item('many-7', 2, { deletedAt: now(2) })))
      .when(addItem('one', 2))
      .then(added(item('one', 2)));
  });
});

describe('the order of a playlist', () => {
  const three = [created(), ...['one', 'two', 'three'].map((guid, n) => added(item(guid, n + 1)))];
  const guids = (...past: PlaylistsEvent[]) =>
    standingItems(fold(playlists, past).playlists.get(WALKS)!).map((held) => held.item.split(',')[0]);

  it('is that in which its items were added, as long as nobody asks for another', () =>
    expect(guids(...three)).toEqual(['one', 'two', 'three']));

  it('is the one that was asked for', () => {
    const order = [idOf('three'), idOf('one'), idOf('two')];
    given(playlists, ...three)
      .when(reorder(4, 'three', 'one', 'two'))
      .then(reordered(at(4), ...order));
    expect(guids(...three, reordered(at(4), ...order))).toEqual(['three', 'one', 'two']);
  });

  it('keeps what is not named behind what is', () =>
    given(playlists, ...three)
      .when(reorder(4, 'three'))
      .then(reordered(at(4), idOf('three'), idOf('one'), idOf('two'))));

  it('puts what comes later last', () =>
    expect(guids(...three, reordered(at(4), idOf('two'), idOf('three'), idOf('one')), added(item('four', 0)))).toEqual([
      'two',
      'three',
      'one',
      'four',
    ]));

  it('is not asked for when it is so already', () => {
    given(playlists, ...three)
      .when(reorder(4, 'one', 'two', 'three'))
      .thenNothing();
    given(playlists, ...three)
      .when(reorder(4))
      .thenNothing();
  });

  it('passes over what another device removed, and refuses what never was there', () => {
    const gone = removed(item('one', 4, { deletedAt: now(4) }));
    given(playlists, ...three, gone)
      .when(reorder(5, 'three', 'one', 'two'))
      .then(reordered(at(5), idOf('three'), idOf('two')));
    given(playlists, ...three)
      .when(reorder(5, 'four'))
      .thenRefused('playlist_item_unknown');
  });

  it('stands, also when the clock that set the one before was ahead', () =>
    given(playlists, ...three, reordered(at(9), idOf('two'), idOf('one'), idOf('three')))
      .when(reorder(4, 'one', 'two', 'three'))
      .then(reordered(at(9, 1), idOf('one'), idOf('two'), idOf('three'))));
});

describe('of what devices claim of playlists', () => {
  it('the first stands, with its items and their order', () =>
    given(playlists)
      .when(
        merge(
          [claim(1)],
          [item('one', 1), item('two', 1)],
          [{ playlistId: WALKS, items: [idOf('two')], orderedAt: now(1) }],
        ),
      )
      .then(created(), added(item('one', 1)), added(item('two', 1)), reordered(at(1), idOf('two'))));

  it('the first may be that it was deleted', () =>
    given(playlists)
      .when(merge([claim(2, { deletedAt: now(2) })]))
      .then(deleted(at(2))));

  it('the newer stands, the older and the same change nothing', () => {
    given(playlists, created())
      .when(merge([claim(2, { name: 'Runs' })]))
      .then(changed(claim(2, { name: 'Runs' })));
    given(playlists, created(claim(3)))
      .when(merge([claim(2, { name: 'Runs' })]))
      .thenNothing();
    given(playlists, created())
      .when(merge([claim(1)]))
      .thenNothing();
  });

  it('the one that deleted wins when both are of the same time', () => {
    given(playlists, created(claim(2)))
      .when(merge([claim(2, { deletedAt: now(2) })]))
      .then(deleted(at(2)));
    given(playlists, deleted(at(2)))
      .when(merge([claim(2, { name: 'Zzz' })]))
      .thenNothing();
  });

  it('a newer one brings back what was deleted, with what it held', () => {
    const past = [created(), added(item('one', 1)), deleted(at(2))];
    given(playlists, ...past)
      .when(merge([claim(3)]))
      .then(changed(claim(3)));
    const held = fold(playlists, [...past, changed(claim(3))]).playlists.get(WALKS)!;
    expect(standingItems(held)).toHaveLength(1);
  });

  it('each item is its own, and so is the order', () =>
    given(playlists, created(claim(5)), added(item('one', 5)), added(item('two', 2)), reordered(at(5), idOf('two')))
      .when(
        merge(
          [claim(4, { name: 'Older' })],
          [item('one', 4, { itemTitle: 'Older' }), item('two', 6, { deletedAt: now(6) })],
          [{ playlistId: WALKS, items: [], orderedAt: now(6) }],
        ),
      )
      .then(removed(item('two', 6, { deletedAt: now(6) })), reordered(at(6))));

  it('the newest of one body makes one event', () =>
    given(playlists)
      .when(
        merge(
          [claim(1), claim(3, { name: 'Runs' }), claim(2)],
          [item('one', 1), item('one', 3), item('one', 2)],
          [1, 3, 2].map((hour) => ({ playlistId: WALKS, items: [`at ${hour}`], orderedAt: now(hour) })),
        ),
      )
      .then(created(claim(3, { name: 'Runs' })), added(item('one', 3)), reordered(at(3), 'at 3')));

  it('what a body leaves out is left alone', () =>
    given(playlists, created(), added(item('one', 1)))
      .when(merge([]))
      .thenNothing());

  it('items without their playlist are nowhere', () =>
    given(playlists)
      .when(merge([], [item('one', 1)], [{ playlistId: WALKS, items: [], orderedAt: now(1) }]))
      .thenNothing());

  it('those for which there is no room are left out, and what is deleted makes room', () => {
    const many = Array.from({ length: PLAYLISTS_MAX }, (_, n) => created(claim(1, { playlistId: `p${n}` })));
    given(playlists, ...many)
      .when(merge([claim(2)], [item('one', 2)]))
      .thenNothing();
    const gone = claim(2, { playlistId: 'p7', deletedAt: now(2) });
    given(playlists, ...many)
      .when(merge([claim(2), gone, claim(2, { playlistId: RUNS })]))
      .then(event('PlaylistDeleted', gone), created(claim(2)));
  });
});

it('what stands knows the revisions of the events that set it', () => {
  const past = [created(), added(item('one', 1)), reordered(at(2), idOf('one')), changed(claim(3))];
  const held = fold(playlists, past).playlists.get(WALKS)!;
  expect([held.revision, held.orderRevision, held.items.get(idOf('one'))!.revision]).toEqual([3, 2, 1]);
});
