import { Refusal } from '@balados/event-sourcing';
import { episodeKey, splitItem } from '@balados/feeds-ids';
import { EPISODES_MAX } from '@balados/users-contracts';
import type { EpisodeActionName, EpisodeActionReported } from '@balados/users-contracts';
import { instant, rfc3339 } from './claims';
import type { PlayClaim } from './listening';

/** Of all that was ever reported of an episode, so many of the last reports are held. */
export const REPORTS_OF_EPISODE = 50;
/** From so many reports of a listener on, of an episode that is reported again the last one alone is held. */
export const REPORTS_KEPT = 100_000;

/** Of the last reports and plays of a listener at least so many are known by when we heard of them. */
export const RECENT_KEPT = 500;

/** What an app tells that was done with an episode. Times in epoch milliseconds, seconds as it says them, null where it says none. */
export interface EpisodeAction {
  feed: string;
  /** `<guid>,<enclosure>` */
  item: string;
  action: EpisodeActionName;
  device: string | null;
  at: number;
  started: number | null;
  position: number | null;
  total: number | null;
}

/** One that was reported, with the time at which we heard of it (our clock's, epoch milliseconds). */
export type ReportedAction = EpisodeAction & { recordedAt: number };

/** `now`: of our clock. Dates in the future are of that moment. */
export interface ReportActions {
  type: 'ReportActions';
  data: { actions: readonly EpisodeAction[]; now: number };
}

/** What makes two reports the same, sent again: all that they say. */
const saying = ({ feed, item, action, device, at, started, position, total }: EpisodeAction): string =>
  JSON.stringify([feed, item, action, device, at, started, position, total]);
const isSame = (one: EpisodeAction, other: EpisodeAction): boolean =>
  one.at === other.at &&
  one.position === other.position &&
  one.action === other.action &&
  one.feed === other.feed &&
  one.item === other.item &&
  one.device === other.device &&
  one.started === other.started &&
  one.total === other.total;

/**
 * Some apps name an episode by its enclosure alone: where a guid is known for it, it is that episode.
 * @param held whatever names episodes; the last to name an enclosure is right
 */
export function withKnownItems(
  actions: readonly EpisodeAction[],
  held: Iterable<{ feed: string; item: string }>,
): readonly EpisodeAction[] {
  if (actions.every(({ item }) => splitItem(item).guid !== '')) return actions;
  const items = new Map<string, string>();
  for (const { feed, item } of [...held, ...actions]) {
    const { guid, enclosure } = splitItem(item);
    if (guid !== '' && enclosure !== '') items.set(`${feed}\n${enclosure}`, item);
  }
  return actions.map((action) => {
    const { guid, enclosure } = splitItem(action.item);
    return guid === '' ? { ...action, item: items.get(`${action.feed}\n${enclosure}`) ?? action.item } : action;
  });
}

/**
 * Those that were not reported before.
 * @param held what is held, by episode key
 * @throws Refusal `library_full`
 */
export function newActions(
  actions: readonly EpisodeAction[],
  held: ReadonlyMap<string, readonly ReportedAction[]>,
): EpisodeAction[] {
  const said = new Set<string>();
  const fresh = new Set<string>();
  const news: EpisodeAction[] = [];
  for (const action of actions) {
    const key = episodeKey(action.item);
    const before = held.get(key);
    // Of one upload there may be many, of what is held of an episode there are few.
    if (before?.some((each) => isSame(each, action))) continue;
    const text = saying(action);
    if (said.has(text)) continue;
    said.add(text);
    if (!before) fresh.add(key);
    news.push(action);
  }
  if (fresh.size > 0 && held.size + fresh.size > EPISODES_MAX)
    throw new Refusal('library_full', `what apps tell is kept of ${EPISODES_MAX} episodes, and of no more`);
  return news;
}

export const reported = (action: EpisodeAction): EpisodeActionReported => ({
  type: 'EpisodeActionReported',
  data: { ...action, at: rfc3339(action.at) },
});

/**
 * Where an action says that the listener is: played as far as the end, somewhere on the way, or not heard at all any more. Undefined for
 * one that says nothing of it: a play without a place in the episode is kept, and moves nothing.
 */
export function claimOf({ feed, item, action, at, position, total }: EpisodeAction): PlayClaim | undefined {
  if (action === 'new') return { feed, item, position: 0, played: false, updatedAt: at };
  if (action !== 'play' || position === null || position <= 0) return undefined;
  return { feed, item, position, played: total !== null && total > 0 && position >= total, updatedAt: at };
}

/** That an episode is new again is no listen. */
export const isHeard = ({ position, played }: PlayClaim): boolean => position > 0 || played;

/** The reports of an item after one more; where there are too many, those of before go. */
export function withReport(
  held: readonly ReportedAction[],
  { data }: EpisodeActionReported,
  { recordedAt, isFull }: { recordedAt: number; isFull: boolean },
): { reports: ReportedAction[]; gone: readonly ReportedAction[] } {
  const gone = isFull
    ? held.filter(({ feed }) => feed === data.feed)
    : held.slice(0, Math.max(0, held.length - REPORTS_OF_EPISODE + 1));
  const kept = isFull ? held.filter(({ feed }) => feed !== data.feed) : held.slice(gone.length);
  return { reports: [...kept, { ...data, at: instant(data.at), recordedAt }], gone };
}

/** What a report takes in memory, beside the entry itself. */
export const bytesOfReport = ({ feed, item, device }: EpisodeAction): number =>
  REPORT_BYTES + feed.length + item.length + (device?.length ?? 0);

const REPORT_BYTES = 280;

/** An episode that was reported or played, by its key; and the latest time of receipt of that and of all that came before. */
export interface Recent {
  key: string;
  upTo: number;
}

/** Notes what came last, and forgets of the oldest. */
export function noteRecent(recent: Recent[], key: string, recordedAt: number): void {
  recent.push({ key, upTo: Math.max(recordedAt, recent.at(-1)?.upTo ?? -Infinity) });
  if (recent.length >= 2 * RECENT_KEPT) recent.splice(0, RECENT_KEPT);
}

/** Keys of the episodes of which we may have heard from a time on; undefined where that goes back further than is known. */
export function keysSince(recent: readonly Recent[], since: number): Set<string> | undefined {
  if (recent.length === 0 || recent[0]!.upTo >= since) return undefined;
  const first = recent.findLastIndex(({ upTo }) => upTo < since) + 1;
  return new Set(recent.slice(first).map(({ key }) => key));
}
