import { randomUUID } from 'node:crypto';
import { Decider, DomainEvent, Recorded, StoredEvent } from '@balados/event-sourcing';
import { usersEvents } from '@balados/users-contracts';
import {
  allMarks,
  allPlays,
  isSubscribed,
  listening,
  playlists,
  standingItems,
  subscriptions,
} from '@balados/users-domain';
import { historyOf, Stream } from './history';
import { Town, TOWN_DAYS } from './town';

const town: Town = {
  listeners: 60,
  subscriptions: 20,
  plays: 200,
  feeds: 400,
  now: Date.parse('2026-03-31T00:00:00Z'),
};

const stored = ({ stream, events }: Stream): StoredEvent[] =>
  events.map((event, revision) => ({ ...event, stream, revision, position: BigInt(revision) }));
const folded = <Command, State, Event extends DomainEvent>(
  decider: Decider<Command, State, Event>,
  streams: readonly Stream[],
): State =>
  streams
    .filter(({ stream }) => stream.startsWith(`${decider.category}-`))
    .flatMap(stored)
    .reduce(
      (state, event) => decider.evolve(state, usersEvents.decode(event)[0] as unknown as Recorded<Event>),
      decider.initialState(),
    );

const histories = Array.from({ length: town.listeners }, (_, nth) => historyOf(town, nth, randomUUID()));

it('gives every listener as much as was asked for', () => {
  for (const history of histories) {
    expect([...folded(subscriptions, history).feeds.values()].filter(isSubscribed)).toHaveLength(town.subscriptions);
    expect([...allPlays(folded(listening, history))]).toHaveLength(town.plays);
    const lists = [...folded(playlists, history).playlists.values()];
    expect(lists).toHaveLength(3);
    for (const list of lists) expect(standingItems(list).length).toBeGreaterThan(5);
  }
  const marks = histories.flatMap((history) => [...allMarks(folded(listening, history))]);
  expect(marks.length).toBeGreaterThan(town.listeners);
  const settings = histories.flatMap((history) => history.filter(({ stream }) => stream.startsWith('privacy-')));
  expect(settings.length).toBeGreaterThan(town.listeners / 4);
  expect(settings.length).toBeLessThan(town.listeners);
});

it('lets some podcasts be heard by nearly all, and many by few', () => {
  const listeners = new Map<string, number>();
  for (const history of histories)
    for (const feed of folded(subscriptions, history).feeds.keys()) listeners.set(feed, (listeners.get(feed) ?? 0) + 1);
  const counts = [...listeners.values()].sort((a, b) => b - a);
  expect(counts[0]).toBeGreaterThan(0.8 * town.listeners);
  expect(counts.filter((count) => count <= 0.05 * town.listeners).length).toBeGreaterThan(counts.length / 2);
});

it('dates the events of a stream one after another, within the days that it covers', () => {
  for (const { events } of histories.flat()) {
    const times = events.map(({ metadata }) => Date.parse((metadata as { recordedAt: string }).recordedAt));
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
    expect(times[0]).toBeGreaterThan(town.now - TOWN_DAYS * 86_400_000);
    expect(times.at(-1)).toBeLessThanOrEqual(town.now);
  }
});

it('is the same town each time, but for ids', () => {
  const what = (streams: Stream[]): unknown[] =>
    streams
      .filter(({ stream }) => !stream.startsWith('playlists-'))
      .flatMap(({ events }) => events.map(({ data }) => data));
  expect(what(historyOf(town, 7, randomUUID()))).toEqual(what(histories[7]!));
  expect(what(histories[8]!)).not.toEqual(what(histories[7]!));
});
