import { Controller, Get, Param, Res, UseGuards } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiExcludeController } from '@nestjs/swagger';
import { decodeBase64 } from '@balados/feeds-ids';
import { EPISODES_MAX } from '@balados/users-contracts';
import { GetSavedEpisodes } from '@balados/users-read';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { markStale } from '../answers';
import { AppGuard } from './app.guard';
import { FeedsOfApps } from './feeds-of-app';
import { listedEpisode } from './listed-episode';
import { CurrentApp } from './speaking-app';
import type { SpeakingApp } from './speaking-app';
import { named } from './wire';

const userPath = z.object({ file: named('json') });

/** The saved episodes, the latest first. They are set as settings of episodes. */
@Controller('api/2/favorites/:file')
@ApiExcludeController()
@UseGuards(AppGuard)
export class GpodderFavoritesController {
  constructor(
    private readonly queries: QueryBus,
    private readonly feeds: FeedsOfApps,
  ) {}

  @Get()
  async list(
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: userPath }) _path: z.infer<typeof userPath>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const feeds = await this.feeds.of(app);
    const all = { limit: EPISODES_MAX, offset: 0 };
    const { answer, stale } = await this.queries.execute(new GetSavedEpisodes(app.userId, all));
    markStale(reply, stale);
    // To an app an episode is its enclosure: without one it cannot be told of, and two items of one are one.
    const episodes = new Map<string, ReturnType<typeof listedEpisode>>();
    for (const { rss_source_feed: feed, rss_source_item: item } of answer.episodes) {
      const episode = listedEpisode({ feed: feeds.name(decodeBase64(feed)), item: decodeBase64(item) });
      const key = `${episode.podcast_url}\n${episode.url}`;
      if (episode.url !== '' && !episodes.has(key)) episodes.set(key, episode);
    }
    return [...episodes.values()];
  }
}
