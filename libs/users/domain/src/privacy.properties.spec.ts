import { Codec } from '@balados/event-sourcing';
import { episodeKey } from '@balados/feeds-ids';
import { PRIVACIES, Privacy, PrivacyEvent, usersEvents } from '@balados/users-contracts';
import fc from 'fast-check';
import { findPrivacy, privacy, PrivacyCommand, PrivacyScope, PrivacyState, standingPrivacy } from './privacy';
import { Accepted, handled, replay, unerased } from './replay.fixture';

// Few values, so that they meet; three of the items are one episode.
const feed = fc.constantFrom('https://a.example/', 'https://b.example/');
const item = fc.constantFrom('g,', 'g,https://a.example/1', 'g,https://b.example/1', ',https://a.example/1', 'h,');
const none = fc.constant(null);
const scope: fc.Arbitrary<PrivacyScope> = fc.oneof(
  fc.record({ feed: none, item: none }),
  fc.record({ feed, item: none }),
  fc.record({ feed, item }),
);
const time = fc.integer({ min: 0, max: 5 }).map((step) => Date.UTC(2026, 0, 1) + step * 100);
const said = fc.record({ scope, privacy: fc.constantFrom(null, ...PRIVACIES), now: time });
type Said = typeof said extends fc.Arbitrary<infer Value> ? Value : never;

const accepted = ({ scope, privacy, now }: Said): Accepted<PrivacyCommand> => ({
  command:
    privacy === null
      ? { type: 'ResetPrivacy', data: { ...scope, now } }
      : { type: 'ChangePrivacy', data: { ...scope, privacy, now } },
  now,
});
const history = fc.array(said, { maxLength: 12 });
const after = (history: readonly Said[]) => unerased(replay(privacy, history.map(accepted)));

const keyOf = ({ feed, item }: PrivacyScope): string => `${feed} ${item === null ? null : episodeKey(item)}`;
const standing = (state: PrivacyState) =>
  new Map(standingPrivacy(state).map((setting) => [keyOf(setting), setting.privacy]));

describe('privacy, whatever happened before', () => {
  it('of each scope stands what was asked last, and nothing else', () => {
    fc.assert(
      fc.property(history, (history) => {
        const last = new Map<string, Privacy>();
        for (const { scope, privacy } of history) {
          if (privacy === null) last.delete(keyOf(scope));
          else last.set(keyOf(scope), privacy);
        }
        const { state } = after(history);
        expect(standing(state)).toEqual(last);
        expect(state.standing).toBe(last.size);
      }),
      { numRuns: 500 },
    );
  });

  it('any command sent again yields nothing', () => {
    fc.assert(
      fc.property(history, said, (history, again) => {
        const listener = after(history);
        listener.accept(accepted(again));
        expect(listener.accept(accepted(again))).toEqual([]);
      }),
    );
  });

  it('a setting that is removed leaves the others as if it had never been', () => {
    fc.assert(
      fc.property(history, scope, time, (history, scope, now) => {
        const listener = after([...history, { scope, privacy: null, now }]);
        const without = history.filter((one) => keyOf(one.scope) !== keyOf(scope));
        expect(standing(listener.state)).toEqual(standing(after(without).state));
      }),
    );
  });

  it('each event of a scope is later than the one before', () => {
    fc.assert(
      fc.property(history, (history) => {
        const last = new Map<string, string>();
        for (const { data } of after(history).events) {
          expect(data.changedAt > (last.get(keyOf(data)) ?? '')).toBe(true);
          last.set(keyOf(data), data.changedAt);
        }
      }),
    );
  });

  it('what stands is of the event that its revision names', () => {
    fc.assert(
      fc.property(history, (history) => {
        const { events, state } = after(history);
        for (const { data } of events) {
          const held = findPrivacy(state, data)!;
          const changedAt = new Date(held.changedAt).toISOString();
          expect(events[held.revision]!.data).toMatchObject({ feed: held.feed, item: held.item, changedAt });
        }
      }),
    );
  });

  it('what a fold takes is never negative, and depends on what it holds, not on how that came about', () => {
    fc.assert(
      fc.property(history, (history) => {
        const { events, state } = after(history);
        const last = new Map(events.map((event) => [keyOf(event.data), event]));
        const short = [...last.values()].reduce(privacy.evolve, privacy.initialState());
        expect(privacy.bytes(state)).toBe(privacy.bytes(short));
        expect(privacy.bytes(state) > 0).toBe(events.length > 0);
      }),
    );
  });

  it('a handler holds what a fold of its events gives', async () => {
    await fc.assert(
      fc.asyncProperty(history, async (history) => {
        const codec = usersEvents as Codec<PrivacyEvent>;
        const { held, folded } = await handled(privacy, codec, history.map(accepted));
        expect(held).toEqual(folded);
        expect(held).toEqual(after(history).state);
      }),
    );
  });
});
