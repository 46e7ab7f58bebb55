import { Decider, DomainEvent, Recorded } from '@balados/event-sourcing';
import fc from 'fast-check';
import { EraseHistory, Erased } from './erasure';
import { allMarks, allPlays, listening, ListeningCommand, PlayClaim } from './listening';
import { PlaylistClaim, PlaylistItemClaim } from './playlist-claims';
import { playlists, PlaylistsCommand } from './playlists';
import { Accepted, Replay, replay } from './replay.fixture';
import { SubscriptionClaim, subscriptions, SubscriptionsCommand } from './subscriptions';

// Few values, so that they meet. Claims may be dated after they are made.
const start = Date.UTC(2026, 0, 1);
const feed = fc.constantFrom('https://a.example/', 'https://b.example/');
const item = fc.constantFrom('g,', 'h,https://a.example/1');
const time = fc.integer({ min: 0, max: 12 }).map((step) => start + step * 100);
const playlistId = fc.constantFrom('p', 'q');

const subscription: fc.Arbitrary<SubscriptionClaim> = fc.record({
  feed,
  sourceId: fc.constant(null),
  subscribedAt: time,
  unsubscribedAt: fc.option(time),
});
const play: fc.Arbitrary<PlayClaim> = fc.record({
  feed,
  item,
  position: fc.constantFrom(0, 7),
  played: fc.boolean(),
  updatedAt: time,
});
const playlist: fc.Arbitrary<PlaylistClaim> = fc.record({
  playlistId,
  name: fc.constantFrom('x', 'y'),
  description: fc.constant(null),
  updatedAt: time,
  deletedAt: fc.option(time),
});
const playlistItem: fc.Arbitrary<PlaylistItemClaim> = fc.record({
  playlistId,
  feed,
  item,
  itemTitle: fc.constant(null),
  feedTitle: fc.constant(null),
  createdAt: time,
  updatedAt: time,
  deletedAt: fc.option(time),
});

type SubscriptionsSaid = Exclude<SubscriptionsCommand, EraseHistory>;
const subscriptionsSaid: fc.Arbitrary<SubscriptionsSaid> = fc.oneof(
  fc.record({
    type: fc.constant('Subscribe' as const),
    data: fc.record({ feed, sourceId: fc.constant(null), now: time }),
  }),
  fc.record({ type: fc.constant('Unsubscribe' as const), data: fc.record({ feed, now: time }) }),
  fc.record({
    type: fc.constant('MergeSubscriptions' as const),
    data: fc.record({ claims: fc.array(subscription, { maxLength: 4 }) }),
  }),
);
type ListeningSaid = Exclude<ListeningCommand, EraseHistory>;
const listeningSaid: fc.Arbitrary<ListeningSaid> = fc.oneof(
  fc.record({
    type: fc.constant('RecordPlay' as const),
    data: fc.record({ feed, item, position: fc.constant(3), played: fc.boolean(), now: time }),
  }),
  fc.record({
    type: fc.constantFrom('SaveEpisode' as const, 'UnsaveEpisode' as const, 'ShareEpisode' as const),
    data: fc.record({ feed, item, now: time }),
  }),
  fc.record({
    type: fc.constant('MergePlays' as const),
    data: fc.record({ claims: fc.array(play, { maxLength: 4 }) }),
  }),
);
type PlaylistsSaid = Exclude<PlaylistsCommand, EraseHistory>;
const playlistsSaid: fc.Arbitrary<PlaylistsSaid> = fc.oneof(
  fc.record({
    type: fc.constant('CreatePlaylist' as const),
    data: fc.record({ playlistId, name: fc.constant('z'), description: fc.constant(null), now: time }),
  }),
  fc.record({
    type: fc.constant('MergePlaylists' as const),
    data: fc.record({
      playlists: fc.array(playlist, { maxLength: 3 }),
      items: fc.array(playlistItem, { maxLength: 4 }),
      orders: fc.constant([]),
    }),
  }),
);

const accepted = <Command>(command: Command): Accepted<Command> => ({ command, now: start });
const erasing = time.map((requestedAt): EraseHistory => ({
  type: 'EraseHistory',
  data: { scope: 'history', requestedAt },
}));

/** The properties of every stream; `echo` is the full sync of a device that holds all that stood. */
function behaves<Said, State extends { erased: Erased | undefined }, Event extends DomainEvent>(
  decider: Decider<Said | EraseHistory, State, Event>,
  said: fc.Arbitrary<Said>,
  sizeOf: (state: State) => number,
  echo: (state: State) => Said,
) {
  const history = fc.array(said, { maxLength: 8 });
  const after = (...commands: (Said | EraseHistory)[]): Replay<Said | EraseHistory, State, Event> =>
    replay(decider, commands.map(accepted));

  it('nothing is left, and a full sync of a device that holds what was erased brings nothing back', () => {
    fc.assert(
      fc.property(history, erasing, (before, erase) => {
        const known = echo(after(...before).state);
        const listener = after(...before, erase);
        expect(sizeOf(listener.state)).toBe(0);
        expect(decider.bytes(listener.state)).toBe(0);
        expect(listener.accept(accepted(known))).toEqual([]);
        // Nor is it erased again.
        expect(listener.accept(accepted(erase))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('what came after stands as if nothing had been before, but for its dates', () => {
    fc.assert(
      fc.property(history, erasing, history, (before, erase, afterwards) => {
        const listener = after(...before, erase);
        const { floor } = listener.state.erased!;
        // The same floor, and nothing that it was for.
        const blank = after({ type: 'EraseHistory', data: { scope: 'history', requestedAt: floor } });
        for (const command of afterwards) {
          const [one, other] = [listener.accept(accepted(command)), blank.accept(accepted(command))];
          expect(one).toEqual(other);
        }
        expect(sizeOf(listener.state)).toBe(sizeOf(blank.state));
      }),
      { numRuns: 300 },
    );
  });

  it('what precedes the marker can be cut: the fold of what is left is the fold of all', () => {
    fc.assert(
      fc.property(history, erasing, history, (before, erase, afterwards) => {
        const { events, state } = after(...before, erase, ...afterwards);
        const left = events.slice(state.erased!.revision) as Recorded<Event>[];
        expect(left.reduce(decider.evolve, decider.initialState())).toEqual(state);
      }),
      { numRuns: 300 },
    );
  });
}

describe('subscriptions that are erased', () =>
  behaves(
    subscriptions,
    subscriptionsSaid,
    ({ feeds }) => feeds.size,
    ({ feeds }): SubscriptionsSaid => ({ type: 'MergeSubscriptions', data: { claims: [...feeds.values()] } }),
  ));

describe('listening that is erased', () =>
  behaves(
    listening,
    listeningSaid,
    (state) => state.entries + [...allPlays(state)].length + [...allMarks(state)].length,
    (state): ListeningSaid => ({ type: 'MergePlays', data: { claims: [...allPlays(state)] } }),
  ));

describe('playlists that are erased', () =>
  behaves(
    playlists,
    playlistsSaid,
    (state) => state.playlists.size + state.itemCount,
    (state): PlaylistsSaid => ({
      type: 'MergePlaylists',
      data: {
        playlists: [...state.playlists.values()],
        items: [...state.playlists.values()].flatMap(({ items }) => [...items.values()]),
        orders: [],
      },
    }),
  ));
