import { EventMetadata, Refusal, StoredEvent, streamOf } from '@balados/event-sourcing';
import { Sql } from '@balados/platform-stores';
import { NO_CONTENT, partOf, PRIVACIES, usersEvents, WHOLE_HISTORY } from '@balados/users-contracts';
import {
  allPlays,
  isDeleted,
  isSubscribed,
  listening,
  ListeningState,
  playlists,
  PlaylistsState,
  privacy,
  subscriptions,
  SubscriptionsState,
} from '@balados/users-domain';
import fc from 'fast-check';

export const LISTENERS = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'];
const PLAYLISTS = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'];
const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

export const DECIDERS = { subscriptions, listening, playlists, privacy };
export type Category = keyof typeof DECIDERS;
/** A decider's command, and how many hours ago it happened. */
export interface Said {
  category: Category;
  type: string;
  data: Record<string, unknown> & { lateHours?: number };
}

// Few values, so that they meet.
const feed = fc.constantFrom('https://feeds.example/a', 'https://feeds.example/b');
const item = fc.constantFrom('g,https://m.example/1', 'g,https://n.example/1', ',https://m.example/2');
const playlistId = fc.constantFrom(...PLAYLISTS);
const position = fc.constantFrom(0, 1.5);
const nothing = fc.constant(null);
const title = fc.constantFrom(null, 'a title');
const said = (category: Category, type: string, data: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Said> =>
  fc.record(data).map((drawn) => ({ category, type, data: drawn }));

const commands = {
  library: [
    said('subscriptions', 'Subscribe', { feed, sourceId: fc.constantFrom(null, '7') }),
    said('subscriptions', 'Unsubscribe', { feed }),
    ...Array.from({ length: 6 }, () => said('listening', 'RecordPlay', { feed, item, position, played: fc.boolean() })),
    said('listening', 'RecordListen', { feed, item, lateHours: fc.constantFrom(0, 5, 30) }),
    said('listening', 'UpdatePosition', { feed, item, position }),
    said('listening', 'SaveEpisode', { feed, item }),
    said('listening', 'UnsaveEpisode', { feed, item }),
    said('listening', 'ShareEpisode', { feed, item }),
    said('privacy', 'ChangePrivacy', { feed: fc.option(feed), item: nothing, privacy: fc.constantFrom(...PRIVACIES) }),
    said('privacy', 'ResetPrivacy', { feed: fc.option(feed), item: nothing }),
  ],
  // What ends, and begins anew.
  ends: [
    said('subscriptions', 'Subscribe', { feed, sourceId: fc.constantFrom(null, '7') }),
    said('subscriptions', 'Unsubscribe', { feed }),
    said('playlists', 'CreatePlaylist', { playlistId, name: fc.constantFrom('x', 'y'), description: title }),
    said('playlists', 'CreatePlaylist', { playlistId, name: fc.constantFrom('x', 'y'), description: title }),
    said('playlists', 'ChangePlaylist', { playlistId, name: fc.constantFrom('x', 'z') }),
    said('playlists', 'DeletePlaylist', { playlistId }),
    ...Array.from({ length: 3 }, () =>
      said('playlists', 'AddPlaylistItem', { playlistId, feed, item, itemTitle: title, feedTitle: nothing }),
    ),
  ],
};
const target = fc.oneof(
  { weight: 1, arbitrary: fc.constant(WHOLE_HISTORY) },
  { weight: 3, arbitrary: fc.tuple(feed, fc.option(item)).map(([of, one]) => partOf(of, one)) },
);
/** `hours`: mostly of the same few days; otherwise of weeks. */
const stepOf = (theme: keyof typeof commands, hours: boolean) =>
  fc.record({
    listener: fc.constantFrom(...LISTENERS),
    later: hours
      ? fc.constantFrom(0, HOUR_MS, HOUR_MS, 2 * HOUR_MS, 5 * HOUR_MS, 9 * DAY_MS)
      : fc.constantFrom(0, HOUR_MS, 2 * DAY_MS, 5 * DAY_MS, 12 * DAY_MS),
    does: fc.oneof(
      { weight: 12, arbitrary: fc.oneof(...commands[theme]) },
      // What is at a place of a playlist is known only then.
      { weight: theme === 'ends' ? 4 : 0, arbitrary: fc.record({ playlistId, removes: fc.nat(1) }) },
      { weight: theme === 'ends' ? 1 : 0, arbitrary: fc.record({ playlistId, reverses: fc.constant(true) }) },
      // A tablet that holds what stands now, and one that tells what it held: as it was, or that it stands again, playlists full or empty.
      { weight: 3, arbitrary: fc.constant({ tablet: 'holds' as const }) },
      {
        weight: 2,
        arbitrary: fc.record({ tablet: fc.constantFrom('tells' as const, 'revives' as const, 'empties' as const) }),
      },
      { weight: 1, arbitrary: fc.record({ erases: target }) },
      // `late`: projectors are when it is done.
      { weight: 5, arbitrary: fc.record({ jobs: fc.constant(true), late: fc.boolean() }) },
    ),
  });
export type Step = ReturnType<typeof stepOf> extends fc.Arbitrary<infer Value> ? Value : never;
export const someSteps: fc.Arbitrary<Step[]> = fc
  .tuple(fc.constantFrom('library' as const, 'ends' as const), fc.boolean())
  .chain(([theme, hours]) =>
    fc.array(stepOf(theme, theme === 'library' && hours), { minLength: 30, maxLength: 80, size: 'max' }),
  );

type States = { subscriptions: SubscriptionsState; listening: ListeningState; playlists: PlaylistsState };

/**
 * Listeners without any job: deciders, and all events that they ever made. `drop` is what a checkpoint drops, and nothing else: said once
 * more, by what a listener would call it.
 */
export class WithoutJobs {
  readonly log: StoredEvent[] = [];
  private readonly states = new Map<string, unknown>();
  private readonly tablets = new Map<string, Said[]>();

  state<Of extends Category>(category: Of, listener: string): Of extends keyof States ? States[Of] : unknown {
    return (this.states.get(streamOf(category, listener)) ?? DECIDERS[category].initialState()) as never;
  }

  accept(listener: string, { category, type, data }: Said, metadata: EventMetadata): void {
    const decider = DECIDERS[category];
    const stream = streamOf(category, listener);
    let state = this.state(category, listener);
    let events: readonly { type: string; data: object }[] = [];
    try {
      events = decider.decide({ type, data } as never, state as never);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
    for (const event of events) {
      const revision = this.log.filter((stored) => stored.stream === stream).length;
      state = decider.evolve(state as never, { ...event, revision, metadata } as never);
      const place = { stream, revision, position: BigInt(this.log.length + 1) };
      this.log.push({ ...usersEvents.encode(event as never, metadata, `${stream} ${revision}`), ...place });
    }
    this.states.set(stream, state);
  }

  hold(listener: string): void {
    const { feeds } = this.state('subscriptions', listener);
    const held = [...this.state('playlists', listener).playlists.values()];
    const orders = held.flatMap(({ playlistId, order: items, orderedAt }) =>
      orderedAt === null ? [] : [{ playlistId, items, orderedAt }],
    );
    this.tablets.set(listener, [
      { category: 'subscriptions', type: 'MergeSubscriptions', data: { claims: [...feeds.values()] } },
      {
        category: 'listening',
        type: 'MergePlays',
        data: { claims: [...allPlays(this.state('listening', listener))].map((play) => ({ ...play })) },
      },
      {
        category: 'playlists',
        type: 'MergePlaylists',
        data: {
          playlists: held.map(({ items: _, ...playlist }) => playlist),
          items: held.flatMap(({ items }) => [...items.values()]),
          orders,
        },
      },
    ]);
  }

  /** What the listener's tablet says; without the revisions that no device knows. */
  told(listener: string, now: number, how: 'tells' | 'revives' | 'empties'): Said[] {
    const revives = how !== 'tells';
    const claims = JSON.parse(JSON.stringify(this.tablets.get(listener) ?? []), (key, value) => {
      if (how === 'empties' && (key === 'items' || key === 'orders')) return [];
      if (revives && (key === 'updatedAt' || key === 'subscribedAt' || key === 'orderedAt')) return now;
      if (revives && (key === 'deletedAt' || key === 'unsubscribedAt')) return null;
      return key === 'revision' || key === 'orderRevision' ? undefined : value;
    });
    return claims as Said[];
  }

  /** Of what ended before that (epoch milliseconds, as recorded) key and dates stay; in the rows of `sql`, too. */
  async drop(sql: Sql, endedBefore: number): Promise<void> {
    for (const listener of LISTENERS) {
      const recordedAt = new Map(
        this.log.map(({ stream, revision, metadata }) => [
          `${stream} ${revision}`,
          Date.parse((metadata as EventMetadata).recordedAt),
        ]),
      );
      const isOld = (category: Category, { revision }: { revision: number }): boolean =>
        recordedAt.get(`${streamOf(category, listener)} ${revision}`)! < endedBefore;
      const ofPodcasts = this.state('subscriptions', listener);
      const ofPlaylists = this.state('playlists', listener);
      for (const held of [...ofPodcasts.feeds.values()]) {
        if (isSubscribed(held) || !isOld('subscriptions', held)) continue;
        ofPodcasts.feeds.set(held.feed, { ...held, ...NO_CONTENT.subscription });
        ofPodcasts.dropped = Math.max(ofPodcasts.dropped, held.revision);
        await sql.query('UPDATE users.subscriptions SET source_id = NULL WHERE user_id = $1 AND feed = $2', [
          listener,
          held.feed,
        ]);
      }
      for (const held of [...ofPlaylists.playlists.values()]) {
        const { playlistId, items } = held;
        if (isDeleted(held) && isOld('playlists', held)) {
          const nothing = { ...NO_CONTENT.playlist, order: [], orderedAt: null, items: new Map() };
          ofPlaylists.playlists.set(playlistId, { ...held, ...nothing });
          ofPlaylists.itemCount -= items.size;
          ofPlaylists.dropped = Math.max(ofPlaylists.dropped, held.revision);
          const whose = [listener, playlistId];
          await sql.query('DELETE FROM users.playlist_items WHERE user_id = $1 AND playlist_id = $2', whose);
          await sql.query(
            `UPDATE users.playlists SET name = '', description = NULL, item_order = '{}', ordered_at = NULL
             WHERE user_id = $1 AND playlist_id = $2`,
            whose,
          );
          continue;
        }
        for (const one of [...items.values()]) {
          if (!isDeleted(one) || !isOld('playlists', one)) continue;
          items.set(one.id, { ...one, ...NO_CONTENT.playlistItem });
          ofPlaylists.dropped = Math.max(ofPlaylists.dropped, one.revision);
          await sql.query(
            `UPDATE users.playlist_items SET item_title = NULL, feed_title = NULL
             WHERE user_id = $1 AND playlist_id = $2 AND item_id = $3`,
            [listener, playlistId, one.id],
          );
        }
      }
      this.states.set(streamOf('subscriptions', listener), ofPodcasts);
      this.states.set(streamOf('playlists', listener), ofPlaylists);
    }
  }
}

const ORDERS_OF_ARRIVAL = ['revision', 'orderRevision', 'dropped', 'bytes', 'recent'];

/** A state as anybody can see it: without what says only how many events came before, and which of several things first. */
export const seen = (state: unknown): unknown =>
  JSON.parse(
    JSON.stringify(state, (_, value) => (value instanceof Map ? Object.fromEntries(value) : value)),
    (key, value) => {
      if (ORDERS_OF_ARRIVAL.includes(key) && (typeof value === 'number' || Array.isArray(value))) return undefined;
      const isOfEntries = Array.isArray(value) && typeof value[0] === 'object';
      return isOfEntries ? value.sort((one, other) => (one.feed < other.feed ? -1 : 1)) : value;
    },
  );
