import { Decider, DomainEvent, Recorded } from '@balados/event-sourcing';
import { allPlays, isSubscribed, listening, playlists, standingItems, subscriptions } from '@balados/users-domain';
import { Category, Habits, Happenings, POSITION_EVERY_S } from './habits';

const FIRST = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const DAYS = 90;

const daysOf = (nth: number): Happenings[] => {
  const habits = new Habits(nth);
  return Array.from({ length: DAYS }, (_, day) => habits.day(FIRST + day * DAY_MS));
};
const folded = <Command, State, Event extends DomainEvent>(
  decider: Decider<Command, State, Event>,
  days: readonly Happenings[],
): State =>
  days
    .flatMap((day) => day[decider.category as Category] ?? [])
    .reduce(
      (state, { at, event }, revision) =>
        decider.evolve(state, {
          ...event,
          revision,
          metadata: { recordedAt: new Date(at).toISOString(), correlationId: 'test' },
        } as unknown as Recorded<Event>),
      decider.initialState(),
    );

it('has a position for every quarter of a minute that is heard', () => {
  const heard = daysOf(0).map(({ listening: of = [] }) => of.filter(({ event }) => event.type !== 'EpisodeSaved'));
  const minutes = heard.flat().filter(({ event }) => event.type === 'PositionUpdated').length * (POSITION_EVERY_S / 60);
  const { minutesADay } = new Habits(0);
  expect(minutes).toBeGreaterThan(0.8 * DAYS * minutesADay);
  expect(minutes).toBeLessThan(1.2 * DAYS * minutesADay);
});

it.each([0, 3, 100])('happens in order, each day on its day: listener %i', (nth) => {
  for (const [day, happenings] of daysOf(nth).entries())
    for (const of of Object.values(happenings)) {
      const times = of.map(({ at }) => at);
      expect(times).toEqual([...times].sort((one, two) => one - two));
      expect(times[0]).toBeGreaterThanOrEqual(FIRST + day * DAY_MS);
      expect(times.at(-1)).toBeLessThan(FIRST + (day + 1) * DAY_MS);
    }
});

it('is what the deciders hold: some podcasts come and go, most episodes are heard to their end, ten wait', () => {
  const days = daysOf(1);
  const feeds = [...folded(subscriptions, days).feeds.values()];
  const subscribed = feeds.filter(isSubscribed).length;
  expect(subscribed).toBeGreaterThan(15);
  expect(feeds.length).toBeGreaterThan(subscribed);
  const plays = [...allPlays(folded(listening, days))];
  expect(plays.filter(({ played }) => played).length).toBeGreaterThanOrEqual(plays.length - 1);
  const [playlist] = [...folded(playlists, days).playlists.values()];
  expect(standingItems(playlist!)).toHaveLength(10);
});
