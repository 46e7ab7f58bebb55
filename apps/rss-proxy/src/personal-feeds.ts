import {
  FeedItem,
  itemOf,
  MERGED_MAX_ITEMS,
  mergeFeeds,
  MergeOptions,
  newestFirst,
  OpenFeed,
} from '@balados/feeds-content';
import type { FeedCache } from '@balados/feeds-fetch';
import { episodeKey, playLink } from '@balados/feeds-ids';
import { Problem, Turns } from '@balados/platform-service';
import type { Sql } from '@balados/platform-stores';
import { AccountsUnavailable, PersonalTokens } from '@balados/users-accounts';
import type { KeyObject } from 'node:crypto';
import { gather, Gathered } from './gather';
import { playlistOf, subscribedFeeds } from './listener-rows';
import type { ServedFeed } from './served-feed';

/** Personal feeds that are made at a time, which bounds the memory for them; and how many wait for their turn. */
export const MADE_AT_A_TIME = 8;
export const MADE_WAITING_MAX = 100;
/** The same for one listener: who has slow podcasts, and asks often, keeps no others waiting. */
export const MADE_PER_LISTENER = 2;
export const MADE_PER_LISTENER_WAITING_MAX = 50;
/** Seconds after which a client may try again when tokens or subscriptions cannot be read. */
const RETRY_AFTER_SECONDS = 5;

/** Where the listener's app found it: the merged feed says so. */
export interface Address {
  self: string;
  home: string;
}

export interface PersonalFeedsParts {
  cache: Pick<FeedCache<ServedFeed>, 'get'>;
  tokens: Pick<PersonalTokens, 'ownerOf'>;
  sql: Sql;
  playUrl: string;
  linkKeys: readonly KeyObject[];
}

/** A listener's podcasts, and playlists, as feeds for any RSS app; a personal token is all that it takes to read them. */
export class PersonalFeeds {
  private readonly turns = new Turns({
    atATime: MADE_AT_A_TIME,
    waitingMax: MADE_WAITING_MAX,
    busy: () => unavailable('Too many personal feeds are being made.'),
  });
  private readonly turnsOfOne = new Map<string, Turns>();

  constructor(private readonly parts: PersonalFeedsParts) {}

  /** The newest episodes of all subscriptions. @throws Problem 401, 503 */
  async subscriptions(token: string, address: Address): Promise<string> {
    const { sql, cache } = this.parts;
    const userId = await this.ownerOf(token);
    const feeds = await readable(subscribedFeeds(sql, userId));
    return this.inTurn(userId, async () => {
      const gathered = await gather(cache, feeds, newestOfAll(), { client: userId });
      return this.merge(token, address, gathered, {
        title: 'My podcasts',
        description: 'The newest episodes.',
        order: 'newest',
      });
    });
  }

  /** The episodes of a playlist in its order. @throws Problem 401, 404, 503 */
  async playlist(token: string, playlistId: string, address: Address): Promise<string> {
    const { sql, cache } = this.parts;
    const userId = await this.ownerOf(token);
    const playlist = await readable(playlistOf(sql, userId, playlistId));
    if (!playlist) throw new Problem(404, 'playlist_unknown', 'This listener has no such playlist.');
    const { name: title, description, items } = playlist;
    const order = items.slice(0, MERGED_MAX_ITEMS);
    const wanted = new Map<string, Set<string>>();
    for (const { feed, item } of order) wanted.set(feed, (wanted.get(feed) ?? new Set()).add(episodeKey(item)));
    const isWanted = (feed: string, item: FeedItem) => wanted.get(feed)!.has(episodeKey(itemOf(item)));
    return this.inTurn(userId, async () => {
      const itemsOf = (feed: string, open: OpenFeed) => open.items.filter((item) => isWanted(feed, item));
      const gathered = await gather(cache, [...wanted.keys()], itemsOf, { client: userId });
      return this.merge(token, address, gathered, { title, description: description ?? title, order });
    });
  }

  private async inTurn(userId: string, make: () => Promise<string>): Promise<string> {
    const own =
      this.turnsOfOne.get(userId) ??
      new Turns({
        atATime: MADE_PER_LISTENER,
        waitingMax: MADE_PER_LISTENER_WAITING_MAX,
        busy: () => unavailable('Too many personal feeds of this listener are being made.'),
      });
    this.turnsOfOne.set(userId, own);
    try {
      return await own.take(() => this.turns.take(make));
    } finally {
      if (own.isIdle) this.turnsOfOne.delete(userId);
    }
  }

  private async ownerOf(token: string): Promise<string> {
    const owner = await readable(this.parts.tokens.ownerOf(token));
    if (owner === undefined) throw new Problem(401, 'invalid_token', 'This token is not known, or was revoked.');
    return owner;
  }

  private merge(
    token: string,
    { self, home }: Address,
    { parts, unavailable }: Gathered,
    about: Pick<MergeOptions, 'title' | 'description' | 'order'>,
  ): string {
    const { playUrl, linkKeys } = this.parts;
    const [key] = linkKeys;
    return mergeFeeds(parts, {
      ...about,
      link: home,
      // That of the podcast that comes first: apps want one, and we have none of our own.
      image: parts[0]?.open.feed.cover?.src,
      self,
      unavailable,
      linkFor: (feed, item) => playLink(playUrl, { token, feed, item }, key!),
    });
  }
}

/**
 * Of each feed the items that may be among the newest of all: what is older than as many others as there is room for need not be copied.
 * Of those with the same date none is left out before they are all there.
 */
function newestOfAll(): (feed: string, open: OpenFeed) => FeedItem[] {
  const dateOf = ({ publishedAt }: FeedItem): number => publishedAt ?? -Infinity;
  let newest: number[] = [];
  return (_feed, open) => {
    const oldest = newest[MERGED_MAX_ITEMS - 1] ?? -Infinity;
    const wanted = newestFirst(open)
      .slice(0, MERGED_MAX_ITEMS)
      .filter((item) => dateOf(item) >= oldest);
    newest = [...newest, ...wanted.map(dateOf)].sort((one, other) => (other > one ? 1 : -1)).slice(0, MERGED_MAX_ITEMS);
    return wanted;
  };
}

const unavailable = (detail: string): Problem =>
  new Problem(503, 'unavailable', detail, { retryAfter: RETRY_AFTER_SECONDS });

/** Without the tables there is no answer: better that than one that a revoked token, or a podcast that was left, is in. */
async function readable<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    const unread = error instanceof AccountsUnavailable ? 'Tokens' : 'Subscriptions and playlists';
    throw unavailable(`${unread} cannot be read now.`);
  }
}
