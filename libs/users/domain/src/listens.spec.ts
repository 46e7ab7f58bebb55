import { given } from '@balados/event-sourcing/testing';
import { episodeKey } from '@balados/feeds-ids';
import { partOf, PlayEvent, WHOLE_HISTORY } from '@balados/users-contracts';
import fc from 'fast-check';
import { instant, rfc3339, utcDay } from './claims';
import { allPlays, findPlay, listening, ListeningCommand, ListeningState, PlayClaim } from './listening';
import { UNDATED } from './listens';
import { Accepted, replay } from './replay.fixture';

const FEED = 'https://feeds.example/show';
const ITEM = 'guid,https://cdn.example/1.mp3';
/** given() records on the first day. */
const at = (hour: number, day = 1) => instant(`2026-01-0${day}T${String(hour).padStart(2, '0')}:00:00.000Z`);
const claim = { feed: FEED, item: ITEM, position: 90, played: true, updatedAt: rfc3339(at(1)) };
const played: PlayEvent = { type: 'PlayRecorded', data: claim };
const moved: PlayEvent = { type: 'PositionUpdated', data: claim };
const erased = {
  type: 'HistoryErased' as const,
  data: { ...WHOLE_HISTORY, requestedAt: rfc3339(at(3)), before: rfc3339(at(5)) },
};
const listen = (heardAt: number, item = ITEM): ListeningCommand => ({
  type: 'RecordListen',
  data: { feed: FEED, item, heardAt },
});
const heard = (said: object, heardAt: number): PlayEvent => ({
  type: 'PlayRecorded',
  data: { ...claim, ...said, heardAt: rfc3339(heardAt) },
});

describe('an episode is heard through a play link', () => {
  it('for the first time: whatever a device says of it comes after', () =>
    given(listening)
      .when(listen(at(1)))
      .then(heard({ position: 0, played: false, updatedAt: '1970-01-01T00:00:00.000Z' }, at(1))));

  it('whose place is known, and that stays as it is', () =>
    given(listening, moved)
      .when(listen(at(2)))
      .then(heard({}, at(2))));

  it('under an enclosure that has moved, and what a device said of it stays as it is', () =>
    given(listening, moved)
      .when(listen(at(2), 'guid,https://moved.example/1.mp3'))
      .then(heard({}, at(2))));

  it('that was played that day already, and it was one listen', () =>
    given(listening, played)
      .when(listen(at(23)))
      .thenNothing());

  it('on another day, and it is another listen', () =>
    given(listening, played)
      .when(listen(at(0, 2)))
      .then(heard({}, at(0, 2))));

  it('on the day before, and we learn it only now', () =>
    given(listening, played)
      .when(listen(at(23) - 86_400_000))
      .then(heard({}, at(23) - 86_400_000)));

  it('before all was erased, and is not recorded any more', () =>
    given(listening, erased)
      .when(listen(at(3)))
      .thenNothing());

  it('after all was erased, dated so that a device which is told can say it again', () =>
    given(listening, erased)
      .when(listen(at(3) + 1))
      .then(heard({ position: 0, played: false, updatedAt: rfc3339(at(5) + 1) }, at(3) + 1)));
});

// Few values, so that they meet.
const feed = fc.constantFrom('https://a.example/', 'https://b.example/');
const item = fc.constantFrom('g,', 'g,https://a.example/1', ',https://a.example/1', 'h,');
const time = fc
  .record({ day: fc.nat(3), step: fc.integer({ min: -2, max: 2 }) })
  .map(({ day, step }) => Date.UTC(2026, 0, 2) + day * 86_400_000 + step);
const said = { feed, item, position: fc.constantFrom(0, 1.5, 10), played: fc.boolean() };
const claims = fc.array(fc.record({ ...said, updatedAt: fc.oneof(time, fc.constantFrom(UNDATED, UNDATED + 1)) }), {
  maxLength: 6,
});
const merge = (claims: readonly PlayClaim[]): Accepted<ListeningCommand> => ({
  command: { type: 'MergePlays', data: { claims } },
  now: Date.UTC(2026, 0, 1),
});
const anyListen: fc.Arbitrary<Accepted<ListeningCommand>> = fc
  .record({ feed, item, heardAt: time })
  .map((data) => ({ command: { type: 'RecordListen', data }, now: data.heardAt }));
const anything: fc.Arbitrary<Accepted<ListeningCommand>> = fc.oneof(
  anyListen,
  claims.map(merge),
  fc.record({ said: fc.record(said), now: time }).map(({ said, now }): Accepted<ListeningCommand> => ({
    command: { type: 'RecordPlay', data: { ...said, now } },
    now,
  })),
  fc
    .tuple(
      fc.oneof(
        fc.constant(WHOLE_HISTORY),
        fc.tuple(feed, fc.option(item)).map(([of, one]) => partOf(of, one)),
      ),
      time,
    )
    .map(([target, now]): Accepted<ListeningCommand> => ({
      command: { type: 'EraseHistory', data: { ...target, requestedAt: now } },
      now,
    })),
);
const history = fc.array(anything, { maxLength: 8 });

const keyOf = ({ feed, item }: PlayClaim) => `${feed} ${episodeKey(item)}`;
const standing = (state: ListeningState) =>
  new Map([...allPlays(state)].map(({ revision: _, recordedAt: ___, listenedOn: __, ...play }) => [keyOf(play), play]));

describe('a listen, whatever happened before', () => {
  it('moves no position, clears nothing, and dates nothing anew', () => {
    fc.assert(
      fc.property(history, anyListen, (before, listen) => {
        const listener = replay(listening, before);
        const stood = standing(listener.state);
        listener.accept(listen);
        const { feed, item } = listen.command.data as { feed: string; item: string };
        const held = findPlay(listener.state, feed, item);
        for (const [key, play] of standing(listener.state)) {
          if (stood.has(key)) expect(play).toEqual(stood.get(key));
          else expect(play).toMatchObject({ feed, item: held!.item, position: 0, played: false });
        }
      }),
      { numRuns: 500 },
    );
  });

  it('makes no claim of a device lose', () => {
    fc.assert(
      fc.property(history, anyListen, claims, (before, listen, sent) => {
        const without = standing(replay(listening, [...before, merge(sent)]).state);
        const withIt = standing(replay(listening, [...before, listen, merge(sent)]).state);
        for (const [key, play] of without) {
          const { item: _, ...claimed } = play;
          expect(withIt.get(key)).toMatchObject(claimed);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('told again by its journal is no other, or one of a day that counts already', () => {
    fc.assert(
      fc.property(history, anyListen, (before, listen) => {
        const listener = replay(listening, before);
        const { feed, item, heardAt } = listen.command.data as { feed: string; item: string; heardAt: number };
        const last = findPlay(listener.state, feed, item)?.listenedOn ?? -Infinity;
        expect(listener.accept(listen)!.length).toBeLessThanOrEqual(1);
        if (last <= utcDay(heardAt)) expect(listener.accept(listen)).toEqual([]);
      }),
    );
  });

  it('is counted once a day, through links and apps together', () => {
    fc.assert(
      fc.property(fc.record(said), fc.array(fc.tuple(time, fc.boolean())), (said, times) => {
        const ascending = times.sort(([one], [other]) => one - other);
        const { events } = replay(
          listening,
          ascending.map(([now, byLink]): Accepted<ListeningCommand> => ({
            command: byLink
              ? { type: 'RecordListen', data: { feed: said.feed, item: said.item, heardAt: now } }
              : { type: 'RecordPlay', data: { ...said, now } },
            now,
          })),
        );
        const listens = new Set(events.map(({ metadata }) => utcDay(instant(metadata.recordedAt))));
        expect(listens).toEqual(new Set(ascending.map(([now]) => utcDay(now))));
      }),
    );
  });
});
