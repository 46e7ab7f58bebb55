import { encodeBase64, encodeBase64Url } from '@balados/feeds-ids';
import fc from 'fast-check';
import {
  addPlaylistItemBody,
  changePlaylistBody,
  createPlaylistBody,
  PLAYLIST_ITEMS_MAX,
  playBody,
  playEntry,
  playlistEntry,
  playlistItemEntry,
  playlistOrderBody,
  plainText,
  positionBody,
  POSITION_MAX_SECONDS,
  subscribeBody,
  subscriptionEntry,
  SYNC_LIST_MAX,
  syncBody,
  timestamp,
  wireEpisode,
  wirePlay,
  wirePlaylist,
  wirePlaylistItem,
  wireSubscription,
} from './wire';

const FEED = 'https://feeds.example/a?b=??>';
const ITEM = 'g, 1,https://cdn.example/1.mp3';
const play = {
  rss_source_feed: encodeBase64(FEED),
  rss_source_item: encodeBase64(ITEM),
  position: 12.5,
  played: true,
  updated_at: '2026-01-01T00:00:00.123Z',
};
const subscription = {
  rss_source_feed: encodeBase64(FEED),
  rss_source_id: '7',
  subscribed_at: '2026-01-01T00:00:00.123Z',
  unsubscribed_at: null,
};

/** Path and code of each flaw; zod's own codes where it has found one. */
const flaws = (result: { success: boolean; error?: { issues: readonly { path: PropertyKey[]; code: string }[] } }) =>
  result.error?.issues.map((issue) => {
    const { params } = issue as { params?: { code: string } };
    return `${issue.path.join('.')} ${params?.code ?? issue.code}`;
  });

describe('the times of devices', () => {
  it.each([
    ['2026-01-01T08:30:00.123Z', Date.UTC(2026, 0, 1, 8, 30, 0, 123)],
    ['2026-01-01T08:30:00Z', Date.UTC(2026, 0, 1, 8, 30)],
    ['2026-01-01t08:30:00z', Date.UTC(2026, 0, 1, 8, 30)],
    ['2026-01-01T08:30:00.123999+02:30', Date.UTC(2026, 0, 1, 6, 0, 0, 123)],
    ['1970-01-01T00:00:00Z', 0],
    ['2016-12-31T23:59:60.5Z', Date.UTC(2016, 11, 31, 23, 59, 59, 500)],
  ])('%s is read, milliseconds kept', (written, time) => expect(timestamp.parse(written)).toBe(time));

  it.each([
    '',
    '2026-01-01',
    '2026-01-01T08:30:00',
    '2026-02-30T00:00:00Z',
    '1969-12-31T23:59:59Z',
    'yesterday',
    '1767225600',
  ])('%j is none', (written) => expect(flaws(timestamp.safeParse(written))).toEqual([' invalid_time']));

  it('are read in the usual form as the same time is in any other', () => {
    const digits = (max: number, length: number) => fc.nat(max).map((number) => `${number}`.padStart(length, '0'));
    const fraction = fc.constantFrom('', '.0', '.12', '.999', '.1234567', '.999999999', '.', '.1234567890');
    fc.assert(
      fc.property(
        fc.tuple(fc.integer({ min: 1960, max: 9999 }), digits(13, 2), digits(32, 2)),
        fc.tuple(digits(24, 2), digits(60, 2), digits(59, 2)),
        fraction,
        ([year, month, day], [hour, minute, second], part) => {
          const written = `${year}-${month}-${day}T${hour}:${minute}:${second}${part}`;
          const [usual, other] = [timestamp.safeParse(`${written}Z`), timestamp.safeParse(`${written}+00:00`)];
          expect([usual.success, usual.data]).toEqual([other.success, other.data]);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe('what devices send', () => {
  it('is turned into what the domain speaks', () => {
    expect(playEntry.parse(play)).toEqual({
      rss_source_feed: FEED,
      rss_source_item: ITEM,
      position: 12.5,
      played: true,
      updated_at: Date.UTC(2026, 0, 1, 0, 0, 0, 123),
    });
    expect(subscriptionEntry.parse(subscription)).toEqual({
      rss_source_feed: FEED,
      rss_source_id: '7',
      subscribed_at: Date.UTC(2026, 0, 1, 0, 0, 0, 123),
      unsubscribed_at: null,
    });
  });

  it('may be in either alphabet, and comes out the same, as does a feed in another spelling', () => {
    const other = encodeBase64Url(` ${FEED.replace('https://feeds', 'HTTPS://FEEDS')}#top`);
    expect(subscribeBody.parse({ rss_source_feed: other })).toEqual({ rss_source_feed: FEED, rss_source_id: null });
  });

  it('may leave out what has a value of its own', () => {
    const { rss_source_feed, rss_source_item } = play;
    expect(playBody.parse({ rss_source_feed, rss_source_item })).toMatchObject({ position: 0, played: false });
    expect(positionBody.parse({ position: 0 })).toEqual({ position: 0 });
  });

  it('takes an empty id of a client for none', () => {
    expect(subscribeBody.parse({ ...subscription, rss_source_id: '' }).rss_source_id).toBeNull();
  });

  it.each([
    ['a position before the start', { position: -1 }, 'position too_small'],
    ['a position beyond a hundred days', { position: POSITION_MAX_SECONDS + 1 }, 'position too_big'],
    ['a position as text', { position: '1' }, 'position invalid_type'],
    ['played as a number', { played: 1 }, 'played invalid_type'],
    ['a feed that is no base64', { rss_source_feed: '***' }, 'rss_source_feed invalid_base64'],
    ['a feed that is no URL', { rss_source_feed: encodeBase64('x') }, 'rss_source_feed invalid_feed'],
    ['an item that is empty', { rss_source_item: encodeBase64(',') }, 'rss_source_item invalid_item'],
    ['no time', { updated_at: undefined }, 'updated_at invalid_type'],
  ])('is refused with %s', (_, flaw, found) =>
    expect(flaws(playEntry.safeParse({ ...play, ...flaw }))).toEqual([found]),
  );

  it('of a podcast needs one of its times', () => {
    expect(flaws(subscriptionEntry.safeParse({ ...subscription, subscribed_at: null }))).toEqual([' custom']);
    expect(
      subscriptionEntry.safeParse({ ...subscription, subscribed_at: null, unsubscribed_at: play.updated_at }).success,
    ).toBe(true);
  });

  it('to sync is looked at entry by entry, but a list must be one', () => {
    expect(syncBody.parse({ subscriptions: [1, null], play_statuses: [{}] })).toEqual({
      subscriptions: [1, null],
      play_statuses: [{}],
    });
    expect(syncBody.parse({})).toEqual({});
    expect(flaws(syncBody.safeParse({ play_statuses: {} }))).toEqual(['play_statuses invalid_type']);
    const list = Array.from({ length: SYNC_LIST_MAX + 1 }, () => 0);
    expect(flaws(syncBody.safeParse({ subscriptions: list }))).toEqual(['subscriptions too_big']);
  });

  it.each(['a\u0000b', 'a\nb', 'a\u0085b', 'a\ud800b', 'abcdef'])('as a name is refused: %j', (text) =>
    expect(plainText(5).safeParse(text).success).toBe(false),
  );
  it('as a name may hold anything else', () => expect(plainText(5).parse('ü 🎧!')).toBe('ü 🎧!'));
});

describe('what devices are answered', () => {
  it('is what they may send back: the same claim', () => {
    const [entry, podcast] = [playEntry.parse(play), subscriptionEntry.parse(subscription)];
    const asked = wirePlay({
      feed: entry.rss_source_feed,
      item: entry.rss_source_item,
      position: entry.position,
      played: entry.played,
      updatedAt: entry.updated_at,
    });
    expect(asked).toEqual(play);
    expect(
      wireSubscription({
        feed: podcast.rss_source_feed,
        sourceId: podcast.rss_source_id,
        subscribedAt: podcast.subscribed_at ?? null,
        unsubscribedAt: podcast.unsubscribed_at ?? null,
      }),
    ).toEqual(subscription);
  });

  it('says of an episode whether it is saved, and what never was is null', () => {
    const [feed, item] = [FEED, ITEM];
    const { rss_source_feed, rss_source_item, updated_at } = play;
    const marked = { rss_source_feed, rss_source_item, saved: true, saved_at: updated_at, shared_at: null };
    expect(wireEpisode({ feed, item, savedAt: Date.parse(updated_at), sharedAt: null })).toEqual(marked);
    expect(wireEpisode({ feed, item, savedAt: null, sharedAt: Date.parse(updated_at) })).toEqual({
      ...marked,
      saved: false,
      saved_at: null,
      shared_at: updated_at,
    });
  });
});

describe('playlists', () => {
  const ID = '5b2c1a9e-0000-4000-8000-00000000000a';
  const TIME = play.updated_at;
  const at = Date.UTC(2026, 0, 1, 0, 0, 0, 123);
  const item = {
    rss_source_feed: play.rss_source_feed,
    rss_source_item: play.rss_source_item,
    item_title: 'One',
    feed_title: null,
    created_at: TIME,
    updated_at: TIME,
    deleted_at: null,
  };
  const playlist = {
    id: ID,
    name: 'Walks',
    description: 'slow\nones',
    updated_at: TIME,
    deleted_at: null,
    order: [ID],
    ordered_at: TIME,
    items: [item],
  };

  it('are turned into what the domain speaks; their items are looked at one by one', () => {
    expect(playlistEntry.parse(playlist)).toEqual({ ...playlist, updated_at: at, ordered_at: at, items: [item] });
    expect(playlistEntry.parse({ ...playlist, items: [null, 7] }).items).toEqual([null, 7]);
    const times = { created_at: at, updated_at: at };
    expect(playlistItemEntry.parse(item)).toEqual({ ...item, ...times, rss_source_feed: FEED, rss_source_item: ITEM });
  });

  it('may leave out what has a value of its own', () => {
    expect(playlistEntry.parse({ id: ID.toUpperCase(), name: 'Walks', updated_at: TIME })).toEqual({
      id: ID,
      name: 'Walks',
      description: null,
      updated_at: at,
    });
    expect(playlistEntry.safeParse({ id: ID, updated_at: TIME, deleted_at: TIME }).success).toBe(true);
    expect(createPlaylistBody.parse({ name: 'Walks' })).toEqual({ name: 'Walks', description: null });
    expect(changePlaylistBody.parse({})).toEqual({});
    expect(changePlaylistBody.parse({ description: '' })).toEqual({ description: null });
    const { rss_source_feed, rss_source_item } = item;
    expect(addPlaylistItemBody.parse({ rss_source_feed, rss_source_item })).toMatchObject({
      item_title: null,
      feed_title: null,
    });
  });

  it.each([
    ['an id that is no UUID', { id: 'x' }, 'id invalid_format'],
    ['no name', { name: undefined }, 'name custom'],
    ['an empty name', { name: '' }, 'name custom'],
    ['a name of two lines', { name: 'a\nb' }, 'name custom'],
    ['a long name', { name: 'x'.repeat(256) }, 'name too_big'],
    ['a description that cannot be stored', { description: 'a\u0000b' }, 'description custom'],
    ['a long description', { description: 'x'.repeat(4_097) }, 'description too_big'],
    ['no time', { updated_at: undefined }, 'updated_at invalid_type'],
    ['an order without its time', { ordered_at: null }, 'ordered_at custom'],
    ['an order that names an item twice', { order: [ID, ID.toUpperCase()] }, 'order custom'],
    ['items that are no list', { items: {} }, 'items invalid_type'],
  ])('are refused with %s', (_, flaw, found) =>
    expect(flaws(playlistEntry.safeParse({ ...playlist, ...flaw }))).toEqual([found]),
  );

  it.each([
    ['no base64', { rss_source_item: '***' }, 'rss_source_item invalid_base64'],
    ['a title that cannot be stored', { item_title: 'a\ud800' }, 'item_title custom'],
    ['a long title', { feed_title: 'x'.repeat(1_025) }, 'feed_title too_big'],
    ['no time at all', { created_at: null, updated_at: null }, ' custom'],
    ['a time that is none', { deleted_at: 'now' }, 'deleted_at invalid_time'],
  ])('refuse an item with %s', (_, flaw, found) =>
    expect(flaws(playlistItemEntry.safeParse({ ...item, ...flaw }))).toEqual([found]),
  );

  it('are put in an order of as many items as one may hold', () => {
    const ids = Array.from({ length: PLAYLIST_ITEMS_MAX + 1 }, (_, n) => ID.slice(0, -4) + String(n).padStart(4, '0'));
    expect(playlistOrderBody.safeParse({ items: ids.slice(1) }).success).toBe(true);
    expect(flaws(playlistOrderBody.safeParse({ items: ids }))).toEqual(['items too_big']);
  });

  it('hold no more items in one body than a list may have entries', () => {
    const items = Array.from({ length: SYNC_LIST_MAX / 2 }, () => 0);
    expect(syncBody.safeParse({ playlists: [{ items }, null, { items }, { items: 7 }] }).success).toBe(true);
    expect(flaws(syncBody.safeParse({ playlists: [{ items }, { items: [...items, 0] }] }))).toEqual([
      'playlists custom',
    ]);
  });

  it('are answered as they may be sent back: the same claims', () => {
    const said = playlistItemEntry.parse(item);
    const asked = wirePlaylistItem({
      id: ID,
      feed: said.rss_source_feed,
      item: said.rss_source_item,
      itemTitle: said.item_title,
      feedTitle: said.feed_title,
      createdAt: said.created_at!,
      updatedAt: said.updated_at!,
      deletedAt: null,
    });
    expect(asked).toEqual({ id: ID, ...item });
    expect(playlistItemEntry.parse(asked)).toEqual(said);
    const { id, name, description, order } = playlistEntry.parse(playlist);
    const times = { updatedAt: at, deletedAt: null, orderedAt: at };
    const answered = wirePlaylist({ playlistId: id, name: name!, description, order: order!, ...times }, [asked]);
    expect(answered).toEqual({ ...playlist, items: [asked] });
  });
});
