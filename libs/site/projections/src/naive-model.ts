import { episodeId, episodeKey, feedId, hasCredentials, splitItem } from '@balados/feeds-ids';
import { Kind, POINTS, Privacy } from './contributions';

/** A listener's event as the naive model takes it. Times in epoch milliseconds. */
export interface Act {
  type: Kind | 'unsubscribe' | 'unsave' | 'move';
  listener: string;
  feed: string;
  item: string;
  claimedAt: number;
  recordedAt: number;
}

export interface NaivePolicy {
  privacyOf: (listener: string) => Privacy;
  publicMinListeners: number;
  /** Start of the trending window. */
  windowStart: number;
}

type Standing = Act & { kind: Kind };

/** What stands of a whole history: no sums, no deltas, no batches. */
function standing(history: readonly Act[]): Standing[] {
  const held = new Map<string, Standing>();
  for (const act of history) {
    const { type, listener, feed, item, recordedAt } = act;
    if (type === 'move' || hasCredentials(feed)) continue;
    const episode = `${feed} ${episodeKey(item)}`;
    if (type === 'unsubscribe') held.delete(`subscribe ${listener} ${feed}`);
    if (type === 'unsave') held.delete(`save ${listener} ${episode}`);
    if (type === 'unsubscribe' || type === 'unsave') continue;
    if (type !== 'subscribe' && hasCredentials(splitItem(item).enclosure)) continue;
    const day = new Date(recordedAt).toISOString().slice(0, 10);
    const subject = { subscribe: feed, save: episode, play: `${episode} ${day}`, share: `${episode} ${day}` }[type];
    const key = `${type} ${listener} ${subject}`;
    held.set(key, { ...(held.get(key) ?? act), item, kind: type });
  }
  return [...held.values()];
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
const text = (value: unknown): string => JSON.stringify(value);
export const sorted = <T>(rows: readonly T[]): T[] => [...rows].sort((a, b) => (text(a) < text(b) ? -1 : 1));

/** Of what was recorded at the same time the greater listener's stands, then the greater kind. */
const latestFirst = (a: Standing, b: Standing): number =>
  b.recordedAt - a.recordedAt || (text([a.listener, a.kind]) < text([b.listener, b.kind]) ? 1 : -1);

/** What the public may read after a history, and how many listeners each podcast has: computed from the whole of it. */
export function naive(history: readonly Act[], { privacyOf, publicMinListeners, windowStart }: NaivePolicy) {
  const all = standing(history);
  const seen = all.filter(({ listener }) => privacyOf(listener) !== 'private');
  const listeners = unique(seen.map(({ feed }) => feed)).map((feed) => ({
    feed_id: feedId(feed),
    listeners: unique(seen.filter((made) => made.feed === feed).map(({ listener }) => listener)).length,
  }));
  const published = seen.filter(
    ({ feed }) => listeners.find((row) => row.feed_id === feedId(feed))!.listeners >= publicMinListeners,
  );

  const popularity = (made: readonly Standing[]) => {
    const before = made.filter(({ recordedAt }) => recordedAt < windowStart);
    const score = (of: readonly Standing[]) => of.reduce((sum, { kind }) => sum + POINTS[kind], 0);
    const count = (of: readonly Standing[], which: Kind) => of.filter(({ kind }) => kind === which).length;
    const people = (which: Kind) => {
      const inPublic = made.filter(({ kind, listener }) => kind === which && privacyOf(listener) === 'public');
      const latest = (of: string) =>
        Math.max(...inPublic.filter(({ listener }) => listener === of).map(({ recordedAt }) => recordedAt));
      return unique(inPublic.map(({ listener }) => listener))
        .sort((a, b) => latest(b) - latest(a) || (a < b ? -1 : 1))
        .slice(0, 10);
    };
    return {
      score: score(made),
      score_previous: score(before),
      growth: score(made) - score(before),
      plays: count(made, 'play'),
      plays_previous: count(before, 'play'),
      plays_people: people('play'),
      likes: count(made, 'save'),
      likes_previous: count(before, 'save'),
      likes_people: people('save'),
    };
  };

  const podcasts = unique(published.map(({ feed }) => feed)).map((feed) => ({
    feed_id: feedId(feed),
    feed,
    feed_title: null,
    feed_author: null,
    feed_cover: null,
    ...popularity(published.filter((made) => made.feed === feed)),
  }));
  const idOf = (made: Standing) => (made.kind === 'subscribe' ? null : episodeId(made.feed, made.item));
  const episodes = unique(published.map(idOf))
    .filter((id) => id !== null)
    .map((id) => {
      const made = published.filter((one) => idOf(one) === id);
      const [last] = [...made].sort(latestFirst);
      return {
        episode_id: id,
        feed_id: feedId(last!.feed),
        item: last!.item,
        item_key: episodeId('', last!.item),
        ...popularity(made),
      };
    });
  const events = published.map((made) => ({
    event_type: made.kind,
    user_id: privacyOf(made.listener) === 'public' ? made.listener : null,
    feed_id: feedId(made.feed),
    episode_id: idOf(made),
    occurred_at: new Date(made.claimedAt),
    recorded_at: new Date(made.recordedAt),
  }));
  return {
    contributions: all.length,
    listeners: sorted(listeners),
    podcasts: sorted(podcasts),
    episodes: sorted(episodes),
    events: sorted(events),
  };
}
