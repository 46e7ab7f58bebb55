import { Decider, Refusal } from '@balados/event-sourcing';
import { episodeKey } from '@balados/feeds-ids';
import { EPISODES_MAX, ListeningEvent } from '@balados/users-contracts';
import { compareBy, dated, instant, rfc3339, utcDay } from './claims';

/** What a device claims of one episode. Position in seconds, time in epoch milliseconds, item as `<guid>,<enclosure>`. */
export interface PlayClaim {
  feed: string;
  item: string;
  position: number;
  played: boolean;
  updatedAt: number;
}

/** The claim that stands, the revision of the event that set it, and the UTC day of the last listen (undefined: none yet). */
export type Play = PlayClaim & { revision: number; listenedOn: number | undefined };

export interface ListeningState {
  /** By episode key; rarely do two feeds share one. */
  episodes: Map<string, Play[]>;
  /** Each feed's URL once, however many episodes name it. */
  feeds: Map<string, string>;
  bytes: number;
}

export type ListeningCommand =
  | { type: 'RecordPlay'; data: { feed: string; item: string; position: number; played: boolean; now: number } }
  /** Without a feed the episode is looked up; without `played` that stays as it is. */
  | { type: 'UpdatePosition'; data: { feed?: string; item: string; position: number; played?: boolean; now: number } }
  | { type: 'MergePlays'; data: { claims: readonly PlayClaim[] } };

/** Newest wins; then the larger position; then played; then the greater item. */
export const comparePlays = compareBy<PlayClaim>(
  (claim) => claim.updatedAt,
  (claim) => claim.position,
  (claim) => claim.played,
  (claim) => claim.item,
);

/** An episode is one of a feed; without a feed, the first that is held of that item. */
export const findPlay = (state: ListeningState, feed: string | undefined, item: string): Play | undefined =>
  state.episodes.get(episodeKey(item))?.find((play) => feed === undefined || play.feed === feed);

/** @throws Refusal `episode_unknown`, or `episode_ambiguous` with `candidates`: the feeds that hold it */
function feedOf(state: ListeningState, item: string): string {
  const plays = state.episodes.get(episodeKey(item)) ?? [];
  if (plays.length === 0)
    throw new Refusal('episode_unknown', 'no podcast of this listener is known to hold this item: name its feed');
  if (plays.length > 1) {
    const candidates = plays.map((play) => play.feed);
    throw new Refusal('episode_ambiguous', 'several podcasts hold this item: name its feed', { candidates });
  }
  return plays[0]!.feed;
}

/** Of the same episode; another item is news, since it is answered as last sent. */
const standsAlready = (held: Play, said: Omit<PlayClaim, 'updatedAt'>): boolean =>
  held.item === said.item && held.position === said.position && held.played === said.played;

/** @throws Refusal `library_full` */
function assertRoom({ episodes }: ListeningState): void {
  if (episodes.size >= EPISODES_MAX)
    throw new Refusal('library_full', `${EPISODES_MAX} episodes are kept already, and no more can be`);
}

const stated = (type: ListeningEvent['type'], claim: PlayClaim): ListeningEvent => ({
  type,
  data: {
    feed: claim.feed,
    item: claim.item,
    position: claim.position,
    played: claim.played,
    updatedAt: rfc3339(claim.updatedAt),
  },
});

const ENTRY_BYTES = 350;

export const listening: Decider<ListeningCommand, ListeningState, ListeningEvent> = {
  category: 'listening',
  initialState: () => ({ episodes: new Map(), feeds: new Map(), bytes: 0 }),

  decide(command, state) {
    switch (command.type) {
      case 'RecordPlay': {
        const { now, ...said } = command.data;
        const held = findPlay(state, said.feed, said.item);
        const already = held && standsAlready(held, said);
        // The same place on another day is another listen.
        if (already && held.listenedOn !== undefined && held.listenedOn >= utcDay(now)) return [];
        if (!held) assertRoom(state);
        return [stated('PlayRecorded', { ...said, updatedAt: dated(now, held?.updatedAt) })];
      }
      case 'UpdatePosition': {
        const { now, item, position } = command.data;
        const feed = command.data.feed ?? feedOf(state, item);
        const held = findPlay(state, feed, item);
        const played = command.data.played ?? held?.played ?? false;
        const said = { feed, item, position, played };
        if (held && standsAlready(held, said)) return [];
        if (!held) assertRoom(state);
        return [stated('PositionUpdated', { ...said, updatedAt: dated(now, held?.updatedAt) })];
      }
      case 'MergePlays': {
        const newest = new Map<string, { claim: PlayClaim; known: boolean }>();
        let room = EPISODES_MAX - state.episodes.size;
        for (const claim of command.data.claims) {
          const held = findPlay(state, claim.feed, claim.item);
          // What does not beat what is held beats nothing newer either; of most claims nothing has changed.
          if (held && comparePlays(claim, held) <= 0) continue;
          const key = `${claim.feed}\n${episodeKey(claim.item)}`;
          const standing = newest.get(key)?.claim;
          // What finds no room is left out; the caller sees that it does not stand.
          if (!held && !standing && room-- <= 0) continue;
          if (!standing || comparePlays(claim, standing) > 0) newest.set(key, { claim, known: held !== undefined });
        }
        // The first sight of an episode is a listen; what follows says where the listener is.
        return [...newest.values()].map(({ claim, known }) =>
          stated(known ? 'PositionUpdated' : 'PlayRecorded', claim),
        );
      }
    }
  },

  evolve(state, { type, data, revision, metadata }) {
    const key = episodeKey(data.item);
    let feed = state.feeds.get(data.feed);
    if (feed === undefined) {
      feed = data.feed;
      state.feeds.set(feed, feed);
      state.bytes += feed.length;
    }
    const plays = state.episodes.get(key) ?? [];
    const index = plays.findIndex((play) => play.feed === feed);
    const held = plays[index];
    const play: Play = {
      feed,
      item: data.item,
      position: data.position,
      played: data.played,
      updatedAt: instant(data.updatedAt),
      revision,
      listenedOn: type === 'PlayRecorded' ? utcDay(instant(metadata.recordedAt)) : held?.listenedOn,
    };
    if (held) {
      plays[index] = play;
      state.bytes += play.item.length - held.item.length;
    } else {
      plays.push(play);
      if (plays.length === 1) state.episodes.set(key, plays);
      state.bytes += ENTRY_BYTES + play.item.length;
    }
    return state;
  },

  bytes: (state) => state.bytes,
};

/** Every play of a listener, in no particular order. */
export function* allPlays(state: ListeningState): Generator<Play> {
  for (const plays of state.episodes.values()) yield* plays;
}
