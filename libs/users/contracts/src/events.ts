import { catalogue, EventOf } from '@balados/event-sourcing';
import { z } from 'zod';

/**
 * The events of a listener. THESE ARE STORED FORMATS: a name never changes, a shape changes only with its version and an upcast.
 *
 * `feed` is the canonical URL, `item` is `<guid>,<enclosure>` as last sent, times are RFC 3339 UTC with milliseconds as the client
 * claimed them (when the server accepted them is in the metadata), positions are seconds.
 */
const feed = z.string();
const item = z.string();
const time = z.string();

const subscription = z.object({
  feed,
  /** The client's own id of the podcast, if it has one. */
  sourceId: z.string().nullable(),
  subscribedAt: time.nullable(),
  unsubscribedAt: time.nullable(),
});

const play = z.object({ feed, item, position: z.number(), played: z.boolean(), updatedAt: time });

export const usersEvents = catalogue({
  /** The whole claim as it now stands: it was the newest. */
  PodcastSubscribed: { version: 1, data: subscription },
  PodcastUnsubscribed: { version: 1, data: subscription },
  /** A listen: what popularity counts, once per listener, episode and UTC day of `recordedAt`. */
  PlayRecorded: { version: 1, data: play },
  /** Where the listener is; no listen of its own. */
  PositionUpdated: { version: 1, data: play },
  /** It is saved since then; said again when only the item as sent is another. */
  EpisodeSaved: { version: 1, data: z.object({ feed, item, savedAt: time }) },
  EpisodeUnsaved: { version: 1, data: z.object({ feed, item, unsavedAt: time }) },
  /** Once per listener, episode and UTC day of `recordedAt`. */
  EpisodeShared: { version: 1, data: z.object({ feed, item, sharedAt: time }) },
});

export type UsersEvent = EventOf<(typeof usersEvents)['declarations']>;
type OfType<Type extends UsersEvent['type']> = Extract<UsersEvent, { type: Type }>;
export type SubscriptionsEvent = OfType<'PodcastSubscribed' | 'PodcastUnsubscribed'>;
export type PlayEvent = OfType<'PlayRecorded' | 'PositionUpdated'>;
export type MarkEvent = OfType<'EpisodeSaved' | 'EpisodeUnsaved' | 'EpisodeShared'>;
export type ListeningEvent = PlayEvent | MarkEvent;

/** Streams of listeners begin with one of these; projectors read no others. */
export const USERS_CATEGORIES = ['subscriptions', 'listening'] as const;
