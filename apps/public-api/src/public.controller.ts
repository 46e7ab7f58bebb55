import { Controller, Get, Header, Inject, Param, Query, UseInterceptors } from '@nestjs/common';
import { encodeBase64, feedParameter, itemParameter } from '@balados/feeds-ids';
import { Documented, limitParameter, offsetParameter, Problem } from '@balados/platform-service';
import type { Sql } from '@balados/platform-stores';
import {
  EVENT_TYPES,
  episodePopularity,
  podcastPopularity,
  timeline,
  trendingEpisodes,
  trendingPodcasts,
} from '@balados/site-read';
import { z } from 'zod';
import { episodeAnswer, podcastAnswer, timelineAnswer } from './answers';
import { SITE_SQL } from './site-sql';
import { Withholding } from './withholding';

/** Rows of a trending list unless told. */
export const TRENDING_DEFAULT = 20;

/**
 * With the moment that the service itself keeps an answer: what is withdrawn is gone everywhere within 30 s, also where a cache cannot reach us
 * (`must-revalidate`), since it would go on naming people.
 */
export const LASTING = 'public, max-age=29, must-revalidate';
const BRIEF = 'public, max-age=5, must-revalidate';

const podcastsQuery = z.object({ limit: limitParameter(TRENDING_DEFAULT) });
const episodesQuery = podcastsQuery.extend({ feed: feedParameter.optional() });
const feedPath = z.object({ feed: feedParameter });
const itemPath = z.object({ item: itemParameter });
const feedQuery = z.object({ feed: feedParameter.optional() });
const timelineQuery = z.object({
  limit: limitParameter(),
  offset: offsetParameter,
  event_type: z.enum(EVENT_TYPES).optional(),
  feed: feedParameter.optional(),
  cursor: z.string().max(256).optional(),
});

export const nothingPublic = (what: string): Problem =>
  new Problem(404, 'not_public', `Nothing public is known of this ${what}.`);

@Controller('api/v1/public')
@UseInterceptors(Withholding)
export class PublicController {
  constructor(@Inject(SITE_SQL) private readonly sql: Sql) {}

  @Get('trending/podcasts')
  @Documented({
    summary: 'The podcasts that grow most, then those most popular',
    answer: z.object({ podcasts: z.array(podcastAnswer) }),
  })
  @Header('cache-control', LASTING)
  async podcasts(@Query({ schema: podcastsQuery }) { limit }: z.infer<typeof podcastsQuery>) {
    return { podcasts: await trendingPodcasts(this.sql, { limit }) };
  }

  @Get('trending/episodes')
  @Documented({
    summary: 'The episodes that grow most, then those most popular',
    answer: z.object({ episodes: z.array(episodeAnswer) }),
  })
  @Header('cache-control', LASTING)
  async episodes(@Query({ schema: episodesQuery }) { limit, feed }: z.infer<typeof episodesQuery>) {
    return { episodes: await trendingEpisodes(this.sql, { limit, feed }) };
  }

  @Get('feed/:feed/popularity')
  @Documented({
    summary: 'The counts of a podcast',
    answer: z.object({ podcast: podcastAnswer }),
    problems: { 404: ['not_public'] },
  })
  @Header('cache-control', LASTING)
  async podcast(@Param({ schema: feedPath }) { feed }: z.infer<typeof feedPath>) {
    const podcast = await podcastPopularity(this.sql, feed);
    if (!podcast) throw nothingPublic('podcast');
    return { podcast };
  }

  @Get('episode/:item/popularity')
  @Documented({
    summary: 'The counts of an episode',
    answer: z.object({ episode: episodeAnswer }),
    problems: { 404: ['not_public'], 409: ['episode_ambiguous'] },
  })
  @Header('cache-control', LASTING)
  async episode(
    @Param({ schema: itemPath }) { item }: z.infer<typeof itemPath>,
    @Query({ schema: feedQuery }) { feed }: z.infer<typeof feedQuery>,
  ) {
    const found = await episodePopularity(this.sql, item, feed);
    if (!found) throw nothingPublic('episode');
    if ('candidates' in found) {
      throw new Problem(409, 'episode_ambiguous', 'Several podcasts hold this item: name its feed.', {
        candidates: found.candidates.map(encodeBase64),
      });
    }
    return { episode: found };
  }

  @Get('timeline')
  @Documented({ summary: 'What happened, the newest first', answer: timelineAnswer })
  @Header('cache-control', BRIEF)
  async events(@Query({ schema: timelineQuery }) query: z.infer<typeof timelineQuery>) {
    const { limit, offset, event_type: eventType, feed, cursor } = query;
    const { events, next_cursor } = await timeline(this.sql, { limit, offset, eventType, feed, cursor });
    return { events, pagination: { limit, offset, next_cursor } };
  }
}
