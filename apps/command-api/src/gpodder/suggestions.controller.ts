import { Controller, Get, Inject, Param, Res, UseGuards } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiExcludeController } from '@nestjs/swagger';
import { listFile, podcastList } from '@balados/feeds-content';
import type { ListedPodcast } from '@balados/feeds-content';
import { CurrentListener } from '@balados/users-accounts';
import type { Listener } from '@balados/users-accounts';
import { GetSubscriptionChanges } from '@balados/users-read';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { POPULAR_PODCASTS } from '../tokens';
import { AppGuard } from './app.guard';

/** The most popular podcasts that are public, but for those of `except` (canonical URLs). */
export type PopularPodcasts = (asked: { limit: number; except: readonly string[] }) => Promise<ListedPodcast[]>;

const path = z.object({ count: listFile });

/** Podcasts that are popular in public and that the listener is not subscribed to. */
@Controller('suggestions/:count')
@ApiExcludeController()
@UseGuards(AppGuard)
export class GpodderSuggestionsController {
  constructor(
    private readonly queries: QueryBus,
    @Inject(POPULAR_PODCASTS) private readonly popular: PopularPodcasts,
  ) {}

  @Get()
  async suggest(
    @CurrentListener() { userId }: Listener,
    @Param({ schema: path }) { count: asked }: z.infer<typeof path>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { subscribed: except } = await this.queries.execute(new GetSubscriptionChanges(userId, 0));
    const { type, body } = podcastList(asked.format, 'Suggestions', await this.popular({ limit: asked.count, except }));
    reply.type(type).send(body);
  }
}
