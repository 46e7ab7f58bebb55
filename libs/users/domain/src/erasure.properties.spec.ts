import { Decider, DomainEvent, Recorded } from '@balados/event-sourcing';
import { episodeId } from '@balados/feeds-ids';
import fc from 'fast-check';
import {
  compaction,
  concerns,
  covers,
  ErasureTarget,
  HistoryErased,
  isWhole,
  partOf,
  Subject,
  UsersEvent,
  WHOLE_HISTORY,
} from '@balados/users-contracts';
import { EraseHistory, Erasures } from './erasure';
import { allMarks, allPlays, listening, ListeningCommand, ListeningState, PlayClaim } from './listening';
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

const markersAmong = (events: readonly DomainEvent[] | undefined): HistoryErased[] =>
  (events ?? []).filter((event): event is HistoryErased => event.type === 'HistoryErased');

/** Podcasts that share an item stand in no particular order. */
function inAnyOrder<State extends object>(state: State): object {
  if (!('episodes' in state && 'marks' in state)) return state;
  const sorted = (entries: unknown) =>
    [...(entries as Map<string, { feed: string }[]>)].map(([key, ofItem]): [string, { feed: string }[]] => [
      key,
      [...ofItem].sort((one, other) => (one.feed < other.feed ? -1 : 1)),
    ]);
  // What came last is of those that are left.
  const recent = new Set((state as unknown as ListeningState).recent.map(({ key }) => key));
  return { ...state, recent, episodes: new Map(sorted(state.episodes)), marks: new Map(sorted(state.marks)) };
}

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
    type: fc.constant('RecordListen' as const),
    data: fc.record({ feed, item, heardAt: fc.tuple(time, fc.nat(2)).map(([at, days]) => at + days * 86_400_000) }),
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
      orders: fc.array(
        fc.record({ playlistId, items: fc.subarray(['x', episodeId('https://a.example/', 'g,')]), orderedAt: time }),
        { maxLength: 1 },
      ),
    }),
  }),
);

const DAY_MS = 86_400_000;
/** As the server accepts it, on one of three days. */
const accepted = <Command>(command: Command, day = 0): Accepted<Command> => ({ command, now: start + day * DAY_MS });
const erasing = (of: fc.Arbitrary<ErasureTarget>): fc.Arbitrary<EraseHistory> =>
  fc.record({
    type: fc.constant('EraseHistory'),
    data: fc.tuple(of, time).map(([target, requestedAt]) => ({ ...target, requestedAt })),
  });
const whole = erasing(fc.constant(WHOLE_HISTORY));
const part = fc.tuple(feed, fc.option(item)).map(([named, one]) => partOf(named, one));

interface Stream<Said, State> {
  said: fc.Arbitrary<Said>;
  /** The full sync of a device that holds all that stands. */
  echo: (state: State) => Said;
  /** Everything that a state holds, with what it is about. */
  held: (state: State) => Subject[];
}

/** The properties of every stream. */
function behaves<Said, State extends { erasures: Erasures }, Event extends DomainEvent>(
  decider: Decider<Said | EraseHistory, State, Event | HistoryErased>,
  { said, echo, held }: Stream<Said, State>,
) {
  type Told = Said | EraseHistory;
  const history = fc.array(said, { maxLength: 8 });
  const after = (...commands: Told[]): Replay<Told, State, Event | HistoryErased> =>
    replay(
      decider,
      commands.map((command) => accepted(command)),
    );
  const days = fc.array(
    fc.tuple(
      fc.oneof(
        { weight: 6, arbitrary: said as fc.Arbitrary<Told> },
        { weight: 1, arbitrary: whole as fc.Arbitrary<Told> },
        { weight: 2, arbitrary: erasing(part) as fc.Arbitrary<Told> },
      ),
      fc.constantFrom(0, 1, 2),
    ),
    { maxLength: 14 },
  );
  const compacted = (events: readonly Recorded<Event | HistoryErased>[]): Recorded<Event>[] => {
    const kept = compaction();
    for (const event of events) kept.add(event as Recorded<UsersEvent>);
    return kept.events() as never;
  };
  const folded = (events: readonly Recorded<Event | HistoryErased>[]): State =>
    events.reduce(decider.evolve, decider.initialState());

  it('nothing is left, and a full sync of a device that holds what was erased brings nothing back', () => {
    fc.assert(
      fc.property(history, whole, (before, erase) => {
        const known = echo(after(...before).state);
        const listener = after(...before, erase);
        expect(held(listener.state)).toEqual([]);
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
      fc.property(history, whole, history, (before, erase, afterwards) => {
        const listener = after(...before, erase);
        // The same marker, and nothing that it was for.
        const blank = after();
        blank.state = decider.evolve(blank.state, listener.events.at(-1)!);
        for (const command of afterwards) {
          const [one, other] = [listener.accept(accepted(command)), blank.accept(accepted(command))];
          expect(one).toEqual(other);
        }
        expect(held(listener.state).length).toBe(held(blank.state).length);
      }),
      { numRuns: 300 },
    );
  });

  it('what precedes the marker can be cut: the fold of what is left is the fold of all', () => {
    fc.assert(
      fc.property(history, whole, history, (before, erase, afterwards) => {
        const { events, state } = after(...before, erase, ...afterwards);
        expect(folded(events.filter(({ revision }) => revision >= state.erasures.all!.revision))).toEqual(state);
      }),
      { numRuns: 300 },
    );
  });

  it('of a podcast or an episode nothing is left, the rest stays as it was, and no old device brings it back', () => {
    fc.assert(
      fc.property(history, erasing(part), (before, erase) => {
        const listener = after(...before);
        const known = echo(listener.state);
        const rest = held(listener.state).filter((entry) => !concerns(erase.data, entry));
        expect(markersAmong(listener.accept(accepted(erase)))).toHaveLength(1);
        expect(held(listener.state)).toEqual(rest);
        expect(listener.accept(accepted(known))).toEqual([]);
        expect(listener.accept(accepted(erase))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('what is wider makes void what is narrower, and its floor lies no lower', () => {
    fc.assert(
      fc.property(days, fc.oneof(whole, erasing(part)), (before, erase) => {
        const { state } = replay(
          decider,
          before.map(([command, day]) => accepted(command, day)),
        );
        const { all, parts } = state.erasures;
        const floors = [...(all ? [{ ...all, ...WHOLE_HISTORY }] : []), ...parts.values()];
        const [marker] = markersAmong(decider.decide(erase, state));
        // What was asked for after this was erased already.
        if (!marker) return;
        const after = decider.evolve(state, {
          ...marker,
          revision: 1_000,
          metadata: { recordedAt: '', correlationId: '' },
        } as never);
        const floor = Date.parse(marker.data.before);
        for (const narrow of floors.filter((erased) => covers(erase.data, erased)))
          expect(narrow.floor).toBeLessThanOrEqual(floor);
        const covered = [...after.erasures.parts.values()].filter((erased) => covers(erase.data, erased));
        expect(covered).toHaveLength(isWhole(erase.data) ? 0 : 1);
      }),
      { numRuns: 300 },
    );
  });

  it('what a checkpoint repeats comes to the same as all that it was made of', () => {
    fc.assert(
      fc.property(days, days, (first, then) => {
        const listener = replay(
          decider,
          first.map(([command, day]) => accepted(command, day)),
        );
        const kept = compacted(listener.events);
        const asItWas = folded(kept);
        expect(inAnyOrder(asItWas)).toEqual(inAnyOrder(listener.state));
        expect(decider.bytes(asItWas)).toBe(decider.bytes(listener.state));
        expect(compacted(kept)).toEqual(kept);
        // And so does whatever follows.
        const checkpoint = listener.events.length;
        for (const [command, day] of then) listener.accept(accepted(command, day));
        const asItIs = folded([...kept, ...listener.events.slice(checkpoint)]);
        expect(inAnyOrder(asItIs)).toEqual(inAnyOrder(listener.state));
        expect(compacted([...kept, ...listener.events.slice(checkpoint)])).toEqual(compacted(listener.events));
      }),
      { numRuns: 500 },
    );
  });

  it('no checkpoint repeats anything of what was erased', () => {
    fc.assert(
      fc.property(days, erasing(part), (before, erase) => {
        const listener = replay(
          decider,
          before.map(([command, day]) => accepted(command, day)),
        );
        // What was asked for before something wider was, is done.
        if (listener.accept(accepted(erase))!.length === 0) return;
        const subjects = compacted(listener.events).filter(({ type }) => type !== 'HistoryErased');
        expect(subjects.filter(({ data }) => concerns(erase.data, data as Subject))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
}

describe('subscriptions that are erased', () =>
  behaves(subscriptions, {
    said: subscriptionsSaid,
    echo: ({ feeds }): SubscriptionsSaid => ({ type: 'MergeSubscriptions', data: { claims: [...feeds.values()] } }),
    held: ({ feeds }) => [...feeds.values()],
  }));

describe('listening that is erased', () =>
  behaves(listening, {
    said: listeningSaid,
    echo: (state): ListeningSaid => ({ type: 'MergePlays', data: { claims: [...allPlays(state)] } }),
    held: (state) => [...allPlays(state), ...allMarks(state)],
  }));

describe('playlists that are erased', () =>
  behaves(playlists, {
    said: playlistsSaid,
    echo: ({ playlists: held }): PlaylistsSaid => ({
      type: 'MergePlaylists',
      data: {
        playlists: [...held.values()],
        items: [...held.values()].flatMap(({ items }) => [...items.values()]),
        orders: [...held.values()].flatMap(({ playlistId, order, orderedAt }) =>
          orderedAt === null ? [] : { playlistId, items: order, orderedAt },
        ),
      },
    }),
    held: ({ playlists: held }) => [
      // What is erased leaves their orders, which are then dated anew.
      ...[...held.values()].map((playlist): object => ({
        ...playlist,
        ...{ items: undefined, order: undefined, orderedAt: undefined, orderRevision: undefined },
      })),
      ...[...held.values()].flatMap(({ playlistId, order, items }) =>
        order.map((id) => ({ playlistId, id, feed: items.get(id)?.feed, item: items.get(id)?.item })),
      ),
      ...[...held.values()].flatMap(({ items }) => [...items.values()]),
    ],
  }));
