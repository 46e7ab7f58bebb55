import { Codec } from '@balados/event-sourcing';
import { PlaylistsEvent, usersEvents } from '@balados/users-contracts';
import fc from 'fast-check';
import {
  comparePlaylistItems,
  comparePlaylists,
  PlaylistClaim,
  PlaylistItemClaim,
  playlistItemId,
  PlaylistOrderClaim,
} from './playlist-claims';
import { playlists, PlaylistsCommand, PlaylistsState, standingItems } from './playlists';
import { Accepted, handled, replay } from './replay.fixture';

// Few values, so that they meet.
const playlistId = fc.constantFrom('p1', 'p2');
const feed = fc.constantFrom('https://a.example/', 'https://b.example/');
const item = fc.constantFrom('one,', 'one,https://a.example/1', 'two,');
const text = fc.constantFrom('a', 'b');
const textOrNull = fc.constantFrom(null, 'a', 'b');
const time = fc.integer({ min: 0, max: 5 }).map((step) => Date.UTC(2026, 0, 1) + step * 100);
const deletedAt = fc.option(time, { freq: 2 });
const itemId = fc.record({ feed, item }).map(playlistItemId);
const ids = fc.uniqueArray(itemId, { maxLength: 3 });

const playlistClaim: fc.Arbitrary<PlaylistClaim> = fc.record({
  playlistId,
  name: text,
  description: textOrNull,
  updatedAt: time,
  deletedAt,
});
const itemClaim: fc.Arbitrary<PlaylistItemClaim> = fc.record({
  playlistId,
  feed,
  item,
  itemTitle: textOrNull,
  feedTitle: textOrNull,
  createdAt: time,
  updatedAt: time,
  deletedAt,
});
const orderClaim: fc.Arbitrary<PlaylistOrderClaim> = fc.record({ playlistId, items: ids, orderedAt: time });

/** As devices send them: items and orders come inside of their playlists. */
interface Entry {
  playlist: PlaylistClaim;
  items: PlaylistItemClaim[];
  order: PlaylistOrderClaim | undefined;
}
const entry: fc.Arbitrary<Entry> = fc
  .record({
    playlist: playlistClaim,
    items: fc.array(itemClaim, { maxLength: 4 }),
    order: fc.option(orderClaim, { nil: undefined }),
  })
  .map(({ playlist, items, order }) => {
    const { playlistId } = playlist;
    return { playlist, items: items.map((of) => ({ ...of, playlistId })), order: order && { ...order, playlistId } };
  });
const entries = fc.array(entry, { maxLength: 4 });

const merge = (sent: readonly Entry[]): Accepted<PlaylistsCommand> => ({
  command: {
    type: 'MergePlaylists',
    data: {
      playlists: sent.map(({ playlist }) => playlist),
      items: sent.flatMap(({ items }) => items),
      orders: sent.flatMap(({ order }) => (order ? [order] : [])),
    },
  },
  now: 0,
});

const accepted: fc.Arbitrary<Accepted<PlaylistsCommand>> = time.chain((at) => {
  const now = fc.constant(at);
  return fc
    .oneof<fc.Arbitrary<PlaylistsCommand>[]>(
      fc.record({
        type: fc.constant('CreatePlaylist'),
        data: fc.record({ playlistId, name: text, description: textOrNull, now }),
      }),
      fc.record({
        type: fc.constant('ChangePlaylist'),
        data: fc.record(
          { playlistId, name: text, description: textOrNull, now },
          { requiredKeys: ['playlistId', 'now'] },
        ),
      }),
      fc.record({ type: fc.constant('DeletePlaylist'), data: fc.record({ playlistId, now }) }),
      fc.record({
        type: fc.constant('AddPlaylistItem'),
        data: fc.record({ playlistId, feed, item, itemTitle: textOrNull, feedTitle: textOrNull, now }),
      }),
      fc.record({ type: fc.constant('RemovePlaylistItem'), data: fc.record({ playlistId, itemId, now }) }),
      fc.record({ type: fc.constant('ReorderPlaylist'), data: fc.record({ playlistId, items: ids, now }) }),
      entries.map((sent) => merge(sent).command),
    )
    .map((command) => ({ command, now: at }));
});
const history = fc.array(accepted, { maxLength: 12 });
const dropping = fc
  .record({ upTo: fc.nat(20) })
  .map((data): Accepted<PlaylistsCommand> => ({ command: { type: 'DropContent', data }, now: 0 }));
const historyWithDrops = fc.array(fc.oneof({ weight: 3, arbitrary: accepted }, { weight: 1, arbitrary: dropping }), {
  maxLength: 16,
});

/** What stands, without the revisions that set it: those tell the order of arrival. */
const standing = ({ playlists: held }: PlaylistsState) =>
  new Map(
    [...held].map(([id, { revision: _, orderRevision: __, items, ...playlist }]) => [
      id,
      { ...playlist, items: new Map([...items].map(([key, { revision: ___, ...of }]) => [key, of])) },
    ]),
  );

/** What a device sends that holds all that stands. */
const echo = ({ playlists: held }: PlaylistsState): Entry[] =>
  [...held.values()].map(({ playlistId, order, orderedAt, items, ...playlist }) => ({
    playlist: { playlistId, ...playlist },
    items: [...items.values()],
    order: orderedAt === null ? undefined : { playlistId, items: order, orderedAt },
  }));

describe('playlists, whatever happened before', () => {
  it('any command sent again yields nothing', () => {
    fc.assert(
      fc.property(historyWithDrops, fc.oneof(accepted, dropping), (before, again) => {
        const listener = replay(playlists, before);
        listener.accept(again);
        // One that creates or changes what the same command deleted is refused, and that is no event either.
        expect(listener.accept(again) ?? []).toEqual([]);
      }),
    );
  });

  it('what a device was answered, sent back, yields nothing', () => {
    fc.assert(
      fc.property(historyWithDrops, (before) => {
        const listener = replay(playlists, before);
        expect(listener.accept(merge(echo(listener.state)))).toEqual([]);
      }),
    );
  });

  it('what an old device holds of what was dropped is no news, and what stands is not touched', () => {
    fc.assert(
      fc.property(historyWithDrops, dropping, (before, drop) => {
        const listener = replay(playlists, before);
        const known = echo(listener.state);
        const stood = standing(listener.state);
        listener.accept(drop);
        expect(listener.accept(merge(known))).toEqual([]);
        for (const [id, held] of listener.state.playlists) {
          const { items, ...before } = stood.get(id)!;
          if (held.deletedAt !== null) {
            expect(held).toMatchObject({ updatedAt: before.updatedAt, deletedAt: before.deletedAt });
            continue;
          }
          expect(standing(listener.state).get(id)).toMatchObject(before);
          expect([...held.items.keys()]).toEqual([...items.keys()]);
          for (const { revision: _, ...item } of standingItems(held)) expect(item).toEqual(items.get(item.id));
        }
      }),
    );
  });

  it('the order of devices does not matter, nor how they cut what they send', () => {
    const devices = entries.chain((sent) =>
      fc.record({
        sent: fc.constant(sent),
        shuffled: fc.shuffledSubarray(sent, { minLength: sent.length }),
        cuts: fc.array(fc.nat(sent.length)).map((cuts) => [...cuts.sort((a, b) => a - b), sent.length]),
      }),
    );
    fc.assert(
      fc.property(history, devices, (before, { sent, shuffled, cuts }) => {
        const atOnce = replay(playlists, [...before, merge(sent)]);
        const pieces = cuts.map((cut, index) => merge(shuffled.slice(cuts[index - 1] ?? 0, cut)));
        const inPieces = replay(playlists, [...before, ...pieces]);
        expect(standing(inPieces.state)).toEqual(standing(atOnce.state));
      }),
    );
  });

  it('of what stood and what is claimed, the greatest stands', () => {
    fc.assert(
      fc.property(history, entries, (before, sent) => {
        const listener = replay(playlists, before);
        const all = [...echo(listener.state), ...sent];
        listener.accept(merge(sent));
        expect([...listener.state.playlists.keys()].sort()).toEqual(
          [...new Set(all.map(({ playlist }) => playlist.playlistId))].sort(),
        );
        for (const held of listener.state.playlists.values()) {
          const ofPlaylist = all.filter(({ playlist }) => playlist.playlistId === held.playlistId);
          const greatest = ofPlaylist
            .map(({ playlist }) => playlist)
            .sort(comparePlaylists)
            .at(-1)!;
          expect(comparePlaylists(held, greatest)).toBe(0);
          const claims = ofPlaylist.flatMap(({ items }) => items);
          expect(held.items.size).toBe(new Set(claims.map(playlistItemId)).size);
          for (const of of held.items.values()) {
            const same = claims.filter((claim) => playlistItemId(claim) === of.id);
            expect(comparePlaylistItems(of, same.sort(comparePlaylistItems).at(-1)!)).toBe(0);
          }
        }
      }),
    );
  });

  it('what a listener did stands, and all that was claimed before does not undo it', () => {
    const seen = (listener: { state: PlaylistsState }) =>
      [...listener.state.playlists.values()].map((held) => [
        held.name,
        held.description,
        held.deletedAt,
        standingItems(held).map(({ id }) => id),
      ]);
    fc.assert(
      fc.property(history, accepted, (before, did) => {
        const listener = replay(playlists, before);
        const known = echo(listener.state);
        listener.accept(did);
        const after = seen(listener);
        listener.accept(merge(known));
        expect(seen(listener)).toEqual(after);
      }),
    );
  });

  it('what is asked for is so', () => {
    fc.assert(
      fc.property(history, playlistId, ids, time, (before, id, items, now) => {
        const listener = replay(playlists, before);
        const order = { command: { type: 'ReorderPlaylist', data: { playlistId: id, items, now } } as const, now };
        if (!listener.accept(order)) return;
        const stand = standingItems(listener.state.playlists.get(id)!).map((held) => held.id);
        expect(stand.filter((held) => items.includes(held))).toEqual(items.filter((held) => stand.includes(held)));
        expect(
          stand.slice(0, stand.filter((held) => items.includes(held)).length).every((held) => items.includes(held)),
        ).toBe(true);
      }),
    );
  });

  it('what a fold takes grows with what it holds, and depends on nothing else', () => {
    fc.assert(
      fc.property(historyWithDrops, (commands) => {
        const { events, state } = replay(playlists, commands);
        const size = ({ playlists: held }: PlaylistsState) =>
          [...held.values()].reduce((sum, { items }) => sum + 1 + items.size, 0);
        let folded = playlists.initialState();
        for (const event of events) {
          const [things, bytes] = [size(folded), playlists.bytes(folded)];
          folded = playlists.evolve(folded, event);
          if (size(folded) > things) expect(playlists.bytes(folded)).toBeGreaterThan(bytes);
        }
        const again = replay(playlists, [merge(echo(state))]);
        expect(playlists.bytes(again.state)).toBe(playlists.bytes(state));
      }),
    );
  });

  it('a handler holds what a fold of its events gives', async () => {
    await fc.assert(
      fc.asyncProperty(historyWithDrops, async (commands) => {
        const { held, folded } = await handled(playlists, usersEvents as unknown as Codec<PlaylistsEvent>, commands);
        expect(held).toEqual(folded);
        expect(held).toEqual(replay(playlists, commands).state);
      }),
    );
  });
});

describe('claims', () => {
  it('of a playlist are equal only when they are the same, and in one order', () => {
    fc.assert(
      fc.property(playlistClaim, playlistClaim, playlistClaim, (a, left, right) => {
        const [b, c] = [left, right].map((claim) => ({ ...claim, playlistId: a.playlistId })) as [typeof a, typeof a];
        const order = comparePlaylists(a, b);
        expect(comparePlaylists(b, a)).toBe(order === 0 ? 0 : -order);
        if (order === 0) expect(a).toEqual(b);
        if (order > 0 && comparePlaylists(b, c) > 0) expect(comparePlaylists(a, c)).toBe(1);
      }),
      { numRuns: 1_000 },
    );
  });

  it('of an item are equal only when they are the same, and in one order', () => {
    fc.assert(
      fc.property(itemClaim, itemClaim, itemClaim, (a, left, right) => {
        const same = { playlistId: a.playlistId, feed: a.feed };
        const [b, c] = [
          { ...left, ...same },
          { ...right, ...same },
        ];
        const order = comparePlaylistItems(a, b);
        expect(comparePlaylistItems(b, a)).toBe(order === 0 ? 0 : -order);
        if (order === 0) expect(a).toEqual(b);
        if (order > 0 && comparePlaylistItems(b, c) > 0) expect(comparePlaylistItems(a, c)).toBe(1);
      }),
      { numRuns: 1_000 },
    );
  });
});
