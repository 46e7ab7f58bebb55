import { EVENT_TYPES } from '@balados/site-read';
import type { EpisodePopularity, PodcastPopularity, TimelinePage } from '@balados/site-read';
import { z } from 'zod';

// As the documentation shows it; that our own types say the same is checked by the compiler.

const base64 = z.string().meta({ contentEncoding: 'base64' });
const count = z.int();

const cover = z.object({ src: z.string(), srcset: z.string().nullable() }).meta({ id: 'Cover' });
const counts = z.object({
  score: count,
  score_previous: count,
  plays: count,
  plays_previous: count,
  plays_people: z.array(z.guid()).meta({ description: 'User ids, the most recent first.' }),
  likes: count,
  likes_previous: count,
  likes_people: z.array(z.guid()).meta({ description: 'User ids, the most recent first.' }),
});

export const podcastAnswer = counts
  .extend({
    rss_source_feed: base64,
    feed_title: z.string().nullable(),
    feed_author: z.string().nullable(),
    feed_cover: cover.nullable(),
  })
  .meta({ id: 'PodcastPopularity' }) satisfies z.ZodType<PodcastPopularity>;

export const episodeAnswer = podcastAnswer
  .extend({ rss_source_item: base64 })
  .meta({ id: 'EpisodePopularity' }) satisfies z.ZodType<EpisodePopularity>;

const event = z
  .object({
    event_type: z.enum(EVENT_TYPES),
    user_id: z.guid().nullable(),
    rss_source_feed: base64,
    rss_source_item: base64.nullable(),
    occurred_at: z.iso.datetime(),
  })
  .meta({ id: 'PublicEvent' }) satisfies z.ZodType<TimelinePage['events'][number]>;

export const timelineAnswer = z.object({
  events: z.array(event),
  pagination: z.object({ limit: z.int(), offset: z.int(), next_cursor: z.string().nullable() }),
});
