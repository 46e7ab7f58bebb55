/** What a seeded town is like; a few times as many episodes are there as one listener hears. */
export interface Town {
  listeners: number;
  /** Of each listener. */
  subscriptions: number;
  plays: number;
  /** Podcasts that there are. */
  feeds: number;
  /** When the last of it happened, in epoch milliseconds. */
  now: number;
}

/** Everything happened in this many days before now. */
export const TOWN_DAYS = 30;

/** A whole number below `count`: 0 twice as often as 1, three times as often as 2, and so on, as listeners choose among podcasts. */
export const skewed = (random: () => number, count: number): number =>
  Math.min(count - 1, Math.floor((count + 1) ** random()) - 1);

/** `wanted` different numbers below `count`, skewed. */
export function skewedSet(random: () => number, wanted: number, count: number): number[] {
  const chosen = new Set<number>();
  while (chosen.size < wanted) chosen.add(skewed(random, count));
  return [...chosen];
}

/** Episodes that a podcast has. */
export const episodesPerFeed = ({ subscriptions, plays }: Town): number =>
  Math.max(100, Math.ceil((8 * plays) / subscriptions));
