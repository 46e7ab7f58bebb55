import { EventMetadata } from '@balados/event-sourcing';
import { fold, given } from '@balados/event-sourcing/testing';
import { PlayEvent } from '@balados/users-contracts';
import { instant, rfc3339 } from './claims';
import { allPlays, findPlay, listening, ListeningCommand, PlayClaim } from './listening';

const FEED = 'https://feeds.example/show';
const OTHER = 'https://feeds.example/other';
const ITEM = 'guid,https://cdn.example/1.mp3';
const MOVED = 'guid,https://new.example/1.mp3';
/** given() records on this day. */
const at = (hour: number, day = 1) => instant(`2026-01-0${day}T${String(hour).padStart(2, '0')}:00:00.000Z`);

const claim = (position: number, hour: number, more: Partial<PlayClaim> = {}): PlayClaim => ({
  feed: FEED,
  item: ITEM,
  position,
  played: false,
  updatedAt: at(hour),
  ...more,
});
const event = (type: PlayEvent['type'], said: PlayClaim): PlayEvent => ({
  type,
  data: { ...said, updatedAt: rfc3339(said.updatedAt) },
});
const recorded = (...said: Parameters<typeof claim>) => event('PlayRecorded', claim(...said));
const updated = (...said: Parameters<typeof claim>) => event('PositionUpdated', claim(...said));

const play = (position: number, now: number, more: Partial<PlayClaim> = {}): ListeningCommand => ({
  type: 'RecordPlay',
  data: { feed: FEED, item: ITEM, position, played: false, ...more, now },
});
const move = (
  position: number,
  now: number,
  more: { feed?: string; item?: string; played?: boolean } = {},
): ListeningCommand => ({ type: 'UpdatePosition', data: { item: ITEM, position, now, ...more } });
const merge = (...claims: PlayClaim[]): ListeningCommand => ({ type: 'MergePlays', data: { claims } });

describe('a listener plays an episode', () => {
  it('and it is a listen, at the time of asking', () =>
    given(listening)
      .when(play(12.5, at(1)))
      .then(recorded(12.5, 1)));

  it('at the same place twice a day, and it is one listen', () =>
    given(listening, recorded(12, 1))
      .when(play(12, at(23)))
      .thenNothing());

  it('at the same place on another day, and it is another listen', () =>
    given(listening, recorded(12, 1))
      .when(play(12, at(0, 2)))
      .then(recorded(12, 1, { updatedAt: at(0, 2) })));

  it('at another place on the same day', () =>
    given(listening, recorded(12, 1))
      .when(play(13, at(2)))
      .then(recorded(13, 2)));

  it('to its end', () =>
    given(listening, recorded(12, 1))
      .when(play(12, at(2), { played: true }))
      .then(recorded(12, 2, { played: true })));

  it('where it had only been moved to: the first listen', () =>
    given(listening, updated(12, 1))
      .when(play(12, at(2)))
      .then(recorded(12, 2)));

  it('that was moved since: the listen of today is not forgotten', () =>
    given(listening, recorded(12, 1), updated(13, 2))
      .when(play(13, at(3)))
      .thenNothing());

  it('for good, also when the clock that spoke before was ahead', () =>
    given(listening, recorded(12, 9))
      .when(play(13, at(3)))
      .then(recorded(13, 9, { updatedAt: at(9) + 1 })));

  it('from where the publisher moved it to: the item is answered as last sent', () =>
    given(listening, recorded(12, 1))
      .when(play(12, at(2), { item: MOVED }))
      .then(recorded(12, 2, { item: MOVED })));

  it('of one podcast, and the same guid in another is another episode', () =>
    given(listening, recorded(12, 1))
      .when(play(12, at(2), { feed: OTHER }))
      .then(recorded(12, 2, { feed: OTHER })));
});

describe('a listener moves within an episode', () => {
  it('that is looked up by its item, and stays unplayed', () =>
    given(listening, recorded(12, 1))
      .when(move(20, at(2)))
      .then(updated(20, 2)));

  it('and what was played stays played', () =>
    given(listening, recorded(12, 1, { played: true }))
      .when(move(20, at(2)))
      .then(updated(20, 2, { played: true })));

  it('and says that it is played, or no longer', () => {
    given(listening, recorded(12, 1))
      .when(move(12, at(2), { played: true }))
      .then(updated(12, 2, { played: true }));
    given(listening, recorded(12, 1, { played: true }))
      .when(move(12, at(2), { played: false }))
      .then(updated(12, 2));
  });

  it('to where it is, and nothing happens', () =>
    given(listening, recorded(12, 1))
      .when(move(12, at(2)))
      .thenNothing());

  it('from where the publisher moved it to: the item is answered as last sent', () =>
    given(listening, recorded(12, 1))
      .when(move(12, at(2), { item: MOVED }))
      .then(updated(12, 2, { item: MOVED })));

  it('for good, also when the clock that spoke before was ahead', () =>
    given(listening, recorded(12, 9))
      .when(move(13, at(3)))
      .then(updated(13, 9, { updatedAt: at(9) + 1 })));

  it('never heard of, when its podcast is named', () =>
    given(listening)
      .when(move(12, at(2), { feed: FEED }))
      .then(updated(12, 2)));

  it('never heard of, and is asked for its podcast', () =>
    given(listening)
      .when(move(12, at(2)))
      .thenRefused('episode_unknown'));

  it('that two podcasts hold, and is asked which', () =>
    given(listening, recorded(12, 1), recorded(12, 1, { feed: OTHER }))
      .when(move(20, at(2)))
      .thenRefused('episode_ambiguous', { candidates: [FEED, OTHER] }));

  it('that two podcasts hold, in the one that is named', () =>
    given(listening, recorded(12, 1), recorded(12, 1, { feed: OTHER }))
      .when(move(20, at(2), { feed: OTHER }))
      .then(updated(20, 2, { feed: OTHER })));
});

describe('of what devices claim', () => {
  it('the first sight of an episode is a listen', () =>
    given(listening)
      .when(merge(claim(12, 1)))
      .then(recorded(12, 1)));

  it('what follows says where the listener is', () =>
    given(listening, recorded(12, 1))
      .when(merge(claim(20, 2)))
      .then(updated(20, 2)));

  it('the newer stands, also when it goes back', () =>
    given(listening, recorded(12, 1, { played: true }))
      .when(merge(claim(3, 2)))
      .then(updated(3, 2)));

  it('the older changes nothing', () =>
    given(listening, recorded(12, 3))
      .when(merge(claim(20, 2, { played: true })))
      .thenNothing());

  it('the same changes nothing', () =>
    given(listening, recorded(12.25, 1))
      .when(merge(claim(12.25, 1)))
      .thenNothing());

  it('of the same time, the larger position stands', () => {
    given(listening, recorded(12, 1))
      .when(merge(claim(12.5, 1)))
      .then(updated(12.5, 1));
    given(listening, recorded(12.5, 1))
      .when(merge(claim(12, 1, { played: true })))
      .thenNothing();
  });

  it('of the same time and position, played stands', () => {
    const played = { played: true };
    given(listening, recorded(12, 1))
      .when(merge(claim(12, 1, played)))
      .then(updated(12, 1, played));
    given(listening, recorded(12, 1, played))
      .when(merge(claim(12, 1)))
      .thenNothing();
  });

  it('of all the same, the greater item stands', () => {
    given(listening, recorded(12, 1))
      .when(merge(claim(12, 1, { item: MOVED })))
      .then(updated(12, 1, { item: MOVED }));
    given(listening, recorded(12, 1, { item: MOVED }))
      .when(merge(claim(12, 1)))
      .thenNothing();
  });

  it('the newest of one body makes one event, and is a listen when the episode is new', () =>
    given(listening)
      .when(merge(claim(1, 1), claim(3, 3), claim(2, 2, { item: MOVED })))
      .then(recorded(3, 3)));

  it('each episode of each podcast is its own', () =>
    given(listening, recorded(12, 5))
      .when(merge(claim(1, 1, { feed: OTHER }), claim(1, 1, { item: 'other,' }), claim(1, 1)))
      .then(recorded(1, 1, { feed: OTHER }), recorded(1, 1, { item: 'other,' })));
});

describe('what stands', () => {
  const on = (day: number): EventMetadata => ({ recordedAt: rfc3339(at(12, day)), correlationId: 'c' });

  it('is found by podcast and episode, wherever its file is', () => {
    const state = fold(listening, [recorded(12, 1), recorded(20, 2, { feed: OTHER }), updated(30, 3, { item: MOVED })]);
    expect(findPlay(state, FEED, ITEM)).toMatchObject({ position: 30, item: MOVED, revision: 2 });
    expect(findPlay(state, OTHER, MOVED)).toMatchObject({ position: 20, item: ITEM, revision: 1 });
    expect(findPlay(state, FEED, 'other,')).toBeUndefined();
    expect([...allPlays(state)]).toHaveLength(2);
  });

  it('knows the day of the last listen by when the server was told, not by what the device says', () => {
    const state = fold(listening, [recorded(12, 1)], on(3));
    expect(listening.decide(play(12, at(1, 3)), state)).toEqual([]);
    expect(listening.decide(play(12, at(1, 4)), state)).toHaveLength(1);
  });
});
