import { Refusal } from '@balados/event-sourcing';
import { episodeKey, splitItem } from '@balados/feeds-ids';
import { EPISODES_MAX } from '@balados/users-contracts';
import type { EpisodeActionName, EpisodeActionReported } from '@balados/users-contracts';
import { instant, rfc3339 } from './claims';
import type { PlayClaim } from './listening';

/** Of an episode, a device and a kind of action, those that are held of all that were ever reported: the last ones. */
export const ACTIONS_KEPT = 100;

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
 * Those that were not reported before, with dates that are not in the future.
 * @param held what is held, by episode key
 * @param isGone whether an action is of what was erased
 * @throws Refusal `library_full`
 */
export function newActions(
  { actions, now }: ReportActions['data'],
  held: ReadonlyMap<string, readonly ReportedAction[]>,
  isGone: (action: EpisodeAction) => boolean,
): EpisodeAction[] {
  const known = new Set<string>();
  const episodes = new Set<string>();
  const news: EpisodeAction[] = [];
  for (const said of actions) {
    const action = { ...said, at: Math.min(said.at, now) };
    const key = episodeKey(action.item);
    if (!episodes.has(key)) for (const each of held.get(key) ?? []) known.add(saying(each));
    episodes.add(key);
    if (known.has(saying(action)) || isGone(action)) continue;
    known.add(saying(action));
    news.push(action);
  }
  const fresh = new Set(news.map(({ item }) => episodeKey(item)).filter((key) => !held.has(key)));
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

/** The reports of an episode after one more: of its device and kind the last ones stay. */
export function withReport(
  held: readonly ReportedAction[],
  { data }: EpisodeActionReported,
  { feed, recordedAt }: { feed: string; recordedAt: number },
): ReportedAction[] {
  const report: ReportedAction = { ...data, feed, at: instant(data.at), recordedAt };
  const isLike = (each: ReportedAction): boolean =>
    each.feed === feed && each.action === report.action && each.device === report.device;
  const alike = held.filter(isLike);
  const oldest = alike.length >= ACTIONS_KEPT ? alike[0] : undefined;
  return [...held.filter((each) => each !== oldest), report];
}
