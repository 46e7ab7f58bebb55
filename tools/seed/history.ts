import { randomUUID } from 'node:crypto';
import { NewEvent, streamOf } from '@balados/event-sourcing';
import { episodeId } from '@balados/feeds-ids';
import { Privacy, UsersEvent, usersEvents } from '@balados/users-contracts';
import { oneOf, randomFrom } from '@balados/e2e-support';
import { feedUrl, itemOf } from '../bench/events';
import { episodesPerFeed, skewed, skewedSet, Town, TOWN_DAYS } from './town';

/** A new stream with all of its events. */
export interface Stream {
  stream: string;
  events: NewEvent[];
}

interface Episode {
  feed: string;
  item: string;
}

// Of a hundred plays so many are also moved on in, kept, and passed on.
const MOVED = 20;
const SAVED = 5;
const SHARED = 2;
const PLAYLISTS = 3;
const ITEMS_PER_PLAYLIST = 10;
/** Of the account: most listeners set nothing. */
const ACCOUNT_SETTINGS: readonly (Privacy | null)[] = [
  ...Array.from({ length: 13 }, () => null),
  ...(['public', 'public', 'public', 'public', 'anonymous', 'anonymous', 'private'] as const),
];

/** Writes one stream: each event a moment after the one before. */
class Writer {
  readonly events: NewEvent[] = [];
  constructor(
    private readonly userId: string,
    private at: number,
    private readonly stepMs: number,
  ) {}

  /** `makeEvent` gets the time of the event, RFC 3339. */
  add(makeEvent: (at: string) => UsersEvent): void {
    this.at += this.stepMs;
    const recordedAt = new Date(this.at).toISOString();
    const metadata = { recordedAt, correlationId: randomUUID(), deviceId: 'phone', deviceName: 'the phone' };
    this.events.push(usersEvents.encode(makeEvent(recordedAt), metadata, randomUUID()));
  }

  as(category: string): Stream {
    return { stream: streamOf(category, this.userId), events: this.events };
  }
}

/** All that one listener did, as the events that command-api makes of it; the same for the same `nth`, ids and times aside. */
export function historyOf(town: Town, nth: number, userId: string): Stream[] {
  const random = randomFrom(nth + 1);
  const spanMs = TOWN_DAYS * 86_400_000;
  const writer = (events: number): Writer => new Writer(userId, town.now - spanMs, Math.floor(spanMs / (events + 1)));
  const feeds = skewedSet(random, town.subscriptions, town.feeds);
  const episodes = episodesOf(town, feeds, random);

  const subscriptions = writer(feeds.length);
  for (const feed of feeds)
    subscriptions.add((at) => ({
      type: 'PodcastSubscribed',
      data: { feed: feedUrl(feed), sourceId: null, subscribedAt: at, unsubscribedAt: null },
    }));

  const listening = writer(2 * episodes.length);
  for (const episode of episodes) listenTo(episode, random, listening);

  const playlists = writer(PLAYLISTS * (ITEMS_PER_PLAYLIST + 2));
  for (let n = 1; n <= PLAYLISTS; n += 1) fillPlaylist(`Evening ${n}`, episodes, random, playlists);

  const privacy = writer(3);
  const setting = oneOf(random, ACCOUNT_SETTINGS);
  if (setting) privacy.add((at) => privacyChanged(null, null, setting, at));
  if (random() < 0.5)
    privacy.add((at) => privacyChanged(feedUrl(oneOf(random, feeds)), null, oneOf(random, ['public', 'private']), at));
  if (random() < 0.2) {
    const { feed, item } = oneOf(random, episodes);
    privacy.add((at) => privacyChanged(feed, item, 'private', at));
  }
  return [
    subscriptions.as('subscriptions'),
    listening.as('listening'),
    playlists.as('playlists'),
    privacy.as('privacy'),
  ].filter(({ events }) => events.length > 0);
}

/** Different episodes of these feeds, of the first feeds more, and of each feed the newest more often. */
function episodesOf(town: Town, feeds: readonly number[], random: () => number): Episode[] {
  const perFeed = episodesPerFeed(town);
  const chosen = new Map<string, Episode>();
  while (chosen.size < town.plays) {
    const feed = feeds[skewed(random, feeds.length)]!;
    const episode = skewed(random, perFeed);
    chosen.set(`${feed} ${episode}`, { feed: feedUrl(feed), item: itemOf(feed, episode) });
  }
  return [...chosen.values()];
}

function listenTo({ feed, item }: Episode, random: () => number, stream: Writer): void {
  const isIn = (percent: number): boolean => random() * 100 < percent;
  const played = isIn(60);
  stream.add((at) => ({ type: 'PlayRecorded', data: { feed, item, position: 0, played, updatedAt: at } }));
  if (isIn(MOVED)) {
    const position = Math.floor(random() * 3_600) + 0.5;
    stream.add((at) => ({ type: 'PositionUpdated', data: { feed, item, position, played, updatedAt: at } }));
  }
  if (isIn(SAVED)) stream.add((at) => ({ type: 'EpisodeSaved', data: { feed, item, savedAt: at } }));
  if (isIn(SHARED)) stream.add((at) => ({ type: 'EpisodeShared', data: { feed, item, sharedAt: at } }));
}

function fillPlaylist(name: string, episodes: readonly Episode[], random: () => number, stream: Writer): void {
  const playlistId = randomUUID();
  const items = new Set(Array.from({ length: ITEMS_PER_PLAYLIST }, () => oneOf(random, episodes)));
  stream.add((at) => ({
    type: 'PlaylistCreated',
    data: { playlistId, name, description: null, updatedAt: at, deletedAt: null },
  }));
  for (const { feed, item } of items)
    stream.add((at) => ({
      type: 'PlaylistItemAdded',
      data: { playlistId, feed, item, itemTitle: null, feedTitle: null, createdAt: at, updatedAt: at, deletedAt: null },
    }));
  const reversed = [...items].reverse().map(({ feed, item }) => episodeId(feed, item));
  stream.add((at) => ({ type: 'PlaylistReordered', data: { playlistId, items: reversed, orderedAt: at } }));
}

const privacyChanged = (feed: string | null, item: string | null, privacy: Privacy, changedAt: string): UsersEvent => ({
  type: 'PrivacyChanged',
  data: { feed, item, privacy, changedAt },
});
