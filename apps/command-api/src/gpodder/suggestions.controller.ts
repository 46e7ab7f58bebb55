import { Controller, Get, Inject, Param, Res, UseGuards } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { listFile, podcastList } from '@balados/feeds-content';
import type { ListedPodcast } from '@balados/feeds-content';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { POPULAR_PODCASTS } from '../tokens';
import { AppGuard } from './app.guard';
import { FeedsOfApps } from './feeds-of-app';
import { CurrentApp } from './speaking-app';
import type { SpeakingApp } from './speaking-app';

/** The most popular podcasts that are public, but for those of `except` (canonical URLs). */
export type PopularPodcasts = (asked: { limit: number; except: readonly string[] }) => Promise<ListedPodcast[]>;

const path = z.object({ count: listFile });

/** Podcasts that are popular in public and that the listener is not subscribed to. */
@Controller('suggestions/:count')
@ApiExcludeController()
@UseGuards(AppGuard)
export class GpodderSuggestionsController {
  constructor(
    private readonly feeds: FeedsOfApps,
    @Inject(POPULAR_PODCASTS) private readonly popular: PopularPodcasts,
  ) {}

  @Get()
  async suggest(
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: path }) { count: asked }: z.infer<typeof path>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const except = await this.feeds.addressesHeld(app);
    const { type, body } = podcastList(asked.format, 'Suggestions', await this.popular({ limit: asked.count, except }));
    reply.type(type).send(body);
  }
}
