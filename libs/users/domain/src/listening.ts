import { Decider, Refusal } from '@balados/event-sourcing';
import { episodeKey, splitItem } from '@balados/feeds-ids';
import {
  concerns,
  EPISODES_MAX,
  ErasureTarget,
  HistoryErased,
  isWhole,
  ITEM_FEEDS_MAX,
  ListeningEvent,
  PlayEvent,
} from '@balados/users-contracts';
import {
  bytesOfReport,
  claimOf,
  isHeard,
  newActions,
  noteRecent,
  Recent,
  ReportActions,
  reported,
  ReportedAction,
  REPORTS_KEPT,
  withKnownItems,
  withReport,
} from './actions';
import { compareBy, dated, instant, rfc3339, utcDay } from './claims';
import {
  concerned,
  decideErasure,
  erasedBy,
  erasedOf,
  EraseHistory,
  Erasures,
  floorOf,
  isErased,
  latestOf,
  NOTHING_ERASED,
} from './erasure';
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

/**
 * The claim that stands, revision and time of receipt (our clock's, epoch milliseconds) of the event that set it, and the UTC day of the
 * last listen (undefined: none yet).
 */
export type Play = PlayClaim & { revision: number; recordedAt: number; listenedOn: number | undefined };

export interface ListeningState {
  /** By episode key; rarely do two feeds share one. */
  episodes: Map<string, Play[]>;
  /** By episode key as well. What is unsaved stays. A mark is no play: what is only marked has no position. */
  marks: Map<string, Mark[]>;
  /** By episode key: what apps reported, in the order in which we heard of it; and how many that are. */
  reports: Map<string, ReportedAction[]>;
  reported: number;
  /** The last of them and of the plays, in the order in which we heard of them. */
  recent: Recent[];
  /** Each feed's URL once, however many episodes name it. */
  feeds: Map<string, string>;
  erasures: Erasures;
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
export type ListeningCommand = PlayCommand | RecordListen | MarkCommand | ReportActions | EraseHistory;

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

/**
 * Of an episode that is named by its enclosure alone: the item that it is known as, with its guid where one is known (the last to name an
 * enclosure is right), and the items of that enclosure that are saved.
 */
export function itemsOfEnclosure(
  state: ListeningState,
  feed: string,
  enclosure: string,
): { item: string; saved: string[] } {
  const isMeant = (entry: { feed: string; item: string }): boolean =>
    entry.feed === feed && splitItem(entry.item).enclosure === enclosure;
  let known = `,${enclosure}`;
  for (const named of allNamed(state)) if (isMeant(named) && splitItem(named.item).guid !== '') known = named.item;
  const saved = [...allMarks(state)].filter((mark) => mark.savedAt !== null && isMeant(mark));
  return { item: known, saved: saved.map(({ item }) => item) };
}

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

/** What is new of these claims, each episode's newest. */
function merged(
  state: ListeningState,
  claims: readonly PlayClaim[],
  isListen: (claim: PlayClaim) => boolean = () => true,
): PlayEvent[] {
  const newest = new Map<string, { claim: PlayClaim; known: boolean }>();
  let room = EPISODES_MAX - state.entries;
  for (const claim of claims) {
    const held = findPlay(state, claim.feed, claim.item);
    // What does not beat what is held beats nothing newer either; of most claims nothing has changed.
    if (held && comparePlays(claim, held) <= 0) continue;
    if (isErased(claim.updatedAt, floorOf(state.erasures, claim))) continue;
    const key = `${claim.feed}\n${episodeKey(claim.item)}`;
    const standing = newest.get(key)?.claim;
    // What finds no room is left out; the caller sees that it does not stand.
    if (!held && !standing && (isCrowded(state, episodeKey(claim.item)) || room-- <= 0)) continue;
    if (!standing || comparePlays(claim, standing) > 0)
      newest.set(key, { claim, known: held !== undefined && isListen(held) });
  }
  // The first sight of an episode is a listen; what follows says where the listener is.
  return [...newest.values()].map(({ claim, known }) =>
    stated(known || !isListen(claim) ? 'PositionUpdated' : 'PlayRecorded', claim),
  );
}

/** The last day, also when a listen of an earlier one was long on its way. */
const listenedOn = (held: Play | undefined, recordedAt: number): number =>
  Math.max(held?.listenedOn ?? -Infinity, utcDay(recordedAt));

const ENTRY_BYTES = 393;

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

/** Takes out what an erasure concerns, and the feeds that nothing else names. */
function remove(state: ListeningState, target: ErasureTarget): void {
  const isGone = (entry: Play | Mark): boolean => concerns(target, entry);
  const feeds = new Set<string>();
  for (const entries of [state.episodes, state.marks] as Map<string, (Play | Mark)[]>[])
    for (const [key, ofItem] of entries) {
      if (!ofItem.some(isGone)) continue;
      const left = ofItem.filter((entry) => !isGone(entry));
      for (const { feed, item } of ofItem.filter(isGone)) {
        feeds.add(feed);
        state.bytes -= ENTRY_BYTES + item.length;
      }
      state.entries -= ofItem.length - left.length;
      if (left.length > 0) entries.set(key, left);
      else entries.delete(key);
    }
  for (const [key, reports] of state.reports) {
    const left = reports.filter((report) => !concerns(target, report));
    for (const report of reports) if (!left.includes(report)) state.bytes -= bytesOfReport(report);
    state.reported -= reports.length - left.length;
    if (left.length === 0) state.reports.delete(key);
    else if (left.length < reports.length) state.reports.set(key, left);
  }
  // Nor is it known any more that there was something.
  state.recent = state.recent.filter(({ key }) => state.episodes.has(key) || state.reports.has(key));
  if (feeds.size === 0) return;
  for (const { feed } of [...allPlays(state), ...allMarks(state)]) feeds.delete(feed);
  for (const feed of feeds) {
    state.feeds.delete(feed);
    state.bytes -= feed.length;
  }
}

export const listening: Decider<ListeningCommand, ListeningState, ListeningEvent | HistoryErased> = {
  category: 'listening',
  initialState: () => ({
    episodes: new Map(),
    marks: new Map(),
    reports: new Map(),
    reported: 0,
    recent: [],
    feeds: new Map(),
    erasures: NOTHING_ERASED,
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
        return [
          stated('PlayRecorded', { ...said, updatedAt: dated(now, held?.updatedAt ?? floorOf(state.erasures, said)) }),
        ];
      }
      case 'UpdatePosition': {
        const { now, item, position } = command.data;
        const feed = command.data.feed ?? feedOf(state, item);
        const held = findPlay(state, feed, item);
        const played = command.data.played ?? held?.played ?? false;
        const said = { feed, item, position, played };
        if (held && standsAlready(held, said)) return [];
        if (!held) assertRoom(state, item);
        return [
          stated('PositionUpdated', {
            ...said,
            updatedAt: dated(now, held?.updatedAt ?? floorOf(state.erasures, said)),
          }),
        ];
      }
      case 'MergePlays':
        return merged(state, command.data.claims);
      case 'ReportActions': {
        const actions = withKnownItems(command.data.actions, allNamed(state))
          .map((action) => ({ ...action, at: Math.min(action.at, command.data.now) }))
          .filter((action) => !isErased(action.at, floorOf(state.erasures, action)));
        const news = newActions(actions, state.reports);
        // Of all, not of the news alone: an upload that broke off between two appends is sent again.
        const claims = actions.flatMap((action) => claimOf(action) ?? []);
        for (const { feed, item } of claims) if (!findPlay(state, feed, item)) assertRoom(state, item);
        return [...news.map(reported), ...merged(state, claims, isHeard)];
      }
      case 'RecordListen': {
        const { feed, item } = command.data;
        const held = findPlay(state, feed, item);
        const listens = decideListen(command.data, held, erasedOf(state.erasures, { feed, item }));
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
        const played = latestOf(concerned(command.data, allPlays(state)), ({ updatedAt }) => updatedAt);
        const marked = latestOf(concerned(command.data, allMarks(state)), markedAt);
        const reportedAt = latestOf(concerned(command.data, allReports(state)), ({ at }) => at);
        return decideErasure(command, state.erasures, Math.max(played, marked, reportedAt));
      }
    }
  },

  evolve(state, event) {
    if (event.type === 'HistoryErased') {
      const erasures = erasedBy(event, state.erasures);
      if (isWhole(event.data)) return { ...listening.initialState(), erasures };
      remove(state, event.data);
      return { ...state, erasures };
    }
    const { data, revision, metadata } = event;
    const key = episodeKey(data.item);
    if (event.type === 'EpisodeActionReported') {
      const held = state.reports.get(key) ?? [];
      const isFull = state.reported >= REPORTS_KEPT;
      const { reports, gone } = withReport(held, event, { recordedAt: instant(metadata.recordedAt), isFull });
      state.reports.set(key, reports);
      state.reported += 1 - gone.length;
      for (const report of gone) state.bytes -= bytesOfReport(report);
      state.bytes += bytesOfReport(reports.at(-1)!);
      noteRecent(state.recent, key, reports.at(-1)!.recordedAt);
      return state;
    }
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
        noteRecent(state.recent, key, instant(metadata.recordedAt));
        put(state, state.episodes, key, held, {
          feed,
          item,
          position,
          played,
          updatedAt: instant(updatedAt),
          revision,
          recordedAt: instant(metadata.recordedAt),
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

/** Whatever names an episode; what apps reported comes last. */
function* allNamed(state: ListeningState): Generator<{ feed: string; item: string }> {
  yield* allPlays(state);
  yield* allMarks(state);
  yield* allReports(state);
}

/** What apps reported of any episode, of each in the order in which we heard of it. */
export function* allReports(state: ListeningState): Generator<ReportedAction> {
  for (const reports of state.reports.values()) yield* reports;
}
