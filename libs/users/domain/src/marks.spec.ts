import { EventMetadata } from '@balados/event-sourcing';
import { fold, given } from '@balados/event-sourcing/testing';
import { EPISODES_MAX, ListeningEvent } from '@balados/users-contracts';
import { instant, rfc3339 } from './claims';
import { allMarks, allPlays, feedOf, findMark, itemsOfEnclosure, listening, ListeningCommand } from './listening';
import { MarkCommand } from './marks';

const FEED = 'https://feeds.example/show';
const OTHER = 'https://feeds.example/other';
const ITEM = 'guid,https://cdn.example/1.mp3';
const MOVED = 'guid,https://new.example/1.mp3';
/** given() records on this day. */
const at = (hour: number, day = 1) => instant(`2026-01-0${day}T${String(hour).padStart(2, '0')}:00:00.000Z`);

type More = { feed?: string; item?: string };
const saved = (time: number, more: More = {}): ListeningEvent => ({
  type: 'EpisodeSaved',
  data: { feed: FEED, item: ITEM, savedAt: rfc3339(time), ...more },
});
const unsaved = (time: number, more: More = {}): ListeningEvent => ({
  type: 'EpisodeUnsaved',
  data: { feed: FEED, item: ITEM, unsavedAt: rfc3339(time), ...more },
});
const shared = (time: number, more: More = {}): ListeningEvent => ({
  type: 'EpisodeShared',
  data: { feed: FEED, item: ITEM, sharedAt: rfc3339(time), ...more },
});
const played: ListeningEvent = {
  type: 'PlayRecorded',
  data: { feed: FEED, item: ITEM, position: 12, played: false, updatedAt: rfc3339(at(1)) },
};

/** Of FEED, unless told otherwise; `feed: undefined` names none. */
const command =
  (type: MarkCommand['type']) =>
  (now: number, more: More = {}): ListeningCommand => ({ type, data: { feed: FEED, item: ITEM, ...more, now } });
const [save, unsave, share] = [command('SaveEpisode'), command('UnsaveEpisode'), command('ShareEpisode')];
const NO_FEED = { feed: undefined };

describe('an episode that an app names by its enclosure', () => {
  const ENCLOSURE = 'https://cdn.example/1.mp3';
  const BARE = `,${ENCLOSURE}`;
  const of = (...events: ListeningEvent[]) => itemsOfEnclosure(fold(listening, events), FEED, ENCLOSURE);

  it.each<[string, ListeningEvent[], { item: string; saved: string[] }]>([
    ['is that alone where nothing names it', [], { item: BARE, saved: [] }],
    ['has its guid where one is known, and is not saved by that', [played], { item: ITEM, saved: [] }],
    ['is saved under its guid', [saved(at(1))], { item: ITEM, saved: [ITEM] }],
    ['is saved no more', [saved(at(1)), unsaved(at(2))], { item: ITEM, saved: [] }],
    [
      'is saved under both names',
      [saved(at(1), { item: BARE }), saved(at(2)), saved(at(3), { item: `other,${ENCLOSURE}x` })],
      { item: ITEM, saved: [BARE, ITEM] },
    ],
    [
      'is none of another podcast, and none that moved away',
      [saved(at(1), { feed: OTHER }), saved(at(1), { item: MOVED })],
      {
        item: BARE,
        saved: [],
      },
    ],
  ])('%s', (_, events, expected) => expect(of(...events)).toEqual(expected));
});

describe('a listener saves an episode', () => {
  it('that the server hears of for the first time', () =>
    given(listening)
      .when(save(at(1)))
      .then(saved(at(1))));

  it('once, however often it is asked', () =>
    given(listening, saved(at(1)))
      .when(save(at(2, 2)))
      .thenNothing());

  it('again after unsaving it', () =>
    given(listening, saved(at(1)), unsaved(at(2)))
      .when(save(at(3)))
      .then(saved(at(3))));

  it('for good, also when the clock that unsaved it was ahead', () =>
    given(listening, saved(at(1)), unsaved(at(9)))
      .when(save(at(3)))
      .then(saved(at(9) + 1)));

  it('from where the publisher moved it to: the item is answered as last sent, and the date stays', () =>
    given(listening, saved(at(1)))
      .when(save(at(2), { item: MOVED }))
      .then(saved(at(1), { item: MOVED })));

  it('that was shared, since that is another thing', () =>
    given(listening, shared(at(1)))
      .when(save(at(2)))
      .then(saved(at(2))));

  it('of one podcast, and the same guid in another is another episode', () =>
    given(listening, saved(at(1)))
      .when(save(at(2), { feed: OTHER }))
      .then(saved(at(2), { feed: OTHER })));
});

describe('a listener unsaves an episode', () => {
  it('and it is no longer saved', () =>
    given(listening, saved(at(1)))
      .when(unsave(at(2)))
      .then(unsaved(at(2))));

  it('once, however often it is asked', () =>
    given(listening, saved(at(1)), unsaved(at(2)))
      .when(unsave(at(3)))
      .thenNothing());

  it('that was never saved, and nothing happens', () => {
    given(listening)
      .when(unsave(at(1)))
      .thenNothing();
    given(listening, played, shared(at(1)))
      .when(unsave(at(2)))
      .thenNothing();
  });

  it('for good, also when the clock that saved it was ahead', () =>
    given(listening, saved(at(9)))
      .when(unsave(at(3)))
      .then(unsaved(at(9) + 1)));

  it('wherever its file is now', () =>
    given(listening, saved(at(1)))
      .when(unsave(at(2), { item: MOVED }))
      .then(unsaved(at(2), { item: MOVED })));
});

describe('a listener shares an episode', () => {
  it('that the server hears of for the first time', () =>
    given(listening)
      .when(share(at(1)))
      .then(shared(at(1))));

  it('once a day, wherever its file is', () => {
    given(listening, shared(at(0)))
      .when(share(at(23)))
      .thenNothing();
    given(listening, shared(at(0)), saved(at(1)))
      .when(share(at(23), { item: MOVED }))
      .thenNothing();
  });

  it('again on another day', () =>
    given(listening, shared(at(23)))
      .when(share(at(0, 2)))
      .then(shared(at(0, 2))));

  it('each of its own on one day', () =>
    given(listening, shared(at(1)))
      .when(share(at(2), { item: 'other,' }))
      .then(shared(at(2), { item: 'other,' })));
});

describe('an episode whose podcast is not named', () => {
  it.each([
    ['played', played],
    ['saved', saved(at(1))],
    ['unsaved', unsaved(at(1))],
    ['shared', shared(at(1))],
  ])('is found when it was %s', (_, event) => {
    expect(feedOf(fold(listening, [event]), MOVED)).toBe(FEED);
  });

  it('is saved, unsaved, shared and moved within the one podcast that holds it', () => {
    given(listening, played)
      .when(save(at(2), NO_FEED))
      .then(saved(at(2)));
    given(listening, saved(at(1)))
      .when(unsave(at(2), NO_FEED))
      .then(unsaved(at(2)));
    given(listening, saved(at(1)))
      .when(share(at(2), NO_FEED))
      .then(shared(at(2)));
    given(listening, saved(at(1)))
      .when({ type: 'UpdatePosition', data: { item: ITEM, position: 3, now: at(2) } })
      .then({
        type: 'PositionUpdated',
        data: { feed: FEED, item: ITEM, position: 3, played: false, updatedAt: rfc3339(at(2)) },
      });
  });

  it.each([
    ['save', save],
    ['unsave', unsave],
    ['share', share],
  ])('is asked for, of an unknown one and of one of two: %s', (_, of) => {
    given(listening, saved(at(1), { item: 'other,' }))
      .when(of(at(1), NO_FEED))
      .thenRefused('episode_unknown');
    given(listening, played, saved(at(1), { feed: OTHER }))
      .when(of(at(2), NO_FEED))
      .thenRefused('episode_ambiguous', { candidates: [FEED, OTHER] });
  });
});

it('no more episodes are marked than can be kept, and those that are may still change', () => {
  const many = Array.from({ length: EPISODES_MAX }, (_, n) => saved(at(1), { item: `${n},` }));
  const state = fold(listening, many);
  for (const command of [save, share]) expect(() => listening.decide(command(at(2)), state)).toThrow(`${EPISODES_MAX}`);
  expect(listening.decide(unsave(at(2)), state)).toEqual([]);
  for (const command of [unsave, share])
    expect(listening.decide(command(at(2), { item: '7,' }), state)).toHaveLength(1);
});

describe('what is marked', () => {
  it('is no play', () => {
    const state = fold(listening, [saved(at(1)), shared(at(1)), unsaved(at(2))]);
    expect([...allPlays(state)]).toEqual([]);
  });

  it('is no first sight: the first play of a sync still is a listen', () =>
    given(listening, saved(at(1)), shared(at(1)))
      .when({
        type: 'MergePlays',
        data: { claims: [{ feed: FEED, item: ITEM, position: 12, played: false, updatedAt: at(1) }] },
      })
      .then(played));

  it('stands beside a play of the same episode, each untouched by the other', () => {
    const state = fold(listening, [saved(at(1)), played, shared(at(2)), saved(at(3), { feed: OTHER })]);
    expect([...allPlays(state)]).toMatchObject([{ position: 12, revision: 1 }]);
    expect([...allMarks(state)]).toHaveLength(2);
    expect(findMark(state, FEED, MOVED)).toEqual({
      feed: FEED,
      item: ITEM,
      savedAt: at(1),
      unsavedAt: null,
      sharedAt: at(2),
      sharedOn: at(0) / 86_400_000,
      revision: 2,
    });
  });

  it('keeps the date of an unsaving', () => {
    const state = fold(listening, [saved(at(1)), unsaved(at(2))]);
    expect(findMark(state, FEED, ITEM)).toMatchObject({ savedAt: null, unsavedAt: at(2) });
  });

  it('knows the day of the last share by when the server was told', () => {
    const told: EventMetadata = { recordedAt: rfc3339(at(12, 3)), correlationId: 'c' };
    const state = fold(listening, [shared(at(1))], told);
    expect(listening.decide(share(at(1, 3)), state)).toEqual([]);
    expect(listening.decide(share(at(1, 4)), state)).toHaveLength(1);
  });
});
