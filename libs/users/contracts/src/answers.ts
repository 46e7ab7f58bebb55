import { z } from 'zod';
import { PRIVACIES } from './events';

/**
 * What listeners are answered, as the documentation shows it; the types of our own code come from here. Nothing is checked against it at
 * run time: the tests of the front door hold every answer against it.
 */

const base64 = z.string().meta({ contentEncoding: 'base64' });
const time = z.iso.datetime();
const id = z.guid();

export const subscriptionAnswer = z
  .object({
    rss_source_feed: base64,
    rss_source_id: z.string().nullable(),
    subscribed_at: time.nullable(),
    unsubscribed_at: time.nullable(),
  })
  .meta({ id: 'Subscription' });
export type WireSubscription = z.infer<typeof subscriptionAnswer>;

export const playAnswer = z
  .object({
    rss_source_feed: base64,
    rss_source_item: base64,
    position: z.number(),
    played: z.boolean(),
    updated_at: time,
  })
  .meta({ id: 'Play' });
export type WirePlay = z.infer<typeof playAnswer>;

/** An episode as it is marked: saved, shared, or neither. */
export const episodeAnswer = z
  .object({
    rss_source_feed: base64,
    rss_source_item: base64,
    saved: z.boolean(),
    saved_at: time.nullable(),
    shared_at: time.nullable(),
  })
  .meta({ id: 'Episode' });
export type WireEpisode = z.infer<typeof episodeAnswer>;

export const playlistItemAnswer = z
  .object({
    id,
    rss_source_feed: base64,
    rss_source_item: base64,
    item_title: z.string().nullable(),
    feed_title: z.string().nullable(),
    created_at: time,
    updated_at: time,
    deleted_at: time.nullable(),
  })
  .meta({ id: 'PlaylistItem' });
export type WirePlaylistItem = z.infer<typeof playlistItemAnswer>;

export const playlistAnswer = z
  .object({
    id,
    name: z.string(),
    description: z.string().nullable(),
    updated_at: time,
    deleted_at: time.nullable(),
    order: z.array(id),
    ordered_at: time.nullable(),
    items: z.array(playlistItemAnswer),
  })
  .meta({ id: 'Playlist' });
export type WirePlaylist = z.infer<typeof playlistAnswer>;

/** A setting of privacy; null: the scope has none of its own, so that the wider one holds. */
export const privacyAnswer = z
  .object({ feed: base64.nullable(), item: base64.nullable(), privacy: z.enum(PRIVACIES).nullable() })
  .meta({ id: 'PrivacySetting' });
export type WirePrivacy = z.infer<typeof privacyAnswer>;

/** An entry of a sync that could not be taken; the others were. */
const rejectedAnswer = z
  .object({ path: z.string(), code: z.string(), message: z.string() })
  .meta({ id: 'RejectedEntry' });

export const syncAnswer = z.object({
  status: z.literal('success'),
  data: z.object({
    subscriptions: z.array(subscriptionAnswer),
    play_statuses: z.array(playAnswer),
    playlists: z.array(playlistAnswer),
  }),
  rejected: z.array(rejectedAnswer),
  sync_token: z.string(),
  full: z.boolean(),
});
