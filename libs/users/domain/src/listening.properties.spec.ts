import { Codec } from '@balados/event-sourcing';
import { episodeKey } from '@balados/feeds-ids';
import { ListeningEvent, usersEvents } from '@balados/users-contracts';
import fc from 'fast-check';
import { utcDay } from './claims';
import {
  allMarks,
  allPlays,
  comparePlays,
  findMark,
  findPlay,
  listening,
  ListeningCommand,
  ListeningState,
  PlayClaim,
} from './listening';
import { MarkCommand } from './marks';
import { Accepted, handled, replay, unerased } from './replay.fixture';

// Few values, so that they meet; three of the items are one episode.
const feed = fc.constantFrom('https://a.example/', 'https://b.example/');
const item = fc.constantFrom('g,', 'g,https://a.example/1', 'g,https://b.example/1', ',https://a.example/1', 'h,');
const position = fc.constantFrom(0, 1.5, 10, 10_000_000);
const played = fc.boolean();
const DAY = 86_400_000;
/** Around midnight of a few days. */
const time = fc
  .record({ day: fc.nat(3), step: fc.integer({ min: -2, max: 2 }) })
  .map(({ day, step }) => Date.UTC(2026, 0, 2) + day * DAY + step);
const claim: fc.Arbitrary<PlayClaim> = fc.record({ feed, item, position, played, updatedAt: time });
const claims = fc.array(claim, { maxLength: 8 });

const optional = { requiredKeys: ['item', 'position', 'now'] as ['item', 'position', 'now'] };
const mark = fc.constantFrom<MarkCommand['type'][]>('SaveEpisode', 'UnsaveEpisode', 'ShareEpisode');
const isMark = ({ type }: ListeningCommand): boolean => type.endsWith('Episode');
const accepted: fc.Arbitrary<Accepted<ListeningCommand>> = time.chain((now) => {
  const said = { feed, item, position, played, now: fc.constant(now) };
  return fc
    .oneof<fc.Arbitrary<ListeningCommand>[]>(
      fc.record({ type: fc.constant('RecordPlay'), data: fc.record(said) }),
      fc.record({ type: fc.constant('UpdatePosition'), data: fc.record(said, optional) }),
      fc.record({ type: fc.constant('MergePlays'), data: fc.record({ claims }) }),
      fc.record({
        type: mark,
        data: fc.record({ feed, item, now: fc.constant(now) }, { requiredKeys: ['item', 'now'] }),
      }),
    )
    .map((command) => ({ command, now }));
});
const history = fc.array(accepted, { maxLength: 10 });

const merge = (claims: readonly PlayClaim[]): Accepted<ListeningCommand> => ({
  command: { type: 'MergePlays', data: { claims } },
  now: Date.UTC(2026, 0, 1),
});
const keyOf = ({ feed, item }: PlayClaim) => `${feed} ${episodeKey(item)}`;
/** What stands, without what tells the order of arrival: the revision and the day of the last listen. */
const standing = (state: ListeningState) =>
  new Map(
    [...allPlays(state)].map(
      ({ revision: _, recordedAt: ___, listenedOn: __, ...play }) => [keyOf(play), play] as [string, PlayClaim],
    ),
  );

const entryOf = ({ type, data }: ListeningEvent) =>
  `${type.startsWith('Episode') ? 'mark' : 'play'} ${data.feed} ${episodeKey(data.item)}`;
const entriesOf = (state: ListeningState) => [...allPlays(state), ...allMarks(state)].length;

describe('listening, whatever happened before', () => {
  it('any command sent again yields nothing, or is refused again', () => {
    fc.assert(
      fc.property(history, accepted, (before, again) => {
        const listener = replay(listening, before);
        const first = listener.accept(again);
        expect(listener.accept(again)).toEqual(first && []);
      }),
      { numRuns: 500 },
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
      fc.property(history, devices, (before, { sent, shuffled, cuts }) => {
        const atOnce = replay(listening, [...before, merge(sent)]);
        const pieces = cuts.map((cut, index) => merge(shuffled.slice(cuts[index - 1] ?? 0, cut)));
        const inPieces = replay(listening, [...before, ...pieces]);
        expect(standing(inPieces.state)).toEqual(standing(atOnce.state));
      }),
      { numRuns: 300 },
    );
  });

  it('of what stood and what is claimed, the greatest stands', () => {
    fc.assert(
      fc.property(history, claims, (before, sent) => {
        const listener = replay(listening, before);
        const all = [...standing(listener.state).values(), ...sent];
        listener.accept(merge(sent));
        const now = standing(listener.state);
        for (const [key, play] of now)
          expect(
            all
              .filter((claim) => keyOf(claim) === key)
              .sort(comparePlays)
              .at(-1),
          ).toEqual(play);
        expect(now.size).toBe(new Set(all.map(keyOf)).size);
      }),
    );
  });

  it('what a listener did stands, and all that was claimed before does not undo it', () => {
    fc.assert(
      fc.property(history, claim, fc.boolean(), (before, { updatedAt: now, ...said }, moved) => {
        const listener = replay(listening, before);
        const known = [...standing(listener.state).values()];
        listener.accept({ command: { type: moved ? 'UpdatePosition' : 'RecordPlay', data: { ...said, now } }, now });
        expect(findPlay(listener.state, said.feed, said.item)).toMatchObject(said);
        expect(listener.accept(merge(known))).toEqual([]);
      }),
    );
  });

  it('the same play, however often in a day, is one listen that day', () => {
    fc.assert(
      fc.property(claim, fc.array(time), ({ updatedAt: _, ...said }, times) => {
        const ascending = times.sort((a, b) => a - b);
        const { events } = replay(
          listening,
          ascending.map((now) => ({ command: { type: 'RecordPlay', data: { ...said, now } }, now })),
        );
        expect(events).toHaveLength(new Set(ascending.map(utcDay)).size);
      }),
    );
  });

  it('the same share, however often in a day, is one of that day', () => {
    fc.assert(
      fc.property(feed, item, fc.array(time), (feed, item, times) => {
        const ascending = times.sort((a, b) => a - b);
        const { events } = replay(
          listening,
          ascending.map((now) => ({ command: { type: 'ShareEpisode', data: { feed, item, now } }, now })),
        );
        expect(events).toHaveLength(new Set(ascending.map(utcDay)).size);
      }),
    );
  });

  it('an episode is saved if and only if the listener said so last', () => {
    fc.assert(
      fc.property(history, feed, item, time, fc.boolean(), (before, feed, item, now, on) => {
        const listener = replay(listening, before);
        const type = on ? 'SaveEpisode' : 'UnsaveEpisode';
        const events = listener.accept({ command: { type, data: { feed, item, now } }, now })!;
        expect(events.length).toBeLessThanOrEqual(1);
        expect((findMark(listener.state, feed, item)?.savedAt ?? null) !== null).toBe(on);
      }),
    );
  });

  it('what is saved and shared changes nothing of what is played, nor what counts as a listen', () => {
    // Without its podcast an episode is looked up among all that is known, marks included.
    const named = history.map((commands) =>
      commands.filter(
        ({ command }) => command.type === 'MergePlays' || ('feed' in command.data && command.data.feed !== undefined),
      ),
    );
    const played = (commands: readonly Accepted<ListeningCommand>[]) => {
      const { state, events } = unerased(replay(listening, commands));
      return [standing(state), events.filter((event) => entryOf(event).startsWith('play')).map(({ type }) => type)];
    };
    fc.assert(
      fc.property(named, (commands) => {
        expect(played(commands)).toEqual(played(commands.filter(({ command }) => !isMark(command))));
      }),
      { numRuns: 300 },
    );
  });

  it('what a fold takes is never negative, and grows with what it holds', () => {
    fc.assert(
      fc.property(history, (commands) => {
        const { events } = unerased(replay(listening, commands));
        let state = listening.initialState();
        expect(listening.bytes(state)).toBe(0);
        for (const event of events) {
          const [entries, bytes] = [entriesOf(state), listening.bytes(state)];
          state = listening.evolve(state, event);
          if (entriesOf(state) > entries) expect(listening.bytes(state)).toBeGreaterThan(bytes);
          expect(listening.bytes(state)).toBeGreaterThan(0);
        }
      }),
    );
  });

  it('what a fold takes depends on what it holds, not on how that came about', () => {
    fc.assert(
      fc.property(history, (commands) => {
        const { events, state } = unerased(replay(listening, commands));
        const last = new Map(events.map((event) => [entryOf(event), event]));
        const short = [...last.values()].reduce(listening.evolve, listening.initialState());
        expect(listening.bytes(state)).toBe(listening.bytes(short));
      }),
    );
  });

  it('a handler holds what a fold of its events gives', async () => {
    await fc.assert(
      fc.asyncProperty(history, async (commands) => {
        const { held, folded } = await handled(listening, usersEvents as Codec<ListeningEvent>, commands);
        expect(held).toEqual(folded);
        expect(held).toEqual(replay(listening, commands).state);
      }),
    );
  });
});

describe('claims of an episode', () => {
  it('are equal only when they are the same, and never both greater', () => {
    fc.assert(
      fc.property(claim, claim, (left, right) => {
        const ofOneFeed = { ...right, feed: left.feed };
        const order = comparePlays(left, ofOneFeed);
        expect(comparePlays(ofOneFeed, left)).toBe(order === 0 ? 0 : -order);
        if (order === 0) expect(left).toEqual(ofOneFeed);
      }),
      { numRuns: 1_000 },
    );
  });
});
