import { Controller, Delete, Get, HttpCode, Param, Post, Query, Res, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { Documented, limitParameter, offsetParameter } from '@balados/platform-service';
import { feedParameter, itemParameter } from '@balados/feeds-ids';
import { ListenerGuard } from '@balados/users-accounts';
import { episodeAnswer } from '@balados/users-contracts';
import { GetSavedEpisodes } from '@balados/users-read';
import { MarkEpisode } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { markStale, pageAnswer, success, successAnswer } from '../answers';
import { EPISODE_PROBLEMS } from '../problems';
import { CurrentSpeaker } from '../speaker';

const itemPath = z.object({ item: itemParameter });
const feedQuery = z.object({ feed: feedParameter.optional() });
const listQuery = z.object({ limit: limitParameter(), offset: offsetParameter, feed: feedParameter.optional() });

@Controller('api/v1/episodes')
@UseGuards(ListenerGuard)
export class EpisodesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post(':item/save')
  @Documented({ summary: 'Keeps an episode', answer: successAnswer(episodeAnswer), problems: EPISODE_PROBLEMS })
  @HttpCode(200)
  async save(
    @CurrentSpeaker() speaker: Speaker,
    @Param({ schema: itemPath }) { item }: z.infer<typeof itemPath>,
    @Query({ schema: feedQuery }) { feed }: z.infer<typeof feedQuery>,
  ) {
    return success(
      await this.commands.execute(new MarkEpisode(speaker, { type: 'SaveEpisode', data: { feed, item } })),
    );
  }

  @Delete(':item/save')
  @Documented({ summary: 'Lets a kept episode go', answer: successAnswer(episodeAnswer), problems: EPISODE_PROBLEMS })
  async unsave(
    @CurrentSpeaker() speaker: Speaker,
    @Param({ schema: itemPath }) { item }: z.infer<typeof itemPath>,
    @Query({ schema: feedQuery }) { feed }: z.infer<typeof feedQuery>,
  ) {
    return success(
      await this.commands.execute(new MarkEpisode(speaker, { type: 'UnsaveEpisode', data: { feed, item } })),
    );
  }

  @Post(':item/share')
  @Documented({
    summary: 'Notes that an episode was passed on',
    answer: successAnswer(episodeAnswer),
    problems: EPISODE_PROBLEMS,
  })
  @HttpCode(200)
  async share(
    @CurrentSpeaker() speaker: Speaker,
    @Param({ schema: itemPath }) { item }: z.infer<typeof itemPath>,
    @Query({ schema: feedQuery }) { feed }: z.infer<typeof feedQuery>,
  ) {
    return success(
      await this.commands.execute(new MarkEpisode(speaker, { type: 'ShareEpisode', data: { feed, item } })),
    );
  }

  @Get('saved')
  @Documented({
    summary: 'The episodes that are kept, the latest first',
    answer: z.object({ episodes: z.array(episodeAnswer), pagination: pageAnswer }),
  })
  async saved(
    @CurrentSpeaker() { userId }: Speaker,
    @Query({ schema: listQuery }) { limit, offset, feed }: z.infer<typeof listQuery>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { answer, stale } = await this.queries.execute(new GetSavedEpisodes(userId, { limit, offset }, feed));
    markStale(reply, stale);
    return { episodes: answer.episodes, pagination: { limit, offset, total: answer.total } };
  }
}
