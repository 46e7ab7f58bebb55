import { Codec } from '@balados/event-sourcing';
import { SubscriptionsEvent, usersEvents } from '@balados/users-contracts';
import fc from 'fast-check';
import { Accepted, handled, replay, unerased } from './replay.fixture';
import {
  compareSubscriptions,
  isSubscribed,
  SubscriptionClaim,
  subscriptions,
  SubscriptionsCommand,
  SubscriptionsState,
} from './subscriptions';

// Few values, so that they meet.
const feed = fc.constantFrom('https://a.example/', 'https://b.example/');
const feeds = fc.array(feed, { maxLength: 3 });
const sourceId = fc.constantFrom(null, '', '7', '8');
const time = fc.integer({ min: 0, max: 5 }).map((step) => Date.UTC(2026, 0, 1) + step * 100);
const claim: fc.Arbitrary<SubscriptionClaim> = fc
  .record({ feed, sourceId, subscribedAt: fc.option(time), unsubscribedAt: fc.option(time) })
  .filter(({ subscribedAt, unsubscribedAt }) => subscribedAt !== null || unsubscribedAt !== null);
const claims = fc.array(claim, { maxLength: 8 });

const accepted: fc.Arbitrary<Accepted<SubscriptionsCommand>> = time.chain((now) =>
  fc
    .oneof<fc.Arbitrary<SubscriptionsCommand>[]>(
      fc.record({ type: fc.constant('Subscribe'), data: fc.record({ feed, sourceId, now: fc.constant(now) }) }),
      fc.record({ type: fc.constant('Unsubscribe'), data: fc.record({ feed, now: fc.constant(now) }) }),
      fc.record({
        type: fc.constant('ChangeSubscriptions'),
        data: fc.record({ subscribe: feeds, unsubscribe: feeds, now: fc.constant(now) }),
      }),
      fc.record({ type: fc.constant('ReplaceSubscriptions'), data: fc.record({ feeds, now: fc.constant(now) }) }),
      fc.record({ type: fc.constant('MergeSubscriptions'), data: fc.record({ claims }) }),
    )
    .map((command) => ({ command, now })),
);
const history = fc.array(accepted, { maxLength: 10 });
const dropping = fc
  .record({ upTo: fc.nat(12) })
  .map((data): Accepted<SubscriptionsCommand> => ({ command: { type: 'DropContent', data }, now: 0 }));
const historyWithDrops = fc.array(fc.oneof({ weight: 3, arbitrary: accepted }, { weight: 1, arbitrary: dropping }), {
  maxLength: 14,
});

const merge = (claims: readonly SubscriptionClaim[]): Accepted<SubscriptionsCommand> => ({
  command: { type: 'MergeSubscriptions', data: { claims } },
  now: 0,
});
/** What stands, without revision and time of receipt: those tell the order of arrival. */
const standing = (state: SubscriptionsState) =>
  new Map([...state.feeds].map(([key, { revision: _, recordedAt: __, ...entry }]) => [key, entry]));

const entryOf = ({ data }: SubscriptionsEvent) => data.feed;

describe('subscriptions, whatever happened before', () => {
  it('any command sent again yields nothing', () => {
    fc.assert(
      fc.property(historyWithDrops, fc.oneof(accepted, dropping), (before, again) => {
        const listener = replay(subscriptions, before);
        listener.accept(again);
        expect(listener.accept(again)).toEqual([]);
      }),
    );
  });

  it('what an old device holds of what was dropped is no news, and what stands is not touched', () => {
    fc.assert(
      fc.property(historyWithDrops, dropping, (before, drop) => {
        const listener = replay(subscriptions, before);
        const stood = standing(listener.state);
        listener.accept(drop);
        expect(listener.accept(merge([...stood.values()]))).toEqual([]);
        for (const [key, entry] of standing(listener.state))
          expect(entry).toEqual(isSubscribed(entry) ? stood.get(key) : { ...stood.get(key), sourceId: entry.sourceId });
      }),
    );
  });

  it('after a replacement these and no others are subscribed to, after a change what it names', () => {
    const isHeld = (state: SubscriptionsState, feed: string) => isSubscribed(state.feeds.get(feed)!);
    fc.assert(
      fc.property(historyWithDrops, feeds, feeds, (before, some, others) => {
        const now = Date.UTC(2027, 0, 1);
        const listener = replay(subscriptions, before);
        listener.accept({ command: { type: 'ReplaceSubscriptions', data: { feeds: some, now } }, now });
        const held = [...listener.state.feeds.keys()].filter((feed) => isHeld(listener.state, feed));
        expect(new Set(held)).toEqual(new Set(some));
        const change = { subscribe: some, unsubscribe: others, now };
        listener.accept({ command: { type: 'ChangeSubscriptions', data: change }, now });
        for (const feed of some) expect(isHeld(listener.state, feed)).toBe(!others.includes(feed));
      }),
    );
  });

  it('the order of devices does not matter, nor how they cut what they send', () => {
    const devices = claims.chain((sent) =>
      fc.record({
        sent: fc.constant(sent),
        shuffled: fc.shuffledSubarray(sent, { minLength: sent.length }),
        cuts: fc.array(fc.nat(sent.length)).map((cuts) => [...cuts.sort((a, b) => a - b), sent.length]),
      }),
    );
    fc.assert(
      fc.property(historyWithDrops, devices, (before, { sent, shuffled, cuts }) => {
        const atOnce = replay(subscriptions, [...before, merge(sent)]);
        const pieces = cuts.map((cut, index) => merge(shuffled.slice(cuts[index - 1] ?? 0, cut)));
        const inPieces = replay(subscriptions, [...before, ...pieces]);
        expect(standing(inPieces.state)).toEqual(standing(atOnce.state));
      }),
    );
  });

  it('of what stood and what is claimed, the greatest stands', () => {
    fc.assert(
      fc.property(history, claims, (before, sent) => {
        const listener = replay(subscriptions, before);
        const all = [...standing(listener.state).values(), ...sent];
        listener.accept(merge(sent));
        for (const [key, entry] of standing(listener.state)) {
          const ofFeed = all.filter(({ feed }) => feed === key);
          expect(ofFeed.sort(compareSubscriptions).at(-1)).toEqual(entry);
        }
        expect(listener.state.feeds.size).toBe(new Set(all.map(({ feed }) => feed)).size);
      }),
    );
  });

  it('what a listener did stands, and all that was claimed before does not undo it', () => {
    fc.assert(
      fc.property(history, feed, time, fc.boolean(), (before, feed, now, on) => {
        const listener = replay(subscriptions, before);
        const known = [...standing(listener.state).values()];
        const data = { feed, sourceId: null, now };
        listener.accept({ command: { type: on ? 'Subscribe' : 'Unsubscribe', data }, now });
        const isOn = () =>
          isSubscribed(listener.state.feeds.get(feed) ?? ({ subscribedAt: null } as SubscriptionClaim));
        expect(isOn()).toBe(on);
        expect(listener.accept(merge(known))).toEqual([]);
        expect(isOn()).toBe(on);
      }),
    );
  });

  it('what a fold takes is never negative, and grows with what it holds', () => {
    fc.assert(
      fc.property(history, (commands) => {
        const { events } = unerased(replay(subscriptions, commands));
        let state = subscriptions.initialState();
        expect(subscriptions.bytes(state)).toBe(0);
        for (const event of events) {
          const [entries, bytes] = [state.feeds.size, subscriptions.bytes(state)];
          state = subscriptions.evolve(state, event);
          if (state.feeds.size > entries) expect(subscriptions.bytes(state)).toBeGreaterThan(bytes);
          expect(subscriptions.bytes(state)).toBeGreaterThan(0);
        }
      }),
    );
  });

  it('what a fold takes depends on what it holds, not on how that came about', () => {
    fc.assert(
      fc.property(history, (commands) => {
        const { events, state } = unerased(replay(subscriptions, commands));
        const last = new Map(events.map((event) => [entryOf(event), event]));
        const short = [...last.values()].reduce(subscriptions.evolve, subscriptions.initialState());
        expect(subscriptions.bytes(state)).toBe(subscriptions.bytes(short));
      }),
    );
  });

  it('a handler holds what a fold of its events gives', async () => {
    await fc.assert(
      fc.asyncProperty(historyWithDrops, async (commands) => {
        const { held, folded } = await handled(subscriptions, usersEvents as Codec<SubscriptionsEvent>, commands);
        expect(held).toEqual(folded);
        expect(held).toEqual(replay(subscriptions, commands).state);
      }),
    );
  });
});

describe('claims of a podcast', () => {
  it('are equal only when they are the same, and never both greater', () => {
    fc.assert(
      fc.property(claim, claim, (left, right) => {
        const ofOneFeed = { ...right, feed: left.feed };
        const order = compareSubscriptions(left, ofOneFeed);
        expect(compareSubscriptions(ofOneFeed, left)).toBe(order === 0 ? 0 : -order);
        if (order === 0) expect(left).toEqual(ofOneFeed);
      }),
      { numRuns: 1_000 },
    );
  });

  it('are in one order, whichever two are compared', () => {
    fc.assert(
      fc.property(claim, claim, claim, (a, b, c) => {
        if (compareSubscriptions(a, b) > 0 && compareSubscriptions(b, c) > 0)
          expect(compareSubscriptions(a, c)).toBe(1);
      }),
      { numRuns: 1_000 },
    );
  });
});
