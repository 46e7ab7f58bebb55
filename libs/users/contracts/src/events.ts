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

const playlist = z.object({
  playlistId: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  updatedAt: time,
  deletedAt: time.nullable(),
});

const playlistItem = z.object({
  playlistId: z.string(),
  feed,
  item,
  itemTitle: z.string().nullable(),
  feedTitle: z.string().nullable(),
  createdAt: time,
  updatedAt: time,
  deletedAt: time.nullable(),
});

/** `items`: ids of items (`episodeId` of feed and item), the first one first. */
const playlistOrder = z.object({ playlistId: z.string(), items: z.array(z.string()), orderedAt: time });

/** What an app tells that was done with an episode, as gPodder's protocol names it. */
export const EPISODE_ACTIONS = ['play', 'download', 'delete', 'new', 'flattr'] as const;
export type EpisodeActionName = (typeof EPISODE_ACTIONS)[number];

/** What the world may see of what a listener does: all of it, all but who it was, or nothing (and then it does not count). */
export const PRIVACIES = ['public', 'anonymous', 'private'] as const;
export type Privacy = (typeof PRIVACIES)[number];

/** Of an account that is deleted everything goes; of a history all but account and privacy, or what is of one podcast or one episode. */
export const ERASURE_SCOPES = ['account', 'history', 'podcast', 'episode'] as const;
export type ErasureScope = (typeof ERASURE_SCOPES)[number];

/** Which podcast or episode is erased is said by their ids (`feedId`, `episodeId`): its address would be a trace. */
const erasureTarget = {
  scope: z.enum(ERASURE_SCOPES),
  feedId: z.string().nullable(),
  episodeId: z.string().nullable(),
};

/** Both null: the account. A feed alone: its podcast with all episodes. Both: one episode, as a feed and an item name it. */
const privacyScope = { feed: feed.nullable(), item: item.nullable() };

export const usersEvents = catalogue({
  /** The whole claim as it now stands: it was the newest. */
  PodcastSubscribed: { version: 1, data: subscription },
  PodcastUnsubscribed: { version: 1, data: subscription },
  /** A listen: what popularity counts, once per listener, episode and UTC day of `recordedAt`. */
  PlayRecorded: {
    version: 1,
    // `heardAt`: through a play link, and then, whatever the date of the claim that stands is.
    data: play.extend({ heardAt: time.optional() }),
  },
  /** Where the listener is; no listen of its own. */
  PositionUpdated: { version: 1, data: play },
  /** The first claim of a playlist; like those below, the whole claim as it now stands. */
  PlaylistCreated: { version: 1, data: playlist },
  /** Another name or description; or one that was deleted stands again. */
  PlaylistChanged: { version: 1, data: playlist },
  PlaylistDeleted: { version: 1, data: playlist },
  /** New in its playlist, or told anew. */
  PlaylistItemAdded: { version: 1, data: playlistItem },
  PlaylistItemRemoved: { version: 1, data: playlistItem },
  PlaylistReordered: { version: 1, data: playlistOrder },
  /** It is saved since then; said again when only the item as sent is another. */
  EpisodeSaved: { version: 1, data: z.object({ feed, item, savedAt: time }) },
  EpisodeUnsaved: { version: 1, data: z.object({ feed, item, unsavedAt: time }) },
  /** Once per listener, episode and UTC day of `recordedAt`. */
  EpisodeShared: { version: 1, data: z.object({ feed, item, sharedAt: time }) },
  /**
   * What an app told, as it told it: other apps are given it again. It moves nothing: where it says where the listener is, a
   * PlayRecorded or PositionUpdated follows. `at` is the app's own time; seconds are null where it said none.
   */
  EpisodeActionReported: {
    version: 1,
    data: z.object({
      feed,
      item,
      action: z.enum(EPISODE_ACTIONS),
      device: z.string().nullable(),
      at: time,
      started: z.number().nullable(),
      position: z.number().nullable(),
      total: z.number().nullable(),
    }),
  },
  /** From now on this holds for the scope, and for what the listener did there before. The most specific setting wins. */
  PrivacyChanged: {
    version: 1,
    data: z.object({ ...privacyScope, privacy: z.enum(PRIVACIES), changedAt: time }),
  },
  /** The scope has no setting of its own any more: the next wider one holds. */
  PrivacyReset: { version: 1, data: z.object({ ...privacyScope, changedAt: time }) },
  /**
   * In any stream: what came before it is to be forgotten, and goes. `before` is a floor, since older devices still hold what was erased:
   * a claim of that date or an earlier one is not taken any more. 1: of account and history alone.
   */
  HistoryErased: {
    version: 2,
    data: z.object({ ...erasureTarget, requestedAt: time, before: time }),
    upcasts: { 1: (data: object) => ({ ...data, feedId: null, episodeId: null }) },
  },
  /**
   * Of subscriptions and playlists that ended long ago: where the last word on something is that it is over, and was said up to the
   * revision `upTo`, its key and its dates stay and what else was known of it is gone. A playlist goes with its items and its order.
   */
  ContentDropped: { version: 1, data: z.object({ upTo: z.number().int().nonnegative() }) },
});

export type UsersEvent = EventOf<(typeof usersEvents)['declarations']>;
type OfType<Type extends UsersEvent['type']> = Extract<UsersEvent, { type: Type }>;
export type SubscriptionsEvent = OfType<'PodcastSubscribed' | 'PodcastUnsubscribed'>;
export type PlayEvent = OfType<'PlayRecorded' | 'PositionUpdated'>;
export type MarkEvent = OfType<'EpisodeSaved' | 'EpisodeUnsaved' | 'EpisodeShared'>;
export type EpisodeActionReported = OfType<'EpisodeActionReported'>;
export type ListeningEvent = PlayEvent | MarkEvent | EpisodeActionReported;
export type PlaylistEvent = OfType<'PlaylistCreated' | 'PlaylistChanged' | 'PlaylistDeleted'>;
export type PlaylistItemEvent = OfType<'PlaylistItemAdded' | 'PlaylistItemRemoved'>;
export type PlaylistReordered = OfType<'PlaylistReordered'>;
export type PrivacyEvent = OfType<'PrivacyChanged' | 'PrivacyReset'>;
export type HistoryErased = OfType<'HistoryErased'>;
export type ContentDropped = OfType<'ContentDropped'>;
/** What is erased: all (both ids null), a podcast with its episodes, or an episode. */
export type ErasureTarget = Pick<HistoryErased['data'], 'scope' | 'feedId' | 'episodeId'>;
export type PlaylistsEvent = PlaylistEvent | PlaylistItemEvent | PlaylistReordered;

/** Streams of listeners begin with one of these; projectors read no others. */
export const USERS_CATEGORIES = ['subscriptions', 'listening', 'playlists', 'privacy'] as const;
