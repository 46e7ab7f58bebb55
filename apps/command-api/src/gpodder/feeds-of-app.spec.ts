import type { FeedName } from '@balados/users-accounts';
import { FeedsOfApp, MOVE_COUNTS_AFTER_MS, whoseMovesCount } from './feeds-of-app';
import { SpeakingApp, speakingApp } from './speaking-app';

const KEPT = 'https://feeds.example/show.xml';
const MOVED = 'https://new.example/show.xml';
const WRITTEN = 'feed://Feeds.Example/show.xml?';
const AS_READ = 'http://feeds.example/show.xml';

const APP = { userId: 'ada', username: 'ada', by: { appPassword: '1' } };
const appOf = (device?: string, userAgent?: string): SpeakingApp => speakingApp(APP, { device, userAgent });
const ofAccount = (device?: string): SpeakingApp =>
  speakingApp({ ...APP, by: { password: 'digest' } }, { device, userAgent: undefined });

function open({
  app = appOf(),
  names = [],
  subscribed = [],
  unsubscribed = [],
  moves = [],
}: {
  app?: SpeakingApp;
  names?: FeedName[];
  subscribed?: string[];
  unsubscribed?: string[];
  moves?: [to: string, feed: string][];
}): FeedsOfApp {
  const known = { subscribed: new Map(subscribed.map((feed) => [feed, 0])), unsubscribed: new Set(unsubscribed) };
  return new FeedsOfApp(app, names, known, new Map(moves));
}

describe('what an address is kept as', () => {
  it.each([
    ['nothing is known: itself', {}, MOVED, MOVED],
    ['another has moved there', { subscribed: [KEPT], moves: [[MOVED, KEPT]] }, MOVED, KEPT],
    [
      'another has moved there, and both are wanted',
      { subscribed: [KEPT, MOVED], moves: [[MOVED, KEPT]] },
      MOVED,
      MOVED,
    ],
    [
      'both were ended',
      { unsubscribed: [KEPT, MOVED], names: [{ client: 'x', feed: KEPT, knownAs: MOVED }] },
      MOVED,
      MOVED,
    ],
    [
      'it was ended, the other is wanted',
      { subscribed: [KEPT], unsubscribed: [MOVED], moves: [[MOVED, KEPT]] },
      MOVED,
      KEPT,
    ],
    [
      'the other was ended',
      { unsubscribed: [KEPT], names: [{ client: 'x', feed: KEPT, knownAs: MOVED }] },
      MOVED,
      KEPT,
    ],
    [
      'another app calls it so, whatever has become of the move',
      { subscribed: [KEPT], names: [{ client: 'password 2', feed: KEPT, knownAs: MOVED }] },
      MOVED,
      KEPT,
    ],
    [
      'of several those that are wanted come first',
      {
        subscribed: [KEPT],
        unsubscribed: ['https://b.example/'],
        moves: [[MOVED, KEPT]],
        names: [{ client: 'x', feed: 'https://b.example/', knownAs: MOVED }],
      },
      MOVED,
      KEPT,
    ],
  ] as [string, Parameters<typeof open>[0], string, string][])('%s', (_, given, address, kept) => {
    expect(open(given).kept(address)).toBe(kept);
  });
});

it('an app is told a feed by the address that it wrote, and the others by theirs', () => {
  const feeds = open({ app: appOf('phone') });
  expect(feeds.take([WRITTEN, AS_READ])).toBe(AS_READ);
  expect(feeds.name(AS_READ)).toBe(WRITTEN);
  expect(feeds.said()).toEqual([
    { client: 'device phone', feed: AS_READ, knownAs: WRITTEN },
    { client: 'password 1', feed: AS_READ, knownAs: WRITTEN },
  ]);
  const names = feeds.said() as FeedName[];
  expect(open({ app: appOf('phone'), names }).name(AS_READ)).toBe(WRITTEN);
  expect(open({ app: appOf(), names }).name(AS_READ)).toBe(WRITTEN);
  // A device that has said nothing calls it as the app does whose password it has.
  expect(open({ app: appOf('laptop'), names }).name(AS_READ)).toBe(WRITTEN);
  expect(open({ app: ofAccount('laptop'), names }).name(AS_READ)).toBe(AS_READ);
  expect(open({ app: ofAccount(), names }).name(AS_READ)).toBe(AS_READ);
});

it('what is said again is not news, and what is said as we do ends the name', () => {
  const names = [{ client: 'password 1', feed: AS_READ, knownAs: WRITTEN }];
  const again = open({ names });
  again.take([WRITTEN, AS_READ]);
  expect(again.said()).toEqual([]);
  const otherwise = open({ names });
  otherwise.take([AS_READ, AS_READ]);
  expect(otherwise.said()).toEqual([{ client: 'password 1', feed: AS_READ, knownAs: null }]);
  expect(otherwise.name(AS_READ)).toBe(AS_READ);
});

it('who takes over what it is answered is told that, but of a move what it wrote', () => {
  const gpodder = 'mygpoclient/1.9 (+http://gpodder.org/mygpoclient/) gPodder/3.11.1';
  const feeds = open({ app: appOf('desk', gpodder), subscribed: [KEPT], moves: [[MOVED, KEPT]] });
  feeds.take([WRITTEN, AS_READ]);
  expect(feeds.said()).toEqual([]);
  expect(feeds.take([MOVED, MOVED])).toBe(KEPT);
  expect(feeds.name(KEPT)).toBe(MOVED);
});

it.each([
  ['one that is too long', `https://feeds.example/${' '.repeat(4_096)}`],
  ['one with what no text may hold', '\u0000https://feeds.example/'],
])('%s is no name', (_, written) => {
  const feeds = open({});
  feeds.take([written, 'https://feeds.example/']);
  expect(feeds.said()).toEqual([]);
});

it('moves count of podcasts that one has had so long that they tell of nobody else, and of none that one has left', () => {
  const now = 1_800_000_000_000;
  const subscribed = new Map([
    ['https://new.example/', now - MOVE_COUNTS_AFTER_MS + 1],
    [KEPT, now - MOVE_COUNTS_AFTER_MS],
  ]);
  expect(whoseMovesCount({ subscribed, unsubscribed: new Set(['https://left.example/']) }, now)).toEqual([KEPT]);
});

describe('what an app leaves', () => {
  const names = [{ client: 'password 1', feed: KEPT, knownAs: MOVED }];
  const moves: [string, string][] = [[MOVED, KEPT]];

  it('by the name that it goes by, or has never told, ends', () => {
    expect(open({ subscribed: [KEPT], names }).leave([MOVED, MOVED])).toBe(KEPT);
    expect(open({ subscribed: [KEPT], moves }).leave([MOVED, MOVED])).toBe(KEPT);
    expect(open({ subscribed: [KEPT], moves }).leave([KEPT, KEPT])).toBe(KEPT);
    expect(open({ app: appOf('other'), subscribed: [KEPT], names }).leave([KEPT, KEPT])).toBe(KEPT);
  });

  it('by a name that it has given up does not', () => {
    expect(open({ subscribed: [KEPT], names }).leave([KEPT, KEPT])).toBeUndefined();
  });

  it('ends where it cannot be told apart from others', () => {
    const ofAll = [{ client: 'account', feed: KEPT, knownAs: MOVED }];
    expect(open({ app: ofAccount(), subscribed: [KEPT], names: ofAll }).leave([KEPT, KEPT])).toBe(KEPT);
  });
});

it('who cannot be told apart is told of an episode under all names', () => {
  const names = [
    { client: 'account', feed: KEPT, knownAs: MOVED },
    { client: 'device phone', feed: KEPT, knownAs: WRITTEN },
    { client: 'password 1', feed: KEPT, knownAs: 'https://only.example/' },
  ];
  expect(open({ app: ofAccount(), names }).namesOf(KEPT)).toEqual([KEPT, MOVED, WRITTEN]);
  expect(open({ app: appOf(), names }).namesOf(KEPT)).toEqual(['https://only.example/']);
  expect(open({ app: ofAccount('phone'), names }).namesOf(KEPT)).toEqual([WRITTEN]);
});

it('of many names those that were told last are told', () => {
  const names = Array.from({ length: 2_000 }, (_, nth) => ({
    client: `device ${nth}`,
    feed: KEPT,
    knownAs: `${KEPT}#${nth}`,
  }));
  expect(open({ app: ofAccount(), names }).namesOf(KEPT)).toEqual([KEPT, `${KEPT}#1998`, `${KEPT}#1999`]);
});
