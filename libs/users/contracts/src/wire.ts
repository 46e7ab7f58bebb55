import { encodeBase64, feedParameter, itemParameter } from '@balados/feeds-ids';
import { z } from 'zod';
import { WireEpisode, WirePlay, WirePlaylist, WirePlaylistItem, WireSubscription } from './answers';

/**
 * The forms in which listeners' devices write and read, snake_case here and nowhere else. The schemas turn what was sent into what the
 * domain speaks: canonical feed URLs, items as text, epoch milliseconds. A flaw's code for programs stands in `params.code`.
 */

/** Longest position, in seconds. */
export const POSITION_MAX_SECONDS = 10_000_000;
/** Longest client-given id of a podcast, and longest name of a device, in characters. */
export const TEXT_MAX_LENGTH = 255;
/** Longest list of a sync: as many entries as the largest body can hold when all of them are good. */
export const SYNC_LIST_MAX = 15_000;
/** Most podcasts of a listener, unsubscribed ones included, and most episodes: a whole sync and a folded state hold them all. */
export const PODCASTS_MAX = 10_000;
export const EPISODES_MAX = 50_000;
/** Podcasts of a listener of which an item may be one at a time; publishers who count their guids from 1 come to a few. */
export const ITEM_FEEDS_MAX = 1_000;
/** Most playlists of a listener that stand at a time. */
export const PLAYLISTS_MAX = 100;
/** Most items that stand in one playlist, and most that an order names. */
export const PLAYLIST_ITEMS_MAX = 1_000;
/** Most playlists of a listener, and most items in all of them, deleted and removed ones included: a folded state holds them all. */
export const PLAYLISTS_KEPT_MAX = 10_000;
export const PLAYLIST_ITEMS_KEPT_MAX = 50_000;
/** Longest description of a playlist, in characters. */
export const DESCRIPTION_MAX_LENGTH = 4_096;
/** Longest title of an episode or podcast in a playlist, in characters. */
export const TITLE_MAX_LENGTH = 1_024;
/** A client's clock may be ahead of ours by at most this much, in milliseconds. */
export const CLOCK_AHEAD_MAX_MS = 24 * 3_600_000;

// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f]/;

const isPrintable = (text: string): boolean =>
  (text as string & { isWellFormed(): boolean }).isWellFormed() && !UNPRINTABLE.test(text);

/** Text that can be stored and shown: well-formed Unicode without control characters. */
export const plainText = (maxLength: number) =>
  z.string().max(maxLength).refine(isPrintable, {
    message: 'contains control characters or lone surrogates',
  });

const rfc3339 = z.iso.datetime({ offset: true });
/** The usual form, of days that every month has: a sync carries thousands of them. The others are looked up in the calendar. */
const USUAL = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?Z$/;

function parseTime(text: string): number {
  if (USUAL.test(text)) return Date.parse(text);
  // A leap second has no number of its own in epoch time.
  const upper = text.toUpperCase().replace(/:60(?=[.Z+-])/, ':59');
  return rfc3339.safeParse(upper).success ? Date.parse(upper) : Number.NaN;
}

/** RFC 3339 → epoch milliseconds; not before 1970. */
export const timestamp = z.string().transform((text, context) => {
  const time = parseTime(text);
  if (time >= 0) return time;
  context.addIssue({
    code: 'custom',
    message: 'is not an RFC 3339 time from 1970 on',
    params: { code: 'invalid_time' },
  });
  return z.NEVER;
});

const position = z.number().min(0).max(POSITION_MAX_SECONDS);
const sourceId = plainText(TEXT_MAX_LENGTH)
  .nullish()
  .transform((id) => id || null);

export const subscribeBody = z.object({ rss_source_feed: feedParameter, rss_source_id: sourceId });
export const playBody = z.object({
  rss_source_feed: feedParameter,
  rss_source_item: itemParameter,
  position: position.default(0),
  played: z.boolean().default(false),
});
export const positionBody = z.object({ position, played: z.boolean().optional() });

/** A podcast as a device holds it. */
export const subscriptionEntry = z
  .object({
    rss_source_feed: feedParameter,
    rss_source_id: sourceId,
    subscribed_at: timestamp.nullish(),
    unsubscribed_at: timestamp.nullish(),
  })
  .refine((entry) => (entry.subscribed_at ?? entry.unsubscribed_at ?? null) !== null, {
    message: 'needs subscribed_at or unsubscribed_at',
  });

/** An episode as a device holds it. */
export const playEntry = z.object({
  rss_source_feed: feedParameter,
  rss_source_item: itemParameter,
  position,
  played: z.boolean().default(false),
  updated_at: timestamp,
});

// Titles and descriptions come from feeds and from people: breaks of lines are theirs to make.
const proseOrNull = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine((text) => isPrintable(text.replace(/[\t\r\n]/g, ' ')), {
      message: 'contains control characters or lone surrogates',
    })
    .nullable()
    .transform((text) => text || null);

/** A UUID of any version, in lower case. */
export const uuid = z.guid().transform((id) => id.toLowerCase());
const playlistName = plainText(TEXT_MAX_LENGTH).min(1);
const description = proseOrNull(DESCRIPTION_MAX_LENGTH);
const title = proseOrNull(TITLE_MAX_LENGTH).default(null);
const itemOrder = z
  .array(uuid)
  .max(PLAYLIST_ITEMS_MAX)
  .refine((ids) => new Set(ids).size === ids.length, { message: 'names an item twice' });

export const createPlaylistBody = z.object({
  id: uuid.nullish(),
  name: playlistName,
  description: description.default(null),
});
/** What is left out stays as it is. */
export const changePlaylistBody = z.object({ name: playlistName.optional(), description: description.optional() });
export const addPlaylistItemBody = z.object({
  rss_source_feed: feedParameter,
  rss_source_item: itemParameter,
  item_title: title,
  feed_title: title,
});
export const playlistOrderBody = z.object({ items: itemOrder });

/** An item of a playlist as a device holds it; without `updated_at` it is dated by the later of the other two. */
export const playlistItemEntry = addPlaylistItemBody
  .extend({ created_at: timestamp.nullish(), updated_at: timestamp.nullish(), deleted_at: timestamp.nullish() })
  .refine((entry) => (entry.updated_at ?? entry.created_at ?? entry.deleted_at ?? null) !== null, {
    message: 'needs created_at, updated_at or deleted_at',
  });

/** Looked at by itself, so that a bad one does not sink the others. */
const oneByOne = (entry: z.ZodType) => z.unknown().meta({ documentedAs: entry });

/** A playlist as a device holds it; its items are entries of their own. One that is deleted needs no name any more. */
export const playlistEntry = z
  .object({
    id: uuid,
    // Of one that was deleted the name may be forgotten.
    name: plainText(TEXT_MAX_LENGTH).nullish(),
    description: description.default(null),
    updated_at: timestamp,
    deleted_at: timestamp.nullish(),
    order: itemOrder.nullish(),
    ordered_at: timestamp.nullish(),
    items: z.array(oneByOne(playlistItemEntry)).nullish(),
  })
  .refine((entry) => entry.name || (entry.deleted_at ?? null) !== null, { path: ['name'], message: 'is missing' })
  .refine((entry) => !entry.order?.length || (entry.ordered_at ?? null) !== null, {
    path: ['ordered_at'],
    message: 'is missing beside order',
  });

/** A list that is no list is refused whole. */
const syncList = (entry: z.ZodType) => z.array(oneByOne(entry)).max(SYNC_LIST_MAX).optional();
const itemsOf = (playlists: readonly unknown[] = []): number =>
  playlists.reduce<number>((sum, playlist) => {
    const items = (playlist as { items?: unknown } | null)?.items;
    return sum + (Array.isArray(items) ? items.length : 0);
  }, 0);
export const syncBody = z.object({
  subscriptions: syncList(subscriptionEntry),
  play_statuses: syncList(playEntry),
  playlists: syncList(playlistEntry).refine((playlists) => itemsOf(playlists) <= SYNC_LIST_MAX, {
    message: `hold more than ${SYNC_LIST_MAX} items together`,
  }),
  since: z.string().max(1_024).nullish(),
  client_time: timestamp.nullish(),
});
export type SyncBody = z.infer<typeof syncBody>;

const time = (at: number): string => new Date(at).toISOString();
const timeOrNull = (at: number | null): string | null => (at === null ? null : time(at));

export const wireSubscription = (subscription: {
  feed: string;
  sourceId: string | null;
  subscribedAt: number | null;
  unsubscribedAt: number | null;
}): WireSubscription => ({
  rss_source_feed: encodeBase64(subscription.feed),
  rss_source_id: subscription.sourceId,
  subscribed_at: timeOrNull(subscription.subscribedAt),
  unsubscribed_at: timeOrNull(subscription.unsubscribedAt),
});

export const wirePlay = (play: {
  feed: string;
  item: string;
  position: number;
  played: boolean;
  updatedAt: number;
}): WirePlay => ({
  rss_source_feed: encodeBase64(play.feed),
  rss_source_item: encodeBase64(play.item),
  position: play.position,
  played: play.played,
  updated_at: time(play.updatedAt),
});

export const wirePlaylistItem = (item: {
  id: string;
  feed: string;
  item: string;
  itemTitle: string | null;
  feedTitle: string | null;
  createdAt: number;
  updatedAt: number;
  deletedAt: number | null;
}): WirePlaylistItem => ({
  id: item.id,
  rss_source_feed: encodeBase64(item.feed),
  rss_source_item: encodeBase64(item.item),
  item_title: item.itemTitle,
  feed_title: item.feedTitle,
  created_at: time(item.createdAt),
  updated_at: time(item.updatedAt),
  deleted_at: timeOrNull(item.deletedAt),
});

export const wirePlaylist = (
  playlist: {
    playlistId: string;
    name: string;
    description: string | null;
    updatedAt: number;
    deletedAt: number | null;
    order: readonly string[];
    orderedAt: number | null;
  },
  items: WirePlaylistItem[],
): WirePlaylist => ({
  id: playlist.playlistId,
  name: playlist.name,
  description: playlist.description,
  updated_at: time(playlist.updatedAt),
  deleted_at: timeOrNull(playlist.deletedAt),
  order: [...playlist.order],
  ordered_at: timeOrNull(playlist.orderedAt),
  items,
});
export const wireEpisode = (mark: {
  feed: string;
  item: string;
  savedAt: number | null;
  sharedAt: number | null;
}): WireEpisode => ({
  rss_source_feed: encodeBase64(mark.feed),
  rss_source_item: encodeBase64(mark.item),
  saved: mark.savedAt !== null,
  saved_at: timeOrNull(mark.savedAt),
  shared_at: timeOrNull(mark.sharedAt),
});
