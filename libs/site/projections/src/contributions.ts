import { parseStream, Recorded, StoredEvent } from '@balados/event-sourcing';
import { episodeId, feedId, hasCredentials, splitItem } from '@balados/feeds-ids';
import { ListeningEvent, SubscriptionsEvent, usersEvents } from '@balados/users-contracts';

/** What the world may see of a contribution: all, all but who it was, or nothing (and then it does not count). */
export type Privacy = 'public' | 'anonymous' | 'private';

export type Kind = 'subscribe' | 'play' | 'save' | 'share';

/** What a contribution adds to the score of its podcast, and of its episode if it has one. */
export const POINTS: Readonly<Record<Kind, number>> = { subscribe: 10, play: 5, save: 3, share: 2 };

const DAY_MS = 86_400_000;

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

export type Subscription = Pick<Contribution, 'listener' | 'feedId'>;

/** What a batch comes down to: first what is taken back, then what is made. */
export interface Batch {
  takenBack: Subscription[];
  made: Contribution[];
  /** Canonical URLs of the podcasts of what is made, by id. */
  feeds: Map<string, string>;
}

/** The same for all feeds that hold the item: `episode_popularity.item_key`. */
const itemKeyOf = (item: string): string => episodeId('', item);

/**
 * Nothing of a URL with credentials is ever public, so none of it is kept. A guid may be a URL as well, or hold one.
 */
function isSecret(item: string): boolean {
  const { guid, enclosure } = splitItem(item);
  return hasCredentials(enclosure) || (guid.match(/(?:https?|ftp):\/\/\S+/gi) ?? []).some(hasCredentials);
}

/**
 * Reads events in the log's order. Of several that make the same contribution the first counts, and the last gives the item as sent;
 * what was undone and done again within the batch counts from the later time on.
 * @throws UnreadableEvent
 */
export function readBatch(events: readonly StoredEvent[]): Batch {
  const feeds = new Map<string, string>();
  const takenBack = new Map<string, Subscription>();
  const made = new Map<string, Contribution>();
  const known = new Map<string, string | undefined>();

  /** The feed's id, or undefined for one that must not be kept. */
  const idOf = (feed: string): string | undefined => {
    if (!known.has(feed)) known.set(feed, hasCredentials(feed) ? undefined : feedId(feed));
    return known.get(feed);
  };

  for (const stored of events) {
    // The projector's prefixes let no others through.
    const event = usersEvents.decode(stored) as Recorded<SubscriptionsEvent | ListeningEvent>;
    const { type, data, metadata } = event;
    const listener = parseStream(stored.stream)!.userId;
    const id = idOf(data.feed);
    if (id === undefined) continue;
    if (type === 'PlayRecorded' && isSecret(data.item)) continue;
    const of = { listener, feedId: id };
    if (type === 'PodcastSubscribed' || type === 'PlayRecorded') feeds.set(id, data.feed);
    switch (type) {
      case 'PodcastSubscribed': {
        const key = `${listener} ${id}`;
        if (made.has(key)) break;
        made.set(key, {
          ...of,
          episodeId: null,
          kind: 'subscribe',
          day: 0,
          item: null,
          itemKey: null,
          occurredAt: data.subscribedAt ?? metadata.recordedAt,
          recordedAt: metadata.recordedAt,
        });
        break;
      }
      case 'PodcastUnsubscribed': {
        const key = `${listener} ${id}`;
        made.delete(key);
        takenBack.set(key, of);
        break;
      }
      case 'PositionUpdated':
        break;
      case 'PlayRecorded': {
        const episode = episodeId(data.feed, data.item);
        const day = Math.floor(Date.parse(metadata.recordedAt) / DAY_MS);
        const key = `${listener} ${episode} ${day}`;
        const first = made.get(key);
        if (first) {
          first.item = data.item;
          break;
        }
        made.set(key, {
          ...of,
          episodeId: episode,
          kind: 'play',
          day,
          item: data.item,
          itemKey: itemKeyOf(data.item),
          occurredAt: data.updatedAt,
          recordedAt: metadata.recordedAt,
        });
        break;
      }
    }
  }
  return { takenBack: [...takenBack.values()], made: [...made.values()], feeds };
}
