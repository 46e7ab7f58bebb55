import { randomUUID } from 'node:crypto';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { encodeBase64 } from '@balados/feeds-ids';
import { WHOLE_HISTORY } from '@balados/users-contracts';
import fc from 'fast-check';
import { openListenerStreams } from './listener-streams';
import { CLOCK_SKEW_MS, clockShift, Sync, SyncHandler } from './sync';

const NOW = Date.UTC(2026, 0, 1);

describe('the shift of a device’s times', () => {
  it.each([
    ['no time was told', undefined, 0],
    ['the clock is right', NOW, 0],
    ['it is off by a minute', NOW + 60_000, 0],
    ['it is ahead by more', NOW + 61_000, -60_000],
    ['it is behind by an hour and a bit', NOW - 3_610_000, 3_600_000],
  ])('when %s', (_, clientTime, shift) => {
    expect(clockShift(clientTime, NOW)).toBe(shift);
  });

  it('is in whole minutes, and leaves an error of at most a minute', () => {
    const error = fc.integer({ min: -1e9, max: 1e9 });
    fc.assert(
      fc.property(error, (by) => {
        const shift = clockShift(NOW - by, NOW);
        expect(Math.abs(shift % 60_000)).toBe(0);
        expect(Math.abs(by - shift)).toBeLessThanOrEqual(CLOCK_SKEW_MS);
      }),
    );
  });

  it('stays as it was while the error changes little, also between two minutes', () => {
    const error = fc.integer({ min: -1e9, max: 1e9 });
    const jitter = fc.array(fc.integer({ min: -30_000, max: 30_000 }), { maxLength: 10 });
    fc.assert(
      fc.property(error, jitter, (by, jitters) => {
        const first = clockShift(NOW - by, NOW);
        const center = first; // the device's error as it was rounded
        for (const offset of jitters) expect(clockShift(NOW - (center + offset), NOW, first)).toBe(first);
      }),
    );
  });
});

it('brings nothing back that was erased, of a device whose clock went a little more wrong since', async () => {
  const streams = openListenerStreams(new InMemoryEventStore(() => Promise.resolve()), 1_048_576);
  const speaker = { userId: randomUUID(), correlationId: 'test' };
  let now = NOW;
  /** As a device whose clock is `behind` milliseconds late. */
  const sync = (behind: number, body: object) => {
    const client_time = now - behind;
    return new SyncHandler(streams, () => now).execute(new Sync(speaker, { ...body, client_time }));
  };
  const play = {
    rss_source_feed: encodeBase64('https://feeds.example/a.xml'),
    rss_source_item: encodeBase64('guid,https://media.example/1.mp3'),
    position: 1,
    played: false,
  };
  const first = await sync(70_000, {});
  // Made half a minute before all was erased, and not yet sent: 60 s are added to its time, as long as the error is near that.
  const plays = [{ ...play, updated_at: new Date(now + 10_000 - 60_000).toISOString() }];
  now += 40_000;
  const erasure = { type: 'EraseHistory', data: { ...WHOLE_HISTORY, requestedAt: now } } as const;
  const metadata = { recordedAt: new Date(now).toISOString(), correlationId: 'test' };
  await streams.listening.handle(speaker.userId, erasure, metadata, () => undefined);

  const answer = await sync(95_000, { since: first.sync_token, play_statuses: plays });
  expect(answer.data.play_statuses).toEqual([]);
  expect(answer).toMatchObject({ full: true, rejected: [{ code: 'erased' }] });
});

it('tells an old device, however long ago something ended, and takes no news from what it holds or was told', async () => {
  const store = new InMemoryEventStore(() => Promise.resolve());
  const streams = openListenerStreams(store, 1_048_576);
  const speaker = { userId: randomUUID(), correlationId: 'test' };
  let now = NOW;
  const sync = (body: object) => new SyncHandler(streams, () => now).execute(new Sync(speaker, body));
  const feed = { rss_source_feed: encodeBase64('https://feeds.example/a.xml') };
  const item = { ...feed, rss_source_item: encodeBase64('guid,https://media.example/1.mp3'), item_title: 'One' };
  const told = (at: number) => new Date(at).toISOString();
  const [id, other] = [randomUUID(), randomUUID()];
  const playlist = { name: 'Walks', updated_at: told(NOW), items: [{ ...item, updated_at: told(NOW) }] };
  const tablet = await sync({
    subscriptions: [{ ...feed, rss_source_id: '7', subscribed_at: told(NOW) }],
    playlists: [
      { id, ...playlist },
      { id: other, ...playlist },
    ],
  });
  now += 1_000;
  const phone = await sync({
    since: tablet.sync_token,
    subscriptions: [{ ...feed, rss_source_id: '7', unsubscribed_at: told(now) }],
    playlists: [
      { id, updated_at: told(now), deleted_at: told(now) },
      { id: other, name: 'Walks', updated_at: told(NOW), items: [{ ...item, deleted_at: told(now) }] },
    ],
  });
  for (const category of ['subscriptions', 'playlists'] as const)
    await streams[category].handle(
      speaker.userId,
      { type: 'DropContent', data: { upTo: 100 } },
      { recordedAt: told(now), correlationId: 'test' },
      () => undefined,
    );
  const appended = store.log.length;
  for (const known of [tablet, phone]) {
    now += 60 * 86_400_000;
    const { data, rejected } = await sync({ since: tablet.sync_token, ...known.data });
    expect(rejected).toEqual([]);
    expect(data.subscriptions).toMatchObject([{ rss_source_id: null, unsubscribed_at: told(NOW + 1_000) }]);
    const gone = { id, name: '', items: [], deleted_at: told(NOW + 1_000) };
    const left = { id: other, items: [{ item_title: null, deleted_at: told(NOW + 1_000) }] };
    expect(data.playlists).toMatchObject([gone, left]);
    // What it was told just now it may say again.
    expect((await sync(data)).rejected).toEqual([]);
  }
  expect(store.log).toHaveLength(appended);
  // A newer claim brings it back, with what comes with it.
  const revived = { ...playlist, updated_at: told(now), items: [{ ...item, updated_at: told(now) }] };
  const { data } = await sync({ since: phone.sync_token, playlists: [{ id, ...revived }] });
  expect(data.playlists).toMatchObject([{ id, name: 'Walks', deleted_at: null, items: [{ item_title: 'One' }] }]);
});
