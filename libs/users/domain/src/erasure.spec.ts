import { given } from '@balados/event-sourcing/testing';
import { episodeId } from '@balados/feeds-ids';
import { HistoryErased, ListeningEvent, partOf, PlaylistsEvent, SubscriptionsEvent } from '@balados/users-contracts';
import { listening } from './listening';
import { playlists } from './playlists';
import { privacy } from './privacy';
import { subscriptions } from './subscriptions';

const FEED = 'https://feeds.example/a';
const ITEM = 'g,https://cdn.example/a.mp3';
const at = (second: number): number => Date.UTC(2026, 0, 1, 0, 0, second);
const text = (second: number): string => new Date(at(second)).toISOString();

const subscribed = (second: number): SubscriptionsEvent => ({
  type: 'PodcastSubscribed',
  data: { feed: FEED, sourceId: null, subscribedAt: text(second), unsubscribedAt: null },
});
const played = (type: 'PlayRecorded' | 'PositionUpdated', second: number): ListeningEvent => ({
  type,
  data: { feed: FEED, item: ITEM, position: 1, played: false, updatedAt: text(second) },
});
const created = (second: number): PlaylistsEvent => ({
  type: 'PlaylistCreated',
  data: { playlistId: 'p', name: 'walks', description: null, updatedAt: text(second), deletedAt: null },
});
const erased = (requested: number, before = requested, scope: 'account' | 'history' = 'history'): HistoryErased => ({
  type: 'HistoryErased',
  data: { scope, feedId: null, episodeId: null, requestedAt: text(requested), before: text(before) },
});
const erase = (second: number, scope: 'account' | 'history' = 'history') =>
  ({ type: 'EraseHistory', data: { scope, feedId: null, episodeId: null, requestedAt: at(second) } }) as const;
const claim = (second: number) => ({ feed: FEED, sourceId: null, subscribedAt: at(second), unsubscribedAt: null });
const merge = (...seconds: number[]) => ({ type: 'MergeSubscriptions', data: { claims: seconds.map(claim) } }) as const;

it('of a podcast, the orders of playlists name its episodes no more', () => {
  const target = partOf(FEED, null);
  const item = (feed: string): PlaylistsEvent => ({
    type: 'PlaylistItemAdded',
    data: {
      ...{ playlistId: 'p', feed, item: ITEM, itemTitle: null, feedTitle: null },
      ...{ createdAt: text(1), updatedAt: text(1), deletedAt: null },
    },
  });
  const [gone, left] = [episodeId(FEED, ITEM), episodeId('https://feeds.example/b', ITEM)];
  const ordered = (items: string[], orderedAt: string): PlaylistsEvent => ({
    type: 'PlaylistReordered',
    data: { playlistId: 'p', items, orderedAt },
  });
  const items = [created(1), item(FEED), item('https://feeds.example/b')];
  const command = { type: 'EraseHistory', data: { ...target, requestedAt: at(5) } } as const;
  const marker: HistoryErased = {
    type: 'HistoryErased',
    data: { ...target, requestedAt: text(5), before: text(5) },
  };
  given(playlists, ...items, ordered([gone, left], text(2)))
    .when(command)
    .then(ordered([left], text(5)), marker);
  // A device that holds the order of before must not put it back, also one whose clock is ahead.
  given(playlists, ...items, ordered([gone, left], text(9)))
    .when(command)
    .then(ordered([left], new Date(at(9) + 1).toISOString()), marker);
  given(playlists, ...items, ordered([left], text(2)))
    .when(command)
    .then(marker);
  given(playlists, ...items, ordered([gone, left], text(2)), ordered([left], text(5)), marker)
    .when(command)
    .thenNothing();
});

describe('erasing a history', () => {
  it('is said also where there is nothing, for a device may hold what never came here', () => {
    given(subscriptions).when(erase(5)).then(erased(5));
    given(subscriptions, erased(5)).when(merge(5)).thenNothing();
  });

  it('is said once for each request', () => {
    given(subscriptions, subscribed(1), erased(5)).when(erase(5)).thenNothing();
    given(subscriptions, subscribed(1), erased(5), subscribed(6)).when(erase(5)).thenNothing();
    given(subscriptions, subscribed(1), erased(5)).when(erase(4)).thenNothing();
    given(subscriptions, erased(5), subscribed(6)).when(erase(7)).then(erased(7));
  });

  it('covers what a clock that is ahead has dated later, and never less than before', () => {
    given(subscriptions, subscribed(9)).when(erase(5)).then(erased(5, 9));
    given(listening, played('PlayRecorded', 9)).when(erase(5)).then(erased(5, 9));
    given(listening, { type: 'EpisodeSaved', data: { feed: FEED, item: ITEM, savedAt: text(9) } })
      .when(erase(5))
      .then(erased(5, 9));
    given(playlists, created(1), {
      type: 'PlaylistReordered',
      data: { playlistId: 'p', items: [], orderedAt: text(9) },
    })
      .when(erase(5))
      .then(erased(5, 9));
    given(subscriptions, erased(5, 9)).when(erase(6)).then(erased(6, 9));
  });

  it('leaves what is claimed of a later date', () => {
    given(subscriptions, subscribed(1), erased(5))
      .when(merge(1, 4, 5))
      .thenNothing();
    given(subscriptions, subscribed(1), erased(5)).when(merge(6)).then(subscribed(6));
  });

  it('lets commands act at once, dated after it', () => {
    given(subscriptions, subscribed(1), erased(5, 9))
      .when({ type: 'Subscribe', data: { feed: FEED, sourceId: null, now: at(6) } })
      .then({
        type: 'PodcastSubscribed',
        data: {
          feed: FEED,
          sourceId: null,
          subscribedAt: new Date(at(9) + 1).toISOString(),
          unsubscribedAt: null,
        },
      });
    given(listening, played('PlayRecorded', 1), erased(5))
      .when({ type: 'RecordPlay', data: { feed: FEED, item: ITEM, position: 1, played: false, now: at(6) } })
      .then(played('PlayRecorded', 6));
    given(playlists, created(1), erased(5))
      .when({ type: 'CreatePlaylist', data: { playlistId: 'p', name: 'walks', description: null, now: at(6) } })
      .then(created(6));
  });

  it('makes what is seen again a first sight', () => {
    const data = { claims: [{ feed: FEED, item: ITEM, position: 1, played: false, updatedAt: at(6) }] };
    given(listening, played('PlayRecorded', 1), erased(5))
      .when({ type: 'MergePlays', data })
      .then(played('PlayRecorded', 6));
  });

  it('of an account is said again when something came late, settings of privacy included', () => {
    given(subscriptions, erased(5, 5, 'account'))
      .when(erase(5, 'account'))
      .thenNothing();
    given(subscriptions, erased(5, 5, 'account'), subscribed(6))
      .when(erase(5, 'account'))
      .then(erased(5, 6, 'account'));
    const changed = {
      type: 'PrivacyChanged',
      data: { feed: null, item: null, privacy: 'private', changedAt: text(6) },
    } as const;
    given(privacy, erased(5, 5, 'account'))
      .when(erase(5, 'account'))
      .thenNothing();
    given(privacy, erased(5, 5, 'account'), changed)
      .when(erase(5, 'account'))
      .then(erased(5, 6, 'account'));
  });
});
