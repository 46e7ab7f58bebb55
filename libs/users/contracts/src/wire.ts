import { encodeBase64, feedParameter, itemParameter } from '@balados/feeds-ids';
import { z } from 'zod';

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
/** A client's clock may be ahead of ours by at most this much, in milliseconds. */
export const CLOCK_AHEAD_MAX_MS = 24 * 3_600_000;

// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f]/;

/** Text that can be stored and shown: well-formed Unicode without control characters. */
export const plainText = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine((text) => (text as string & { isWellFormed(): boolean }).isWellFormed() && !UNPRINTABLE.test(text), {
      message: 'contains control characters or lone surrogates',
    });

const rfc3339 = z.iso.datetime({ offset: true });
/** RFC 3339 → epoch milliseconds; not before 1970. */
export const timestamp = z.string().transform((text, context) => {
  // A leap second has no number of its own in epoch time.
  const upper = text.toUpperCase().replace(/:60(?=[.Z+-])/, ':59');
  const time = rfc3339.safeParse(upper).success ? Date.parse(upper) : Number.NaN;
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

/** Entries are looked at one by one, so that a bad one does not sink the others; a list that is no list is refused whole. */
const syncList = z.array(z.unknown()).max(SYNC_LIST_MAX).optional();
export const syncBody = z.object({
  subscriptions: syncList,
  play_statuses: syncList,
  playlists: syncList,
  since: z.string().max(1_024).nullish(),
  client_time: timestamp.nullish(),
});
export type SyncBody = z.infer<typeof syncBody>;

const time = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());

export const wireSubscription = (subscription: {
  feed: string;
  sourceId: string | null;
  subscribedAt: number | null;
  unsubscribedAt: number | null;
}) => ({
  rss_source_feed: encodeBase64(subscription.feed),
  rss_source_id: subscription.sourceId,
  subscribed_at: time(subscription.subscribedAt),
  unsubscribed_at: time(subscription.unsubscribedAt),
});
export type WireSubscription = ReturnType<typeof wireSubscription>;

export const wirePlay = (play: {
  feed: string;
  item: string;
  position: number;
  played: boolean;
  updatedAt: number;
}) => ({
  rss_source_feed: encodeBase64(play.feed),
  rss_source_item: encodeBase64(play.item),
  position: play.position,
  played: play.played,
  updated_at: time(play.updatedAt),
});
export type WirePlay = ReturnType<typeof wirePlay>;

/** An episode as it is marked: saved, shared, or neither. */
export const wireEpisode = (mark: { feed: string; item: string; savedAt: number | null; sharedAt: number | null }) => ({
  rss_source_feed: encodeBase64(mark.feed),
  rss_source_item: encodeBase64(mark.item),
  saved: mark.savedAt !== null,
  saved_at: time(mark.savedAt),
  shared_at: time(mark.sharedAt),
});
export type WireEpisode = ReturnType<typeof wireEpisode>;
