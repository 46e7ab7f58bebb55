import { Recorded } from '@balados/event-sourcing';
import { episodeId, feedId, hasCredentials, itemKey, splitItem } from '@balados/feeds-ids';
import {
  ContentDropped,
  HistoryErased,
  ListeningEvent,
  PrivacyEvent,
  SubscriptionsEvent,
} from '@balados/users-contracts';
import { ACCOUNT, Setting } from './privacy';

export type Kind = 'subscribe' | 'play' | 'save' | 'share';

/** What a contribution adds to the score of its podcast, and of its episode if it has one. */
export const POINTS: Readonly<Record<Kind, number>> = { subscribe: 10, play: 5, save: 3, share: 2 };

/** Days since 1970-01-01 UTC of an RFC 3339 time. */
const dayOf = (time: string): number => Math.floor(Date.parse(time) / 86_400_000);

/** Something a listener did that counts. */
export interface Contribution {
  listener: string;
  feedId: string;
  episodeId: string | null;
  kind: Kind;
  /** Days since 1970-01-01 UTC for what counts once a day, else 0. */
  day: number;
  item: string | null;
  itemKey: string | null;
  /** RFC 3339: as the client claimed, and when the server accepted it. */
  occurredAt: string;
  recordedAt: string;
}

/** Names what a listener took back: a subscription, or a save. */
export interface TakenBack {
  listener: string;
  feedId: string;
  /** The episode, or the podcast itself. */
  subjectId: string;
  kind: 'subscribe' | 'save';
}

/** What the streams of a category count for. */
const KINDS: Readonly<Record<string, readonly Kind[]>> = {
  subscriptions: ['subscribe'],
  listening: ['play', 'save', 'share'],
};

/** Names contributions of a listener that are gone as if they had never been made: all, or those of a podcast or an episode. */
export interface ErasedKind {
  listener: string;
  kind: Kind;
  feedId: string | null;
  episodeId: string | null;
}

/** An event of a listener's stream, by whom and of which category. */
export type OfStream = Recorded<SubscriptionsEvent | ListeningEvent | PrivacyEvent | HistoryErased | ContentDropped> & {
  listener: string;
  category: string;
};

/** What a batch comes down to: first what is erased, then what is taken back, then what is made. */
export interface Batch {
  /** The last one of each scope; they hold for all that stands at the end of the batch, whenever in it they were set. */
  settings: Setting[];
  /** Listeners all of whose settings are erased, before those of this batch hold. */
  unset: string[];
  erased: ErasedKind[];
  takenBack: TakenBack[];
  made: Contribution[];
  /** Canonical URLs of the podcasts of what is made, by id. */
  feeds: Map<string, string>;
}

/** `//user:password@`, whatever stands before it. */
const USERINFO = /\/\/[^\s/?#@]+@/;
const URLS = /[a-z][a-z\d+.-]*:\/\/\S+/gi;

/**
 * Nothing of a URL with credentials is ever public, so none of it is kept. A guid may be a URL of any kind as well, or hold one.
 */
function isSecret(item: string): boolean {
  const { guid, enclosure } = splitItem(item);
  return hasCredentials(enclosure) || USERINFO.test(item) || (guid.match(URLS) ?? []).some(hasCredentials);
}

/**
 * Reads events in the log's order. Of several that make the same contribution the first counts, and the last gives the item as sent;
 * what was undone and done again within the batch counts from the later time on.
 */
export function readBatch(events: readonly OfStream[]): Batch {
  const feeds = new Map<string, string>();
  const takenBack = new Map<string, TakenBack>();
  const made = new Map<string, Contribution>();
  const settings = new Map<string, Setting>();
  const unset = new Set<string>();
  const erased = new Map<string, ErasedKind>();
  const known = new Map<string, string | undefined>();

  /** The feed's id, or undefined for one that must not be kept. */
  const idOf = (feed: string): string | undefined => {
    if (!known.has(feed)) known.set(feed, hasCredentials(feed) ? undefined : feedId(feed));
    return known.get(feed);
  };
  const make = (feed: string, contribution: Contribution): void => {
    feeds.set(contribution.feedId, feed);
    const { listener, feedId, episodeId, kind, day } = contribution;
    const key = `${listener} ${episodeId ?? feedId} ${kind} ${day}`;
    const first = made.get(key);
    if (first) first.item = contribution.item;
    else made.set(key, contribution);
  };
  const takeBack = (undone: TakenBack): void => {
    const key = `${undone.listener} ${undone.subjectId} ${undone.kind} 0`;
    made.delete(key);
    takenBack.set(key, undone);
  };

  const forgetKind = ({ listener, kind, feedId, episodeId }: ErasedKind): void => {
    const isGone = (row: { listener: string; kind: Kind; feedId: string }, episode: string | null): boolean =>
      row.listener === listener &&
      row.kind === kind &&
      (feedId === null || row.feedId === feedId) &&
      (episodeId === null || episode === episodeId);
    for (const [key, row] of made) if (isGone(row, row.episodeId)) made.delete(key);
    for (const [key, row] of takenBack) if (isGone(row, row.subjectId)) takenBack.delete(key);
  };

  for (const event of events) {
    const { type, data, metadata, category, listener } = event;
    const { recordedAt } = metadata;
    if (type === 'HistoryErased') {
      for (const kind of KINDS[category] ?? []) {
        const { feedId, episodeId } = data;
        const gone = { listener, kind, feedId, episodeId };
        forgetKind(gone);
        erased.set([listener, kind, feedId, episodeId].join(' '), gone);
      }
      if (category === 'privacy') {
        for (const [key, row] of settings) if (row.listener === listener) settings.delete(key);
        unset.add(listener);
        // Should anything of theirs still come, it must not be seen because nothing is known of them.
        settings.set(`${listener} ${ACCOUNT}`, { listener, scopeId: ACCOUNT, privacy: 'private' });
      }
      continue;
    }
    if (type === 'ContentDropped') continue;
    if (type === 'PrivacyChanged' || type === 'PrivacyReset') {
      const { feed, item } = data;
      const ofPodcast = feed === null ? ACCOUNT : idOf(feed);
      if (ofPodcast === undefined) continue;
      const scopeId = feed === null || item === null ? ofPodcast : episodeId(feed, item);
      const privacy = type === 'PrivacyChanged' ? data.privacy : null;
      settings.set(`${listener} ${scopeId}`, { listener, scopeId, privacy });
      continue;
    }
    const id = idOf(data.feed);
    if (id === undefined) continue;
    const ofPodcast = { listener, feedId: id };
    const makeOfEpisode = (kind: Kind, item: string, occurredAt: string, day: number): void => {
      if (isSecret(item)) return;
      const episode = { episodeId: episodeId(data.feed, item), item, itemKey: itemKey(item) };
      make(data.feed, { ...ofPodcast, ...episode, kind, day, occurredAt, recordedAt });
    };
    switch (type) {
      case 'PodcastSubscribed': {
        const occurredAt = data.subscribedAt ?? recordedAt;
        const ofAll = { episodeId: null, item: null, itemKey: null };
        make(data.feed, { ...ofPodcast, ...ofAll, kind: 'subscribe', day: 0, occurredAt, recordedAt });
        break;
      }
      case 'PodcastUnsubscribed':
        takeBack({ ...ofPodcast, subjectId: id, kind: 'subscribe' });
        break;
      case 'PlayRecorded':
        makeOfEpisode('play', data.item, data.heardAt ?? data.updatedAt, dayOf(recordedAt));
        break;
      case 'PositionUpdated':
      case 'EpisodeActionReported':
        break;
      case 'EpisodeSaved':
        makeOfEpisode('save', data.item, data.savedAt, 0);
        break;
      case 'EpisodeUnsaved':
        takeBack({ ...ofPodcast, subjectId: episodeId(data.feed, data.item), kind: 'save' });
        break;
      case 'EpisodeShared':
        makeOfEpisode('share', data.item, data.sharedAt, dayOf(recordedAt));
        break;
    }
  }
  return {
    settings: [...settings.values()],
    unset: [...unset],
    erased: [...erased.values()],
    takenBack: [...takenBack.values()],
    made: [...made.values()],
    feeds,
  };
}
