import { Claim, Compaction, Placed, Recorded } from '@balados/event-sourcing';
import { episodeKey } from '@balados/feeds-ids';
import { concerns, covers, Subject } from './erasure-target';
import { UsersEvent } from './events';

/**
 * What a checkpoint of a listener's stream repeats: the last word on everything, and beside it the events that count: of listens and
 * shares the first of each day and the last, whose item is as it was sent; of saves and subscriptions the first since they were undone;
 * of what apps report of an episode the last of each of seven days.
 */
export const compaction = (): Compaction<UsersEvent> => new Compaction<UsersEvent>(claims);

/** What is dropped of things that ended long ago, as it is told then. */
export const NO_CONTENT = {
  subscription: { sourceId: null },
  playlist: { name: '', description: null },
  playlistItem: { itemTitle: null, feedTitle: null },
} as const;

const DAY_MS = 86_400_000;

type Claims = readonly Claim<Recorded<UsersEvent>>[];
const first = (...place: (string | number)[]) => ({ keeps: 'first' as const, place: place.join('\n') });
const last = (...place: (string | number)[]) => ({ keeps: 'last' as const, place: place.join('\n') });
const end = (...place: string[]) => ({ ...last(...place), ends: true });
const frees = (...place: string[]) => ({ frees: place.join('\n') });

function claims(event: Recorded<UsersEvent>): Claims {
  const { metadata } = event;
  const day = Math.floor(Date.parse(metadata.recordedAt) / DAY_MS);
  switch (event.type) {
    case 'PodcastSubscribed':
      return [first('subscribed', event.data.feed), last('subscription', event.data.feed)];
    case 'PodcastUnsubscribed':
      return [frees('subscribed', event.data.feed), end('subscription', event.data.feed)];
    case 'PlayRecorded': {
      const key = episodeOf(event.data);
      return [first('listened', key, day), last('listened', key, day, 'again'), last('listen', key), last('play', key)];
    }
    case 'PositionUpdated':
      return [last('play', episodeOf(event.data))];
    case 'EpisodeSaved':
      return [first('saved', episodeOf(event.data)), last('save', episodeOf(event.data))];
    case 'EpisodeUnsaved':
      return [frees('saved', episodeOf(event.data)), last('save', episodeOf(event.data))];
    case 'EpisodeShared': {
      const key = episodeOf(event.data);
      return [first('shared', key, day), last('shared', key, day, 'again'), last('share', key)];
    }
    // Of each day of a week the last: who was away is told where it came to, day by day.
    case 'EpisodeActionReported':
      return [last('action', episodeOf(event.data), event.data.action, day % 7)];
    // What is of a playlist follows the event that made it.
    case 'PlaylistCreated':
    case 'PlaylistChanged':
      return [first('playlist made', event.data.playlistId), last('playlist', event.data.playlistId)];
    case 'PlaylistDeleted':
      return [first('playlist made', event.data.playlistId), end('playlist', event.data.playlistId)];
    case 'PlaylistItemAdded':
      return [last('item', event.data.playlistId, episodeOf(event.data))];
    case 'PlaylistItemRemoved':
      return [end('item', event.data.playlistId, episodeOf(event.data))];
    case 'PlaylistReordered':
      return [last('order', event.data.playlistId)];
    case 'PrivacyChanged':
    case 'PrivacyReset': {
      const { feed, item } = event.data;
      return [last('privacy', feed ?? '', item === null ? '' : `${episodeKey(item)}\n`)];
    }
    case 'HistoryErased': {
      const { data: target } = event;
      const isVoid = (held: Recorded<UsersEvent>): boolean =>
        held.type === 'HistoryErased' ? covers(target, held.data) : concerns(target, held.data as Subject);
      return [{ voids: isVoid }, last('erased', target.feedId ?? '', target.episodeId ?? '')];
    }
    // All of them stay: rows that were put back from a backup of between two must lose what others lost there.
    case 'ContentDropped':
      return [{ drops: (places) => dropContent(places, event.data.upTo) }, last('dropped', event.revision)];
  }
}

const episodeOf = ({ feed, item }: { feed: string; item: string }): string => `${feed}\n${episodeKey(item)}`;

/** Ends that were said up to a revision are told without what is dropped; what is of a deleted playlist alone is void. */
function dropContent(places: Map<string, Placed<Recorded<UsersEvent>>>, upTo: number): void {
  const emptied = new Set<string>();
  for (const [place, { event, nth, ends }] of places) {
    if (!ends || event.revision > upTo) continue;
    const told = { event: withoutContent(event), nth, ends: false };
    places.set(place, told);
    if (event.type !== 'PlaylistDeleted') continue;
    emptied.add(event.data.playlistId);
    places.set(first('playlist made', event.data.playlistId).place, told);
  }
  if (emptied.size === 0) return;
  for (const [place] of places) {
    const [what, playlistId] = place.split('\n') as [string, string];
    if ((what === 'item' || what === 'order') && emptied.has(playlistId)) places.delete(place);
  }
}

function withoutContent(event: Recorded<UsersEvent>): Recorded<UsersEvent> {
  switch (event.type) {
    case 'PodcastUnsubscribed':
      return { ...event, data: { ...event.data, ...NO_CONTENT.subscription } };
    case 'PlaylistDeleted':
      return { ...event, data: { ...event.data, ...NO_CONTENT.playlist } };
    case 'PlaylistItemRemoved':
      return { ...event, data: { ...event.data, ...NO_CONTENT.playlistItem } };
    default:
      return event;
  }
}
