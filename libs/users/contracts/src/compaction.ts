import { Claim, Compaction, Recorded } from '@balados/event-sourcing';
import { episodeKey } from '@balados/feeds-ids';
import { concerns, covers, Subject } from './erasure-target';
import { UsersEvent } from './events';

/**
 * What a checkpoint of a listener's stream repeats: the last word on everything, and beside it the events that count: of listens and
 * shares the first of each day and the last, whose item is as it was sent; of saves and subscriptions the first since they were undone.
 */
export const compaction = (): Compaction<UsersEvent> => new Compaction<UsersEvent>(claims);

const DAY_MS = 86_400_000;

type Claims = readonly Claim<Recorded<UsersEvent>>[];
const first = (...place: (string | number)[]) => ({ keeps: 'first' as const, place: place.join('\n') });
const last = (...place: (string | number)[]) => ({ keeps: 'last' as const, place: place.join('\n') });
const frees = (...place: string[]) => ({ frees: place.join('\n') });

function claims(event: Recorded<UsersEvent>): Claims {
  const { metadata } = event;
  const day = Math.floor(Date.parse(metadata.recordedAt) / DAY_MS);
  switch (event.type) {
    case 'PodcastSubscribed':
      return [first('subscribed', event.data.feed), last('subscription', event.data.feed)];
    case 'PodcastUnsubscribed':
      return [frees('subscribed', event.data.feed), last('subscription', event.data.feed)];
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
    // What is of a playlist follows the event that made it.
    case 'PlaylistCreated':
    case 'PlaylistChanged':
    case 'PlaylistDeleted':
      return [first('playlist made', event.data.playlistId), last('playlist', event.data.playlistId)];
    case 'PlaylistItemAdded':
    case 'PlaylistItemRemoved':
      return [last('item', event.data.playlistId, episodeOf(event.data))];
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
  }
}

const episodeOf = ({ feed, item }: { feed: string; item: string }): string => `${feed}\n${episodeKey(item)}`;
