import { streamOf } from '@balados/event-sourcing';
import {
  USERS_CATEGORIES,
  wireEpisode,
  wirePlay,
  wirePlaylist,
  wirePlaylistItem,
  wirePrivacy,
  wireSubscription,
} from '@balados/users-contracts';
import { allMarks, allPlays, inOrder, PlaylistsState, standingPrivacy } from '@balados/users-domain';
import type { ListenerStreams } from '@balados/users-write';

/** Text of an export is handed on in pieces of about this many characters. */
export const EXPORT_PIECE_CHARACTERS = 65_536;

/**
 * A listener's data as one JSON object, in pieces: `records` as they are, then `state` (how everything stands, tombstones included, as a
 * sync without `since` answers it; settings of privacy; episodes saved or shared) and `events` (all that is stored, stream by stream).
 * Nothing is read before it is asked for, and no more than one event at a time is held of the log.
 * @throws StreamGone, StoreUnavailable, UnreadableEvent in the middle: what was given until then is not whole
 */
export async function* exportOf(streams: ListenerStreams, userId: string, records: object): AsyncGenerator<string> {
  let piece = '';
  for await (const text of texts(streams, userId, records)) {
    piece += text;
    if (piece.length < EXPORT_PIECE_CHARACTERS) continue;
    yield piece;
    piece = '';
  }
  yield piece;
}

async function* texts(streams: ListenerStreams, userId: string, records: object): AsyncGenerator<string> {
  yield `${JSON.stringify(records).slice(0, -1)},"state":{`;
  // Entries of a state are never changed in place, so lists of them may be written out later.
  const subscriptions = await streams.subscriptions.query(userId, ({ state }) => [...state.feeds.values()]);
  yield* list('subscriptions', subscriptions, wireSubscription);
  const [plays, marks] = await streams.listening.query(userId, ({ state }) => [
    [...allPlays(state)],
    [...allMarks(state)],
  ]);
  yield* list(',play_statuses', plays, wirePlay);
  yield* list(',episodes', marks, wireEpisode);
  yield* list(',playlists', await streams.playlists.query(userId, ({ state }) => playlistsOf(state)), (playlist) =>
    wirePlaylist(playlist, inOrder(playlist.items, playlist.order).map(wirePlaylistItem)),
  );
  yield* list(
    ',privacy_settings',
    await streams.privacy.query(userId, ({ state }) => standingPrivacy(state)),
    wirePrivacy,
  );
  yield '},"events":[';
  let separator = '';
  for (const category of USERS_CATEGORIES) {
    for await (const event of streams.store.read(streamOf(category, userId))) {
      const { id, stream, revision, type, data, metadata } = event;
      yield separator + JSON.stringify({ id, stream, revision, type, data, metadata });
      separator = ',';
    }
  }
  yield ']}';
}

function* list<Entry>(name: string, entries: readonly Entry[], wire: (entry: Entry) => object): Generator<string> {
  yield `${name.replace(/\w+/, '"$&"')}:[`;
  for (const [index, entry] of entries.entries()) yield `${index > 0 ? ',' : ''}${JSON.stringify(wire(entry))}`;
  yield ']';
}

/** The items of a playlist are in a map that goes on changing. */
const playlistsOf = ({ playlists }: PlaylistsState) =>
  [...playlists.values()].map((playlist) => ({ ...playlist, items: [...playlist.items.values()] }));
