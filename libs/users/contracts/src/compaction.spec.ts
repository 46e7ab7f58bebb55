import { Recorded } from '@balados/event-sourcing';
import { compaction } from './compaction';
import { UsersEvent } from './events';

const [FEED, ITEM] = ['https://feeds.example/a', 'g,https://m.example/1'];
const at = (day: number): string => new Date(Date.UTC(2026, 0, day)).toISOString();

/** Told one a day, as one stream. */
function told(...events: UsersEvent[]) {
  const kept = compaction();
  events.forEach((event, revision) => {
    kept.add({
      ...event,
      revision,
      metadata: { recordedAt: at(revision + 1), correlationId: 'c' },
    } as Recorded<UsersEvent>);
  });
  return kept;
}

const playlist = (type: 'PlaylistCreated' | 'PlaylistChanged' | 'PlaylistDeleted', playlistId: string): UsersEvent => ({
  type,
  data: {
    playlistId,
    name: 'secret',
    description: 'secret',
    updatedAt: at(1),
    deletedAt: type === 'PlaylistDeleted' ? at(1) : null,
  },
});
const item = (type: 'PlaylistItemAdded' | 'PlaylistItemRemoved', playlistId: string): UsersEvent => ({
  type,
  data: {
    playlistId,
    feed: FEED,
    item: ITEM,
    itemTitle: 'secret',
    feedTitle: 'secret',
    createdAt: at(1),
    updatedAt: at(1),
    deletedAt: type === 'PlaylistItemRemoved' ? at(1) : null,
  },
});
const dropped = (upTo: number): UsersEvent => ({ type: 'ContentDropped', data: { upTo } });

it('repeats of what ended and was dropped an end without content, and nothing else', () => {
  const kept = told(
    playlist('PlaylistCreated', 'gone'),
    item('PlaylistItemAdded', 'gone'),
    { type: 'PlaylistReordered', data: { playlistId: 'gone', items: ['secret'], orderedAt: at(1) } },
    playlist('PlaylistDeleted', 'gone'),
    { type: 'PodcastSubscribed', data: { feed: FEED, sourceId: 'secret', subscribedAt: at(1), unsubscribedAt: null } },
    {
      type: 'PodcastUnsubscribed',
      data: { feed: FEED, sourceId: 'secret', subscribedAt: at(1), unsubscribedAt: at(2) },
    },
    dropped(5),
  );
  expect(JSON.stringify(kept.events())).not.toContain('secret');
  expect(kept.events().map(({ type, revision }) => [type, revision])).toEqual([
    ['PlaylistDeleted', 3],
    ['PodcastUnsubscribed', 5],
    ['ContentDropped', 6],
  ]);
  expect(kept.endedAt()).toBeUndefined();
});

it('tells in full what stands, what began anew, and what ended later, and when that was', () => {
  const events = [
    playlist('PlaylistCreated', 'standing'),
    item('PlaylistItemAdded', 'standing'),
    playlist('PlaylistDeleted', 'anew'),
    playlist('PlaylistChanged', 'anew'),
    item('PlaylistItemRemoved', 'anew'),
    dropped(3),
    playlist('PlaylistDeleted', 'standing'),
  ];
  const kept = told(...events);
  expect(kept.events().map(({ revision }) => revision)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(kept.events().map(({ data }) => data)).toEqual(events.map(({ data }) => data));
  expect(kept.endedAt()).toBe(at(5));
});

it('repeats of what apps reported of an episode the last of each kind and of each of seven days', () => {
  const kept = compaction();
  const report = (revision: number, day: number, device: string, action: 'play' | 'download'): void => {
    const data = { feed: FEED, item: ITEM, action, device, at: at(1), started: 0, position: revision, total: 9 };
    const metadata = { recordedAt: at(day), correlationId: 'c' };
    kept.add({ type: 'EpisodeActionReported', data, revision, metadata });
  };
  report(0, 1, 'phone', 'play');
  report(1, 1, 'phone', 'download');
  report(2, 1, 'laptop', 'play');
  report(3, 2, 'phone', 'play');
  report(4, 8, 'phone', 'play');
  expect(kept.events().map(({ revision }) => revision)).toEqual([1, 3, 4]);
});
