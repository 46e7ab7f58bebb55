import { canonicalItem, InvalidId, splitItem } from '@balados/feeds-ids';
import { EPISODE_ACTIONS, plainText, POSITION_MAX_SECONDS, TEXT_MAX_LENGTH } from '@balados/users-contracts';
import type { EpisodeAction } from '@balados/users-domain';
import { UNKNOWN_REST_SECONDS } from '@balados/users-read';
import { z } from 'zod';
import type { FeedsOfApp } from './feeds-of-app';
import { feedOf, isWellFormed } from './wire';

/** Actions of one upload. */
export const ACTIONS_MAX = 15_000;

// One flaw must not have an app send all of it again for ever: what cannot be what it is said to be is as if it were not said.
/** Whole or not; what is below 0 is said in place of nothing. */
const seconds = z.number().min(0).max(POSITION_MAX_SECONDS).nullable().catch(null);

const isZoned = (text: string): boolean => /(?:Z|GMT|[+-]\d\d:?\d\d)\s*$/i.test(text);

/** `YYYY-MM-DDTHH:MM:SS`, with a fraction and a zone or without: then it is UTC. Or Unix seconds. From 1970 on. */
const time = z
  .union([z.string(), z.number()])
  .transform((given) =>
    typeof given === 'number' ? given * 1_000 : Date.parse(isZoned(given) ? given : `${given.trim()}Z`),
  )
  .pipe(z.number().min(0).max(8.64e15).transform(Math.floor))
  .nullable()
  .catch(null);

const text = plainText(TEXT_MAX_LENGTH).min(1).nullable().catch(null);

/** As gPodder's apps and Nextcloud's write it; keys that we do not know are left alone. */
export const reportedAction = z.object({
  podcast: z.string(),
  episode: z.string(),
  guid: z.string().catch(''),
  device: text,
  /** null: one that the protocol does not know. */
  action: z
    .string()
    .transform((name) => name.toLowerCase())
    .pipe(z.enum(EPISODE_ACTIONS))
    .nullable()
    .catch(null),
  timestamp: time,
  started: seconds,
  position: seconds,
  total: seconds,
});
export type WrittenAction = z.infer<typeof reportedAction>;

/** With the feed's address as it was written beside the canonical one. */
export type ReadAction = EpisodeAction & { podcast: string };

/** What of an upload can be kept, and the addresses that are kept otherwise, or not at all (''). */
export function readActions(
  written: readonly WrittenAction[],
  { device, now }: { device: string | undefined; now: number },
): { actions: ReadAction[]; changed: [written: string, kept: string][] } {
  const actions: ReadAction[] = [];
  const changed = new Map<string, string>();
  for (const { podcast, episode, guid, action, timestamp, started, position, total, ...said } of written) {
    const feed = feedOf(podcast);
    const item = itemOf(guid, episode);
    if (feed !== podcast) changed.set(podcast, feed ?? '');
    if (item === undefined) changed.set(episode, '');
    else if (splitItem(item).enclosure !== episode) changed.set(episode, splitItem(item).enclosure);
    if (feed === undefined || item === undefined || action === null) continue;
    const at = timestamp ?? now;
    actions.push({ podcast, feed, item, action, device: said.device ?? device ?? null, at, started, position, total });
  }
  return { actions, changed: [...changed] };
}

/** `<guid>,<enclosure>`; undefined where the enclosure is no address. */
export function itemOf(guid: string, enclosure: string): string | undefined {
  const address = enclosure.trim();
  if (!/^https?:\/\/[^/]/i.test(address) || !isWellFormed(guid + address)) return undefined;
  try {
    return canonicalItem(`${guid.trim()},${address}`);
  } catch (error) {
    if (error instanceof InvalidId) return undefined;
    throw error;
  }
}

/** Those that an app can be told of: to it an episode is its enclosure. */
export const tellable = (actions: readonly EpisodeAction[]): EpisodeAction[] =>
  actions.filter(({ item }) => splitItem(item).enclosure !== '');

/** The same, with podcasts as the app calls them. */
export const told = (actions: readonly EpisodeAction[], feeds: FeedsOfApp): EpisodeAction[] =>
  tellable(actions).flatMap((action) => feeds.namesOf(action.feed).map((feed) => ({ ...action, feed })));

/**
 * As an app of gPodder's reads it: times in UTC without a zone, seconds whole, and only of a play. A place alone is none to most apps, so a
 * length that nobody said is one.
 */
export function writtenAction({ feed, item, action, device, at, started, position, total }: EpisodeAction) {
  const { guid, enclosure } = splitItem(item);
  const place = Math.floor(position ?? 0);
  const length = total && total >= place ? Math.floor(total) : place + UNKNOWN_REST_SECONDS;
  return {
    podcast: feed,
    episode: enclosure,
    ...(guid !== '' && { guid }),
    ...(device !== null && { device }),
    action,
    timestamp: new Date(at).toISOString().slice(0, 19),
    ...(action === 'play' &&
      position !== null && { started: Math.floor(started ?? 0), position: place, total: length }),
  };
}
