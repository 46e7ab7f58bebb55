import { CommandHandler, CommandObserver, EventMetadata, EventStore, StateCache } from '@balados/event-sourcing';
import {
  ContentDropped,
  HistoryErased,
  ListeningEvent,
  PlaylistsEvent,
  PrivacyEvent,
  SubscriptionsEvent,
  usersEvents,
} from '@balados/users-contracts';
import {
  listening,
  ListeningCommand,
  ListeningState,
  playlists,
  PlaylistsCommand,
  PlaylistsState,
  privacy,
  PrivacyCommand,
  PrivacyState,
  subscriptions,
  SubscriptionsCommand,
  SubscriptionsState,
} from '@balados/users-domain';

/** Who speaks: a listener, perhaps on a device that they named, in a request that can be found again. */
export interface Speaker {
  userId: string;
  correlationId: string;
  deviceId?: string;
  deviceName?: string;
}

/** The streams of listeners, one command handler each; all states share one cache. */
export interface ListenerStreams {
  store: EventStore;
  cache: StateCache;
  subscriptions: CommandHandler<
    SubscriptionsCommand,
    SubscriptionsState,
    SubscriptionsEvent | HistoryErased | ContentDropped
  >;
  listening: CommandHandler<ListeningCommand, ListeningState, ListeningEvent | HistoryErased>;
  playlists: CommandHandler<PlaylistsCommand, PlaylistsState, PlaylistsEvent | HistoryErased | ContentDropped>;
  privacy: CommandHandler<PrivacyCommand, PrivacyState, PrivacyEvent | HistoryErased>;
}

/** `observer`: told what comes of commands. */
export function openListenerStreams(
  store: EventStore,
  cacheBytes: number,
  observer?: CommandObserver,
): ListenerStreams {
  const cache = new StateCache(cacheBytes);
  // One catalogue holds all events; each handler sees those of its own streams.
  return {
    store,
    cache,
    subscriptions: new CommandHandler(store, cache, subscriptions, usersEvents as never, observer),
    listening: new CommandHandler(store, cache, listening, usersEvents as never, observer),
    playlists: new CommandHandler(store, cache, playlists, usersEvents as never, observer),
    privacy: new CommandHandler(store, cache, privacy, usersEvents as never, observer),
  };
}

/** `now`: epoch milliseconds of our clock, the same that the command carries. */
export const metadataOf = ({ correlationId, deviceId, deviceName }: Speaker, now: number): EventMetadata => ({
  recordedAt: new Date(now).toISOString(),
  correlationId,
  ...(deviceId !== undefined && { deviceId }),
  ...(deviceName !== undefined && { deviceName }),
});
