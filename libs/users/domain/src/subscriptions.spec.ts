import { fold, given } from '@balados/event-sourcing/testing';
import { SubscriptionsEvent } from '@balados/users-contracts';
import { instant } from './claims';
import { isSubscribed, SubscriptionClaim, subscriptions, SubscriptionsCommand } from './subscriptions';

const FEED = 'https://feeds.example/show';
const at = (hour: number, millisecond = 0) => `2026-01-01T${String(hour).padStart(2, '0')}:00:00.00${millisecond}Z`;

const state = (subscribedAt: string | null, unsubscribedAt: string | null, sourceId: string | null = null) => ({
  feed: FEED,
  sourceId,
  subscribedAt,
  unsubscribedAt,
});
const subscribed = (...claim: Parameters<typeof state>): SubscriptionsEvent => ({
  type: 'PodcastSubscribed',
  data: state(...claim),
});
const unsubscribed = (...claim: Parameters<typeof state>): SubscriptionsEvent => ({
  type: 'PodcastUnsubscribed',
  data: state(...claim),
});

const subscribe = (hour: number, sourceId: string | null = null): SubscriptionsCommand => ({
  type: 'Subscribe',
  data: { feed: FEED, sourceId, now: instant(at(hour)) },
});
const unsubscribe = (hour: number): SubscriptionsCommand => ({
  type: 'Unsubscribe',
  data: { feed: FEED, now: instant(at(hour)) },
});
const claim = (
  subscribedAt: number | null,
  unsubscribedAt: number | null,
  sourceId: string | null = null,
): SubscriptionClaim => ({
  feed: FEED,
  sourceId,
  subscribedAt: subscribedAt === null ? null : instant(at(subscribedAt)),
  unsubscribedAt: unsubscribedAt === null ? null : instant(at(unsubscribedAt)),
});
const merge = (...claims: SubscriptionClaim[]): SubscriptionsCommand => ({
  type: 'MergeSubscriptions',
  data: { claims },
});

describe('a listener subscribes', () => {
  it('to a podcast, at the time of asking', () =>
    given(subscriptions)
      .when(subscribe(1, '7'))
      .then(subscribed(at(1), null, '7')));

  it('once, however often it is asked', () =>
    given(subscriptions, subscribed(at(1), null))
      .when(subscribe(2))
      .thenNothing());

  it('once, also when asked without the id that the client gave before', () =>
    given(subscriptions, subscribed(at(1), null, '7'))
      .when(subscribe(2))
      .thenNothing());

  it('again when the client has another id for it', () =>
    given(subscriptions, subscribed(at(1), null, '7'))
      .when(subscribe(2, '8'))
      .then(subscribed(at(2), null, '8')));

  it('again after unsubscribing, and keeps the id', () =>
    given(subscriptions, unsubscribed(at(1), at(2), '7'))
      .when(subscribe(3))
      .then(subscribed(at(3), at(2), '7')));

  it('for good, also when the clock that unsubscribed was ahead', () =>
    given(subscriptions, unsubscribed(at(1), at(9)))
      .when(subscribe(3))
      .then(subscribed(at(9, 1), at(9))));
});

describe('a listener unsubscribes', () => {
  it('and the podcast is remembered as left', () =>
    given(subscriptions, subscribed(at(1), null, '7'))
      .when(unsubscribe(2))
      .then(unsubscribed(at(1), at(2), '7')));

  it('once, however often it is asked', () =>
    given(subscriptions, unsubscribed(at(1), at(2)))
      .when(unsubscribe(3))
      .thenNothing());

  it('from what was never subscribed to, and nothing happens', () =>
    given(subscriptions).when(unsubscribe(1)).thenNothing());

  it('for good, also when the clock that subscribed was ahead', () =>
    given(subscriptions, subscribed(at(9), null))
      .when(unsubscribe(3))
      .then(unsubscribed(at(9), at(9, 1))));

  it('for good: the device that was ahead may claim the same again', () =>
    given(subscriptions, unsubscribed(at(9), at(9, 1)))
      .when(merge(claim(9, null)))
      .thenNothing());
});

describe('of what devices claim', () => {
  it('the first of a podcast stands', () =>
    given(subscriptions)
      .when(merge(claim(1, null, '7')))
      .then(subscribed(at(1), null, '7')));

  it('the first may be that it was left', () =>
    given(subscriptions)
      .when(merge(claim(null, 1)))
      .then(unsubscribed(null, at(1))));

  it('the newer stands', () =>
    given(subscriptions, subscribed(at(1), null))
      .when(merge(claim(1, 2)))
      .then(unsubscribed(at(1), at(2))));

  it('the older changes nothing', () =>
    given(subscriptions, unsubscribed(at(1), at(3)))
      .when(merge(claim(2, null)))
      .thenNothing());

  it('the same changes nothing', () =>
    given(subscriptions, subscribed(at(1), null, '7'))
      .when(merge(claim(1, null, '7')))
      .thenNothing());

  it('the later of the two dates counts, whichever it is', () =>
    given(subscriptions, unsubscribed(at(1), at(3)))
      .when(merge(claim(4, 2)))
      .then(subscribed(at(4), at(2))));

  it('the one that left wins when both are of the same time', () => {
    given(subscriptions, subscribed(at(2), null))
      .when(merge(claim(null, 2)))
      .then(unsubscribed(null, at(2)));
    given(subscriptions, unsubscribed(null, at(2)))
      .when(merge(claim(2, null)))
      .thenNothing();
  });

  it('one that began and left at the same time has left', () => {
    expect(isSubscribed(claim(2, 2))).toBe(false);
    given(subscriptions)
      .when(merge(claim(2, 2)))
      .then(unsubscribed(at(2), at(2)));
  });

  it('an id wins over none, also an empty one, when all else is the same', () => {
    given(subscriptions, subscribed(at(1), null))
      .when(merge(claim(1, null, '')))
      .then(subscribed(at(1), null, ''));
    given(subscriptions, subscribed(at(1), null, ''))
      .when(merge(claim(1, null, null)))
      .thenNothing();
  });

  it('the newest of one body makes one event', () =>
    given(subscriptions, subscribed(at(1), null))
      .when(merge(claim(1, 2), claim(4, 2), claim(3, 2)))
      .then(subscribed(at(4), at(2))));

  it('each podcast is its own', () => {
    const other = { ...claim(1, null), feed: 'https://feeds.example/other' };
    given(subscriptions, subscribed(at(2), null))
      .when(merge(claim(1, null), other))
      .then({ type: 'PodcastSubscribed', data: { ...state(at(1), null), feed: other.feed } });
  });

  it('what a body leaves out is left alone', () =>
    given(subscriptions, subscribed(at(1), null))
      .when(merge())
      .thenNothing());
});

it('what stands knows the revision of the event that set it', () => {
  const { feeds } = fold(subscriptions, [subscribed(at(1), null), unsubscribed(at(1), at(2), '7')]);
  expect([...feeds.values()]).toEqual([{ ...claim(1, 2, '7'), revision: 1, recordedAt: expect.any(Number) }]);
});
