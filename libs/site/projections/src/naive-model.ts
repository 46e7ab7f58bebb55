import { episodeId, episodeKey, feedId, hasCredentials, itemKey, splitItem } from '@balados/feeds-ids';
import { Privacy } from '@balados/users-contracts';
import { Kind, POINTS } from './contributions';

/** A listener's event as the naive model takes it. Times in epoch milliseconds. */
export interface Act {
  type: Kind | 'unsubscribe' | 'unsave' | 'move' | 'set' | 'reset' | 'erase' | 'forget' | 'checkpoint';
  listener: string;
  feed: string;
  item: string;
  /** What is set or reset, and to what, or erased: an account with its settings, anything else without. `forget` erases a history. */
  scope: 'account' | 'podcast' | 'episode';
  privacy: Privacy;
  claimedAt: number;
  recordedAt: number;
}

export interface NaivePolicy {
  defaultPrivacy: Privacy;
  publicMinListeners: number;
  /** Start of the trending window. */
  windowStart: number;
}

const HOUR_MS = 3_600_000;

/** `named`: public by what its listener set for the podcast or the episode. */
type Standing = Act & { kind: Kind; privacy: Privacy; named: boolean };

const scopeOf = ({ listener, feed, item }: Act, scope: Act['scope']): string =>
  [listener, ...{ account: [], podcast: [feed], episode: [feed, episodeKey(item)] }[scope]].join(' ');

/** What listeners have set at the end, by `scopeOf`. */
function settingsAfter(history: readonly Act[]): Map<string, Privacy> {
  const settings = new Map<string, Privacy>();
  for (const act of history) {
    if (act.type === 'set') settings.set(scopeOf(act, act.scope), act.privacy);
    if (act.type === 'reset') settings.delete(scopeOf(act, act.scope));
    if (act.type !== 'erase' || act.scope !== 'account') continue;
    for (const scope of [...settings.keys()]) if (scope.split(' ')[0] === act.listener) settings.delete(scope);
    settings.set(act.listener, 'private');
  }
  return settings;
}

/** What stands of a whole history: no sums, no deltas, no batches. */
function standing(history: readonly Act[], defaultPrivacy: Privacy): Standing[] {
  const settings = settingsAfter(history);
  const held = new Map<string, Act & { kind: Kind }>();
  for (const act of history) {
    const { type, listener, feed, item, recordedAt } = act;
    if (type === 'erase' || type === 'forget') {
      const isGone = (made: Act & { kind: Kind }): boolean => {
        if (made.listener !== listener) return false;
        if (type === 'forget' || act.scope === 'account') return true;
        if (made.feed !== feed) return false;
        return act.scope === 'podcast' || (made.kind !== 'subscribe' && episodeKey(made.item) === episodeKey(item));
      };
      for (const [key, made] of [...held]) if (isGone(made)) held.delete(key);
      continue;
    }
    if (type === 'move' || type === 'set' || type === 'reset' || type === 'checkpoint' || hasCredentials(feed))
      continue;
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
  return [...held.values()].map((made) => {
    const scopes = made.kind === 'subscribe' ? (['podcast'] as const) : (['episode', 'podcast'] as const);
    const [named] = scopes.flatMap((scope) => settings.get(scopeOf(made, scope)) ?? []);
    const privacy = named ?? settings.get(scopeOf(made, 'account')) ?? defaultPrivacy;
    return { ...made, privacy, named: named === 'public' };
  });
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
const text = (value: unknown): string => JSON.stringify(value);
export const sorted = <T>(rows: readonly T[]): T[] => [...rows].sort((a, b) => (text(a) < text(b) ? -1 : 1));

/** Of what was recorded at the same time the greater listener's stands, then the greater kind. */
const latestFirst = (a: Standing, b: Standing): number =>
  b.recordedAt - a.recordedAt || (text([a.listener, a.kind]) < text([b.listener, b.kind]) ? 1 : -1);

/** What the public may read after a history, and how many listeners each podcast has: computed from the whole of it. */
export function naive(history: readonly Act[], { defaultPrivacy, publicMinListeners, windowStart }: NaivePolicy) {
  const all = standing(history, defaultPrivacy);
  const seen = all.filter(({ privacy }) => privacy !== 'private');
  const listeners = unique(seen.map(({ feed }) => feed)).map((feed) => ({
    feed_id: feedId(feed),
    listeners: unique(seen.filter((made) => made.feed === feed).map(({ listener }) => listener)).length,
  }));
  const published = seen.filter(
    ({ feed }) =>
      listeners.find((row) => row.feed_id === feedId(feed))!.listeners >= publicMinListeners ||
      seen.some((made) => made.feed === feed && made.named),
  );

  const popularity = (made: readonly Standing[]) => {
    const before = made.filter(({ recordedAt }) => recordedAt < windowStart);
    const score = (of: readonly Standing[]) => of.reduce((sum, { kind }) => sum + POINTS[kind], 0);
    const count = (of: readonly Standing[], which: Kind) => of.filter(({ kind }) => kind === which).length;
    const people = (which: Kind) => {
      const inPublic = made.filter(({ kind, privacy }) => kind === which && privacy === 'public');
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
        item_key: itemKey(last!.item),
        ...popularity(made),
      };
    });
  const events = published.map((made) => {
    const shown = (time: number) => new Date(made.privacy === 'public' ? time : time - (time % HOUR_MS));
    return {
      event_type: made.kind,
      user_id: made.privacy === 'public' ? made.listener : null,
      feed_id: feedId(made.feed),
      episode_id: idOf(made),
      occurred_at: shown(made.claimedAt),
      recorded_at: shown(made.recordedAt),
    };
  });
  return {
    contributions: all.length,
    listeners: sorted(listeners),
    forgotten: [],
    podcasts: sorted(podcasts),
    episodes: sorted(episodes),
    events: sorted(events),
  };
}
