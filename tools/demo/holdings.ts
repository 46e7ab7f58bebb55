import { decodeBase64, episodeKey } from '@balados/feeds-ids';

/** A podcast of the wire. */
export interface Subscription {
  rss_source_feed: string;
  rss_source_id: string | null;
  subscribed_at: string | null;
  unsubscribed_at: string | null;
}

/** An episode of the wire. */
export interface Play {
  rss_source_feed: string;
  rss_source_item: string;
  position: number;
  played: boolean;
  updated_at: string;
}

/** What a device holds: podcasts by feed, episodes by feed and what makes them the same. */
export class Holdings {
  readonly subscriptions = new Map<string, Subscription>();
  readonly plays = new Map<string, Play>();

  take(news: { subscriptions?: readonly Subscription[]; play_statuses?: readonly Play[] }): void {
    for (const subscription of news.subscriptions ?? [])
      this.subscriptions.set(decodeBase64(subscription.rss_source_feed), subscription);
    for (const play of news.play_statuses ?? [])
      this.plays.set(episodeOf(play.rss_source_feed, play.rss_source_item), play);
  }
}

/** Of base64 as on the wire. */
export const episodeOf = (feed: string, item: string): string =>
  `${decodeBase64(feed)} ${episodeKey(decodeBase64(item))}`;

/** In what two devices differ, a line each; empty when they hold the same. */
export function differences(left: Holdings, right: Holdings): string[] {
  return [...between(left.subscriptions, right.subscriptions), ...between(left.plays, right.plays)];
}

function* between<Entry extends object>(left: ReadonlyMap<string, Entry>, right: ReadonlyMap<string, Entry>) {
  for (const key of new Set([...left.keys(), ...right.keys()])) {
    const [one, other] = [textOf(left.get(key)), textOf(right.get(key))];
    if (one !== other) yield `${key}: ${one} is not ${other}`;
  }
}

/** The same for the same values, in whatever order their fields came. */
const textOf = (entry: object | undefined): string =>
  entry ? JSON.stringify(Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)))) : 'nothing';
