import { randomUUID } from 'node:crypto';
import { UsersEvent, usersEvents } from '@balados/users-contracts';
import { jsonEvent, JSONEventData } from '@eventstore/db-client';

/** Feeds of the lengths that real ones have. */
export const feedUrl = (feed: number): string => `https://feeds.example.org/shows/podcast-${feed}/rss.xml`;

/** `<guid>,<enclosure>` of an episode, about as long as real ones. */
export const itemOf = (feed: number, episode: number): string =>
  `tag:example.org,2024:podcast-${feed}/episode-${episode},` +
  `https://media.example.org/podcast-${feed}/episode-${episode}.mp3?source=feed`;

const EPISODES_PER_FEED = 25;
export const FEEDS = 200;

/** A listener's n-th episode: listeners share feeds, and begin with different ones. */
export function episodeOf(listener: number, n: number): { feed: string; item: string } {
  const feed = (listener * 7 + Math.floor(n / EPISODES_PER_FEED)) % FEEDS;
  return { feed: feedUrl(feed), item: itemOf(feed, n % EPISODES_PER_FEED) };
}

/** A device's position report as the event that command-api makes of it. */
export const positionEvent = (listener: number, n: number, position: number): UsersEvent => ({
  type: 'PositionUpdated',
  data: { ...episodeOf(listener, n), position, played: false, updatedAt: new Date().toISOString() },
});

/** For the official client: what command-api appends, with the metadata of a device. @param recordedAt RFC 3339 */
export function stored(event: UsersEvent, recordedAt = new Date().toISOString()): JSONEventData {
  const { version, data } = usersEvents.declarations[event.type];
  return jsonEvent({
    id: randomUUID(),
    type: event.type,
    data: data.parse(event.data) as Record<string, unknown>,
    metadata: {
      version,
      recordedAt,
      correlationId: randomUUID(),
      deviceId: 'phone',
      deviceName: 'the phone',
    },
  });
}
