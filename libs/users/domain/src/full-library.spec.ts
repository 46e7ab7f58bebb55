import { given } from '@balados/event-sourcing/testing';
import {
  compaction,
  EPISODES_MAX,
  HistoryErased,
  ITEM_FEEDS_MAX,
  ListeningEvent,
  partOf,
  PODCASTS_MAX,
  SubscriptionsEvent,
} from '@balados/users-contracts';
import { listening } from './listening';
import { subscriptions } from './subscriptions';

const FEED = 'https://feeds.example/show';
const AT = '2026-01-01T00:00:00.000Z';
const NOW = Date.parse(AT) + 1_000;

const heard = (item: string, feed = FEED): ListeningEvent => ({
  type: 'PlayRecorded',
  data: { feed, item, position: 1, played: false, updatedAt: AT },
});
const subscribed = (feed: string): SubscriptionsEvent => ({
  type: 'PodcastSubscribed',
  data: { feed, sourceId: null, subscribedAt: AT, unsubscribedAt: null },
});

describe('a library with as many episodes as it may hold', () => {
  const full = given(listening, ...Array.from({ length: EPISODES_MAX }, (_, n) => heard(`${n},`)));
  const play = { feed: FEED, position: 2, played: false };

  it('refuses another, however it comes', () => {
    full.when({ type: 'RecordPlay', data: { ...play, item: 'new,', now: NOW } }).thenRefused('library_full');
    full.when({ type: 'UpdatePosition', data: { ...play, item: 'new,', now: NOW } }).thenRefused('library_full');
    full.when({ type: 'SaveEpisode', data: { feed: FEED, item: 'new,', now: NOW } }).thenRefused('library_full');
    full.when({ type: 'ShareEpisode', data: { feed: FEED, item: 'new,', now: NOW } }).thenRefused('library_full');
  });

  it('goes on with those that it holds, and leaves out of a sync what finds no room', () => {
    const held = { feed: FEED, item: '7,', position: 2, played: false, updatedAt: NOW };
    full
      .when({ type: 'MergePlays', data: { claims: [{ ...held, feed: FEED, item: 'new,' }, held] } })
      .then({ type: 'PositionUpdated', data: { ...held, updatedAt: new Date(NOW).toISOString() } });
  });
});

it('an item is one of so many podcasts and no more', () => {
  const crowded = given(listening, ...Array.from({ length: ITEM_FEEDS_MAX }, (_, n) => heard('g,', `${FEED}/${n}`)));
  const claim = { feed: FEED, item: 'g,', position: 2, played: false };
  crowded.when({ type: 'RecordPlay', data: { ...claim, now: NOW } }).thenRefused('library_full');
  crowded.when({ type: 'MergePlays', data: { claims: [{ ...claim, updatedAt: NOW }] } }).thenNothing();
});

it('is folded in seconds, also when many of a large library’s episodes were erased by themselves', () => {
  const [episodes, erasures] = [10_000, 100];
  const metadata = { recordedAt: AT, correlationId: 'test' };
  let revision = 0;
  let state = listening.initialState();
  const held = compaction();
  const add = (event: ListeningEvent | HistoryErased) => {
    const recorded = { ...event, revision: revision++, metadata };
    state = listening.evolve(state, recorded);
    held.add(recorded);
  };
  for (let n = 0; n < episodes; n += 1) add(heard(`${n},`));
  const before = process.cpuUsage();
  for (let n = 0; n < erasures; n += 1)
    add({ type: 'HistoryErased', data: { ...partOf(FEED, `${2 * n},`), requestedAt: AT, before: AT } });
  const { user } = process.cpuUsage(before);
  expect(state.entries).toBe(episodes - erasures);
  expect(held.events()).toHaveLength(episodes);
  // In seconds of CPU. With a hash for each episode at each erasure it took 15, of which it takes 3.
  expect(user / 1e6).toBeLessThan(8);
}, 60_000);

describe('a library with as many podcasts as it may hold', () => {
  const full = given(subscriptions, ...Array.from({ length: PODCASTS_MAX }, (_, n) => subscribed(`${FEED}/${n}`)));

  it('refuses another, and lets one go', () => {
    full.when({ type: 'Subscribe', data: { feed: FEED, sourceId: null, now: NOW } }).thenRefused('library_full');
    const claim = { feed: FEED, sourceId: null, subscribedAt: NOW, unsubscribedAt: null };
    full.when({ type: 'MergeSubscriptions', data: { claims: [claim] } }).thenNothing();
    const { data } = subscribed(`${FEED}/0`);
    full.when({ type: 'Unsubscribe', data: { feed: data.feed, now: NOW } }).then({
      type: 'PodcastUnsubscribed',
      data: { ...data, unsubscribedAt: new Date(NOW).toISOString() },
    } as SubscriptionsEvent);
  });
});
