import { Decider, Refusal } from '@balados/event-sourcing';
import { episodeKey } from '@balados/feeds-ids';
import { EPISODES_MAX, HistoryErased, ITEM_FEEDS_MAX, ListeningEvent, PlayEvent } from '@balados/users-contracts';
import { compareBy, dated, instant, rfc3339, utcDay } from './claims';
import { decideErasure, Erased, erasedBy, EraseHistory, isErased, latestOf } from './erasure';
import { decideListen, RecordListen } from './listens';
import { decideMark, evolveMark, Mark, MarkCommand, markedAt } from './marks';

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
  /** By episode key as well. What is unsaved stays. A mark is no play: what is only marked has no position. */
  marks: Map<string, Mark[]>;
  /** Each feed's URL once, however many episodes name it. */
  feeds: Map<string, string>;
  erased: Erased | undefined;
  /** Plays and marks together. */
  entries: number;
  bytes: number;
}

export type PlayCommand =
  | { type: 'RecordPlay'; data: { feed: string; item: string; position: number; played: boolean; now: number } }
  /** Without a feed the episode is looked up; without `played` that stays as it is. */
  | { type: 'UpdatePosition'; data: { feed?: string; item: string; position: number; played?: boolean; now: number } }
  /** Claims of what was erased are dropped. */
  | { type: 'MergePlays'; data: { claims: readonly PlayClaim[] } };
export type ListeningCommand = PlayCommand | RecordListen | MarkCommand | EraseHistory;

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

/** What is noted of a feed's item, if anything ever was. */
export const findMark = (state: ListeningState, feed: string, item: string): Mark | undefined =>
  state.marks.get(episodeKey(item))?.find((mark) => mark.feed === feed);

/** The podcasts of which this item was ever played, saved or shared. */
export function feedsOf(state: ListeningState, item: string): string[] {
  const key = episodeKey(item);
  const held = [...(state.episodes.get(key) ?? []), ...(state.marks.get(key) ?? [])];
  return [...new Set(held.map(({ feed }) => feed))];
}

/**
 * The one podcast that is known to hold an item.
 * @throws Refusal `episode_unknown`, or `episode_ambiguous` with `candidates`: the feeds that hold it
 */
export function onlyFeed(candidates: readonly string[]): string {
  if (candidates.length === 0)
    throw new Refusal('episode_unknown', 'no podcast of this listener is known to hold this item: name its feed');
  if (candidates.length > 1)
    throw new Refusal('episode_ambiguous', 'several podcasts hold this item: name its feed', { candidates });
  return candidates[0]!;
}

/** The one podcast of which this item was ever played, saved or shared. @throws Refusal as `onlyFeed` does */
export const feedOf = (state: ListeningState, item: string): string => onlyFeed(feedsOf(state, item));

/** Of the same episode; another item is news, since it is answered as last sent. */
const standsAlready = (held: Play, said: Omit<PlayClaim, 'updatedAt'>): boolean =>
  held.item === said.item && held.position === said.position && held.played === said.played;

/** Those that share an item are looked through one by one. */
const isCrowded = ({ episodes, marks }: ListeningState, key: string): boolean =>
  (episodes.get(key)?.length ?? 0) >= ITEM_FEEDS_MAX || (marks.get(key)?.length ?? 0) >= ITEM_FEEDS_MAX;

/** Whether there is room for one more, whichever it is: then whatever was claimed before has found some. */
export const hasRoom = ({ entries, feeds }: ListeningState): boolean =>
  entries < EPISODES_MAX && feeds.size < ITEM_FEEDS_MAX;

/** @throws Refusal `library_full` */
function assertRoom(state: ListeningState, item: string): void {
  if (isCrowded(state, episodeKey(item)))
    throw new Refusal('library_full', `${ITEM_FEEDS_MAX} podcasts are kept already that hold this item`);
  if (state.entries >= EPISODES_MAX)
    throw new Refusal('library_full', `${EPISODES_MAX} episodes are kept already, and no more can be`);
}

const stated = (type: PlayEvent['type'], claim: PlayClaim): PlayEvent => ({
  type,
  data: {
    feed: claim.feed,
    item: claim.item,
    position: claim.position,
    played: claim.played,
    updatedAt: rfc3339(claim.updatedAt),
  },
});

/** The last day, also when a listen of an earlier one was long on its way. */
const listenedOn = (held: Play | undefined, recordedAt: number): number =>
  Math.max(held?.listenedOn ?? -Infinity, utcDay(recordedAt));

const ENTRY_BYTES = 385;

/** Puts an entry in the place of the one that is held of its episode, and counts its bytes. */
function put<Entry extends Play | Mark>(
  state: ListeningState,
  entries: Map<string, Entry[]>,
  key: string,
  held: Entry | undefined,
  entry: Entry,
): void {
  const ofItem = entries.get(key) ?? [];
  if (held) {
    ofItem[ofItem.indexOf(held)] = entry;
    state.bytes += entry.item.length - held.item.length;
    return;
  }
  ofItem.push(entry);
  state.entries += 1;
  if (ofItem.length === 1) entries.set(key, ofItem);
  state.bytes += ENTRY_BYTES + entry.item.length;
}

export const listening: Decider<ListeningCommand, ListeningState, ListeningEvent | HistoryErased> = {
  category: 'listening',
  initialState: () => ({
    episodes: new Map(),
    marks: new Map(),
    feeds: new Map(),
    erased: undefined,
    entries: 0,
    bytes: 0,
  }),

  decide(command, state) {
    switch (command.type) {
      case 'RecordPlay': {
        const { now, ...said } = command.data;
        const held = findPlay(state, said.feed, said.item);
        const already = held && standsAlready(held, said);
        // The same place on another day is another listen.
        if (already && held.listenedOn !== undefined && held.listenedOn >= utcDay(now)) return [];
        if (!held) assertRoom(state, said.item);
        return [stated('PlayRecorded', { ...said, updatedAt: dated(now, held?.updatedAt ?? state.erased?.floor) })];
      }
      case 'UpdatePosition': {
        const { now, item, position } = command.data;
        const feed = command.data.feed ?? feedOf(state, item);
        const held = findPlay(state, feed, item);
        const played = command.data.played ?? held?.played ?? false;
        const said = { feed, item, position, played };
        if (held && standsAlready(held, said)) return [];
        if (!held) assertRoom(state, item);
        return [stated('PositionUpdated', { ...said, updatedAt: dated(now, held?.updatedAt ?? state.erased?.floor) })];
      }
      case 'MergePlays': {
        const newest = new Map<string, { claim: PlayClaim; known: boolean }>();
        let room = EPISODES_MAX - state.entries;
        for (const claim of command.data.claims) {
          if (isErased(claim.updatedAt, state.erased)) continue;
          const held = findPlay(state, claim.feed, claim.item);
          // What does not beat what is held beats nothing newer either; of most claims nothing has changed.
          if (held && comparePlays(claim, held) <= 0) continue;
          const key = `${claim.feed}\n${episodeKey(claim.item)}`;
          const standing = newest.get(key)?.claim;
          // What finds no room is left out; the caller sees that it does not stand.
          if (!held && !standing && (isCrowded(state, episodeKey(claim.item)) || room-- <= 0)) continue;
          if (!standing || comparePlays(claim, standing) > 0) newest.set(key, { claim, known: held !== undefined });
        }
        // The first sight of an episode is a listen; what follows says where the listener is.
        return [...newest.values()].map(({ claim, known }) =>
          stated(known ? 'PositionUpdated' : 'PlayRecorded', claim),
        );
      }
      case 'RecordListen': {
        const { feed, item } = command.data;
        const held = findPlay(state, feed, item);
        const listens = decideListen(command.data, held, state.erased);
        if (!held && listens.length > 0) assertRoom(state, item);
        return listens;
      }
      case 'SaveEpisode':
      case 'UnsaveEpisode':
      case 'ShareEpisode': {
        const feed = command.data.feed ?? feedOf(state, command.data.item);
        const held = findMark(state, feed, command.data.item);
        if (!held && command.type !== 'UnsaveEpisode') assertRoom(state, command.data.item);
        return decideMark(command, feed, held);
      }
      case 'EraseHistory': {
        const played = latestOf(allPlays(state), ({ updatedAt }) => updatedAt);
        return decideErasure(command, state.erased, Math.max(played, latestOf(allMarks(state), markedAt)));
      }
    }
  },

  evolve(state, event) {
    if (event.type === 'HistoryErased') return { ...listening.initialState(), erased: erasedBy(event) };
    const { data, revision, metadata } = event;
    const key = episodeKey(data.item);
    let feed = state.feeds.get(data.feed);
    if (feed === undefined) {
      feed = data.feed;
      state.feeds.set(feed, feed);
      state.bytes += feed.length;
    }
    const ofFeed = (entry: Play | Mark): boolean => entry.feed === feed;
    switch (event.type) {
      case 'PlayRecorded':
      case 'PositionUpdated': {
        const held = state.episodes.get(key)?.find(ofFeed);
        const { item, position, played, updatedAt } = event.data;
        put(state, state.episodes, key, held, {
          feed,
          item,
          position,
          played,
          updatedAt: instant(updatedAt),
          revision,
          listenedOn: event.type === 'PlayRecorded' ? listenedOn(held, instant(metadata.recordedAt)) : held?.listenedOn,
        });
        return state;
      }
      case 'EpisodeSaved':
      case 'EpisodeUnsaved':
      case 'EpisodeShared': {
        const held = state.marks.get(key)?.find(ofFeed);
        put(state, state.marks, key, held, evolveMark(held, feed, event));
        return state;
      }
    }
  },

  bytes: (state) => state.bytes,
};

/** Every play of a listener, in no particular order. */
export function* allPlays(state: ListeningState): Generator<Play> {
  for (const plays of state.episodes.values()) yield* plays;
}

/** What is noted of any episode, unsaved ones included, in no particular order. */
export function* allMarks(state: ListeningState): Generator<Mark> {
  for (const marks of state.marks.values()) yield* marks;
}
