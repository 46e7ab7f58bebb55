import { episodeKey } from '@balados/feeds-ids';
import { partOf } from '@balados/users-contracts';
import fc from 'fast-check';
import { EpisodeAction, keysSince, noteRecent, RECENT_KEPT, Recent, REPORTS_OF_EPISODE } from './actions';
import { allReports, findPlay, listening, ListeningCommand } from './listening';
import { Accepted, replay } from './replay.fixture';

const DAY = Date.UTC(2026, 0, 1);
const feed = fc.constantFrom('https://a.example/', 'https://b.example/');
const item = fc.constantFrom('one,https://a.example/1.mp3', 'two,https://a.example/2.mp3', ',https://a.example/3.mp3');
const seconds = fc.option(fc.integer({ min: -1, max: 3 }).map((n) => n * 30));
const action: fc.Arbitrary<EpisodeAction> = fc.record({
  feed,
  item,
  action: fc.constantFrom('play', 'download', 'delete', 'new', 'flattr'),
  device: fc.constantFrom('phone', 'laptop', null),
  at: fc.integer({ min: 0, max: 5 }).map((step) => DAY + step * 1_000),
  started: seconds,
  position: seconds,
  total: seconds,
});
const upload: fc.Arbitrary<Accepted<ListeningCommand>> = fc
  .record({ actions: fc.array(action, { maxLength: 5 }), now: fc.integer({ min: 3, max: 9 }) })
  .map(({ actions, now: step }) => {
    const now = DAY + step * 1_000;
    return { command: { type: 'ReportActions', data: { actions, now } }, now };
  });
const played: fc.Arbitrary<Accepted<ListeningCommand>> = fc
  .record({ feed, item, position: fc.nat(90), played: fc.boolean(), now: fc.nat(5).map((step) => DAY + step * 1_000) })
  .map((data) => ({ command: { type: 'RecordPlay', data }, now: data.now }));
const history = fc.array(fc.oneof(upload, played), { maxLength: 8 });

/** What a report says, less when we heard of it. */
const said = ({ recordedAt: _, ...report }: EpisodeAction & { recordedAt: number }): EpisodeAction => report;

describe('what apps report', () => {
  it('is kept as it was told, however late it comes, and once however often it is sent', () => {
    fc.assert(
      fc.property(history, upload, (before, sent) => {
        const listener = replay(listening, before);
        listener.accept(sent);
        const { data } = sent.command as Extract<ListeningCommand, { type: 'ReportActions' }>;
        const kept = [...allReports(listener.state)].map(said);
        for (const each of data.actions) expect(kept).toContainEqual({ ...each, at: Math.min(each.at, data.now) });
        expect(new Set(kept.map((each) => JSON.stringify(each))).size).toBe(kept.length);
        expect(listener.accept(sent)).toEqual([]);
      }),
    );
  });

  it('moves a position to the newest that is said, in whatever order apps say it', () => {
    const uploads = fc.array(upload, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(
        uploads.chain((each) => fc.tuple(fc.constant(each), fc.shuffledSubarray(each, { minLength: each.length }))),
        ([inOrder, shuffled]) => {
          // Dates in the future are of the moment of receipt, and so no matter of what was said alone.
          const now = DAY + 10_000;
          const late = (uploads: readonly Accepted<ListeningCommand>[]) =>
            uploads.map(({ command }) => ({
              command: { ...command, data: { ...command.data, now } },
              now,
            })) as typeof inOrder;
          const [one, other] = [replay(listening, late(inOrder)).state, replay(listening, late(shuffled)).state];
          const places = (state: typeof one) =>
            new Map(
              [...state.episodes].map(([key, plays]) => [
                key,
                new Map(
                  plays.map(({ feed, item, position, played, updatedAt }) => [
                    feed,
                    { item, position, played, updatedAt },
                  ]),
                ),
              ]),
            );
          expect(places(one)).toEqual(places(other));
          for (const { feed, item, action, at, position } of allReports(one)) {
            const isPlace = action === 'new' || (action === 'play' && position !== null && position > 0);
            if (isPlace) expect(findPlay(one, feed, item)!.updatedAt).toBeGreaterThanOrEqual(at);
          }
        },
      ),
    );
  });

  it.each<[what: string, told: Partial<EpisodeAction>, expected: object | undefined]>([
    ['a place on the way', { position: 90, total: 1_800 }, { position: 90, played: false }],
    ['the end', { started: 1_800, position: 1_800, total: 1_800 }, { position: 1_800, played: true }],
    ['a place without a length', { position: 90, total: null }, { position: 90, played: false }],
    ['no place', { started: -1, position: -1, total: -1 }, undefined],
    ['nothing', { started: null, position: null, total: null }, undefined],
    ['the beginning', { position: 0, total: 1_800 }, undefined],
    ['a download', { action: 'download' }, undefined],
    ['that it is new', { action: 'new' }, { position: 0, played: false }],
  ])('by %s', (_what, told, expected) => {
    const base = { feed: 'https://a.example/', item: 'one,https://a.example/1.mp3', device: 'phone', at: DAY };
    const action: EpisodeAction = { ...base, action: 'play', started: 0, position: null, total: null, ...told };
    const { state } = replay(listening, [
      { command: { type: 'ReportActions', data: { actions: [action], now: DAY } }, now: DAY },
    ]);
    expect([...allReports(state)].map(said)).toEqual([action]);
    const play = findPlay(state, base.feed, base.item);
    expect(play && { position: play.position, played: play.played }).toEqual(expected);
    // What popularity counts.
    expect(play?.listenedOn !== undefined).toBe(play !== undefined && (play.position > 0 || play.played));
  });

  it('of a late time is found without all that is held, whatever our copies’ clocks say', () => {
    const receipt = fc.tuple(fc.nat(40).map(String), fc.integer({ min: -3, max: 3 }));
    const receipts = fc.array(receipt, { maxLength: 400, size: 'max' });
    fc.assert(
      fc.property(receipts, fc.nat(3), fc.nat(1_600), (drawn, times, since) => {
        const recent: Recent[] = [];
        const all = Array.from({ length: 1 + times }, () => drawn).flat();
        // One after the other, of clocks that differ by a little.
        const heard = all.map(([key, off], nth) => [key, nth + off] as const);
        for (const [key, at] of heard) noteRecent(recent, key, at);
        expect(recent.length).toBeLessThan(2 * RECENT_KEPT);
        const found = keysSince(recent, since);
        for (const [key, at] of heard) if (found && at >= since) expect(found).toContain(key);
        // It goes back as far as it is said to.
        if (heard.length > 10 && since >= heard.length - RECENT_KEPT + 10 && since > 5) expect(found).toBeDefined();
      }),
    );
  });

  it(`is held up to the last ${REPORTS_OF_EPISODE} of an episode, whichever device they are of`, () => {
    const of = (nth: number): EpisodeAction => ({
      feed: 'https://a.example/',
      item: 'one,',
      action: 'play',
      device: `device ${nth % 7}`,
      at: DAY + nth * 1_000,
      started: 0,
      position: nth + 1,
      total: 9_999,
    });
    const actions = Array.from({ length: REPORTS_OF_EPISODE + 3 }, (_, nth) => of(nth));
    const now = DAY + 1e6;
    const { state } = replay(listening, [{ command: { type: 'ReportActions', data: { actions, now } }, now }]);
    expect([...allReports(state)].map(said)).toEqual(actions.slice(3));
    expect(state.reported).toBe(REPORTS_OF_EPISODE);
  });

  it('is whole when it is sent again after an upload that broke off at any place', () => {
    fc.assert(
      fc.property(history, upload, fc.nat(12), (before, sent, cut) => {
        const whole = replay(listening, before);
        const events = whole.accept(sent)!;
        const broken = replay(listening, before);
        for (const event of events.slice(0, cut)) {
          const metadata = { recordedAt: new Date(sent.now).toISOString(), correlationId: 'c' };
          broken.state = listening.evolve(broken.state, { ...event, revision: 0, metadata });
        }
        broken.accept(sent);
        const places = ({ episodes }: typeof whole.state) =>
          [...episodes.values()]
            .flat()
            .map(({ feed, item, position, played, updatedAt, listenedOn }) =>
              JSON.stringify([feed, item, position, played, updatedAt, listenedOn]),
            );
        expect(places(broken.state).sort()).toEqual(places(whole.state).sort());
        const reports = ({ reports }: typeof whole.state) =>
          [...reports.values()].flat().map((each) => JSON.stringify(said(each)));
        expect(reports(broken.state).sort()).toEqual(reports(whole.state).sort());
      }),
    );
  });

  it('that an episode is new is no listen, and the play that follows is one', () => {
    const base = { feed: 'https://a.example/', item: 'one,', device: null, started: 0, total: 900 } as const;
    const report = (action: 'new' | 'play', at: number): Accepted<ListeningCommand> => ({
      command: { type: 'ReportActions', data: { actions: [{ ...base, action, position: 90, at }], now: at } },
      now: at,
    });
    const listener = replay(listening, [report('new', DAY)]);
    expect(findPlay(listener.state, base.feed, base.item)!.listenedOn).toBeUndefined();
    expect(listener.accept(report('play', DAY + 1_000))!.map(({ type }) => type)).toEqual([
      'EpisodeActionReported',
      'PlayRecorded',
    ]);
  });

  it('is of the episode whose guid is known, where an app names the enclosure alone', () => {
    const base = { feed: 'https://a.example/', action: 'play', device: null, started: 0, total: 1_800 } as const;
    const report = (item: string, position: number): Accepted<ListeningCommand> => {
      const action: EpisodeAction = { ...base, item, position, at: DAY + position * 1_000 };
      return { command: { type: 'ReportActions', data: { actions: [action], now: DAY * 2 } }, now: DAY * 2 };
    };
    const { state } = replay(listening, [
      report('one,https://a.example/1.mp3', 30),
      report(',https://a.example/1.mp3', 60),
      report(',https://a.example/2.mp3', 90),
    ]);
    expect([...allReports(state)].map(({ item, position }) => [item, position])).toEqual([
      ['one,https://a.example/1.mp3', 30],
      ['one,https://a.example/1.mp3', 60],
      [',https://a.example/2.mp3', 90],
    ]);
    expect(findPlay(state, base.feed, 'one,')!.position).toBe(60);
  });

  it('goes with what is erased, and does not come back', () => {
    fc.assert(
      fc.property(history, feed, item, (before, feed, item) => {
        const listener = replay(listening, before);
        const gone = [...allReports(listener.state)].filter(
          (each) => each.feed === feed && episodeKey(each.item) === episodeKey(item),
        );
        const now = DAY + 20_000;
        const target = partOf(feed, item);
        listener.accept({ command: { type: 'EraseHistory', data: { ...target, requestedAt: now } }, now });
        const left = [...allReports(listener.state)];
        expect(left.filter((each) => each.feed === feed && episodeKey(each.item) === episodeKey(item))).toEqual([]);
        listener.accept({ command: { type: 'ReportActions', data: { actions: gone.map(said), now } }, now });
        expect([...allReports(listener.state)]).toEqual(left);
      }),
    );
  });
});
