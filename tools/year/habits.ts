import { randomUUID } from 'node:crypto';
import { oneOf, randomFrom } from '@balados/e2e-support';
import { episodeId } from '@balados/feeds-ids';
import { Privacy, USERS_CATEGORIES, UsersEvent } from '@balados/users-contracts';
import { feedUrl, itemOf } from '../bench/events';

/** While something plays, a device says so often where it is, in seconds. */
export const POSITION_EVERY_S = 15;
/** The listener who hears most, in minutes a day on average; of the others each hears less than the one before. */
export const MOST_MINUTES_A_DAY = 120;
const SUBSCRIPTIONS_AT_FIRST = 20;
const SUBSCRIPTIONS_MAX = 30;
const SAVED_MAX = 10;
const UP_NEXT_MAX = 10;
/** Of a hundred episodes that were heard to their end, so many are kept, and passed on. */
const SAVED = 10;
const SHARED = 3;
const FEEDS = 1_000;
const DAY_MS = 86_400_000;
const PRIVACIES: readonly (Privacy | null)[] = [null, null, null, 'public', 'public', 'private'];

export type Category = (typeof USERS_CATEGORIES)[number];
/** What happens in a stream, in order; `at` in epoch milliseconds. */
export type Happenings = Partial<Record<Category, { at: number; event: UsersEvent }[]>>;

interface Episode {
  feed: string;
  item: string;
}

/** One listener's year: what they do on a day follows from the days before. The same for the same `nth`, ids of playlists aside. */
export class Habits {
  private readonly random: () => number;
  private readonly playlistId = randomUUID();
  private readonly subscribed: { feed: number; subscribedAt: string }[] = [];
  private readonly saved: Episode[] = [];
  private readonly upNext: (Episode & { createdAt: string })[] = [];
  /** Of each podcast the newest episode that was begun. */
  private readonly begun = new Map<number, number>();
  private playing: (Episode & { position: number; seconds: number }) | undefined;
  private days = 0;
  private happenings: Happenings = {};

  constructor(private readonly nth: number) {
    this.random = randomFrom(nth + 1);
  }

  get minutesADay(): number {
    return MOST_MINUTES_A_DAY / (1 + this.nth / 4);
  }

  /** What happens on the day that begins at `start` (epoch milliseconds). */
  day(start: number): Happenings {
    this.happenings = {};
    const morning = start + DAY_MS * (0.25 + this.random() / 4);
    if (this.days === 0) this.moveIn(morning);
    if (this.days % 7 === this.nth % 7) this.changeSubscriptions(morning + 1_000);
    this.days += 1;
    this.listen(morning + 60_000);
    return this.happenings;
  }

  private moveIn(at: number): void {
    const privacy = oneOf(this.random, PRIVACIES);
    if (privacy)
      this.add('privacy', at, (changedAt) => ({
        type: 'PrivacyChanged',
        data: { feed: null, item: null, privacy, changedAt },
      }));
    for (let n = 0; n < SUBSCRIPTIONS_AT_FIRST; n += 1) this.subscribe(at + n);
    this.add('playlists', at, (updatedAt) => ({
      type: 'PlaylistCreated',
      data: { playlistId: this.playlistId, name: 'Up next', description: null, updatedAt, deletedAt: null },
    }));
  }

  private changeSubscriptions(at: number): void {
    this.subscribe(at);
    if (this.subscribed.length <= SUBSCRIPTIONS_MAX) return;
    const { feed, subscribedAt } = this.subscribed.shift()!;
    this.add('subscriptions', at + 1, (unsubscribedAt) => ({
      type: 'PodcastUnsubscribed',
      data: { feed: feedUrl(feed), sourceId: null, subscribedAt, unsubscribedAt },
    }));
  }

  private subscribe(at: number): void {
    const feed = Math.floor(this.random() * FEEDS);
    if (this.subscribed.some((held) => held.feed === feed)) return;
    this.subscribed.push({ feed, subscribedAt: new Date(at).toISOString() });
    this.add('subscriptions', at, (subscribedAt) => ({
      type: 'PodcastSubscribed',
      data: { feed: feedUrl(feed), sourceId: null, subscribedAt, unsubscribedAt: null },
    }));
  }

  /** Some days more, some less. */
  private listen(from: number): void {
    const seconds = this.minutesADay * 60 * (0.5 + this.random());
    for (let heard = 0; heard < seconds; heard += POSITION_EVERY_S) {
      const at = from + heard * 1_000;
      if (!this.playing) {
        this.playing = { ...this.nextEpisode(), position: 0, seconds: 900 + this.random() * 2_700 };
        this.tell('PlayRecorded', at);
        continue;
      }
      this.playing.position += POSITION_EVERY_S;
      this.tell('PositionUpdated', at);
      if (this.playing.position < this.playing.seconds) continue;
      this.finish(this.playing, at + 1);
      this.playing = undefined;
    }
  }

  private tell(type: 'PlayRecorded' | 'PositionUpdated', at: number): void {
    const { feed, item, position, seconds } = this.playing!;
    this.add('listening', at, (updatedAt) => ({
      type,
      data: { feed, item, position, played: position >= seconds, updatedAt },
    }));
  }

  private nextEpisode(): Episode {
    const { feed } = oneOf(this.random, this.subscribed);
    const episode = (this.begun.get(feed) ?? -1) + 1;
    this.begun.set(feed, episode);
    return { feed: feedUrl(feed), item: itemOf(feed, episode) };
  }

  private finish({ feed, item }: Episode, at: number): void {
    if (this.random() * 100 < SHARED)
      this.add('listening', at, (sharedAt) => ({ type: 'EpisodeShared', data: { feed, item, sharedAt } }));
    if (this.random() * 100 < SAVED) this.save({ feed, item }, at + 1);
    this.queue(this.nextEpisode(), at + 2);
  }

  private save({ feed, item }: Episode, at: number): void {
    this.saved.push({ feed, item });
    this.add('listening', at, (savedAt) => ({ type: 'EpisodeSaved', data: { feed, item, savedAt } }));
    if (this.saved.length <= SAVED_MAX) return;
    const first = this.saved.shift()!;
    this.add('listening', at + 1, (unsavedAt) => ({ type: 'EpisodeUnsaved', data: { ...first, unsavedAt } }));
  }

  /** Puts an episode at the end of the playlist, and takes out what was longest in it. */
  private queue({ feed, item }: Episode, at: number): void {
    const createdAt = new Date(at).toISOString();
    const ofItem = (times: { updatedAt: string; deletedAt: string | null }, of: Episode & { createdAt: string }) => ({
      ...{ playlistId: this.playlistId, itemTitle: 'An episode', feedTitle: 'A podcast' },
      ...of,
      ...times,
    });
    const queued = { feed, item, createdAt };
    this.upNext.push(queued);
    this.add('playlists', at, (updatedAt) => ({
      type: 'PlaylistItemAdded',
      data: ofItem({ updatedAt, deletedAt: null }, queued),
    }));
    if (this.upNext.length > UP_NEXT_MAX) {
      const first = this.upNext.shift()!;
      this.add('playlists', at + 1, (updatedAt) => ({
        type: 'PlaylistItemRemoved',
        data: ofItem({ updatedAt, deletedAt: updatedAt }, first),
      }));
    }
    const items = this.upNext.map((each) => episodeId(each.feed, each.item));
    this.add('playlists', at + 2, (orderedAt) => ({
      type: 'PlaylistReordered',
      data: { playlistId: this.playlistId, items, orderedAt },
    }));
  }

  private add(category: Category, at: number, event: (at: string) => UsersEvent): void {
    (this.happenings[category] ??= []).push({ at, event: event(new Date(at).toISOString()) });
  }
}
