import { Body, Controller, Get, HttpCode, Param, Post, Put, Query, Res, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { Documented, limitParameter, offsetParameter } from '@balados/platform-service';
import { feedParameter, itemParameter } from '@balados/feeds-ids';
import { playAnswer, playBody, positionBody } from '@balados/users-contracts';
import { ListenerGuard } from '@balados/users-accounts';
import { GetPlays } from '@balados/users-read';
import { ChangePlay } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { markStale, pageAnswer, success, successAnswer } from '../answers';
import { EPISODE_PROBLEMS } from '../problems';
import { CurrentSpeaker } from '../speaker';

const itemPath = z.object({ item: itemParameter });
const feedQuery = z.object({ feed: feedParameter.optional() });
const listQuery = z.object({ limit: limitParameter(), offset: offsetParameter, feed: feedParameter.optional() });

@Controller('api/v1/play')
@UseGuards(ListenerGuard)
export class PlayController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post()
  @Documented({ summary: 'Records a play', answer: successAnswer(playAnswer), problems: { 422: ['library_full'] } })
  @HttpCode(200)
  async play(@CurrentSpeaker() speaker: Speaker, @Body({ schema: playBody }) body: z.infer<typeof playBody>) {
    const { rss_source_feed: feed, rss_source_item: item, position, played } = body;
    const data = { feed, item, position, played };
    return success(await this.commands.execute(new ChangePlay(speaker, { type: 'RecordPlay', data })));
  }

  @Put(':item/position')
  @Documented({
    summary: 'Moves the position in an episode',
    answer: successAnswer(playAnswer),
    problems: EPISODE_PROBLEMS,
  })
  async position(
    @CurrentSpeaker() speaker: Speaker,
    @Param({ schema: itemPath }) { item }: z.infer<typeof itemPath>,
    @Query({ schema: feedQuery }) { feed }: z.infer<typeof feedQuery>,
    @Body({ schema: positionBody }) body: z.infer<typeof positionBody>,
  ) {
    const data = { feed, item, ...body };
    return success(await this.commands.execute(new ChangePlay(speaker, { type: 'UpdatePosition', data })));
  }

  @Get()
  @Documented({
    summary: 'Plays and positions, the latest first',
    answer: z.object({ play_statuses: z.array(playAnswer), pagination: pageAnswer }),
  })
  async list(
    @CurrentSpeaker() { userId }: Speaker,
    @Query({ schema: listQuery }) { limit, offset, feed }: z.infer<typeof listQuery>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { answer, stale } = await this.queries.execute(new GetPlays(userId, { limit, offset }, feed));
    markStale(reply, stale);
    return { play_statuses: answer.plays, pagination: { limit, offset, total: answer.total } };
  }
}
