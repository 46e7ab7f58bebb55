import { Body, Controller, Delete, Get, Put, Query, Res, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { Documented } from '@balados/platform-service';
import { privacyAnswer, privacyBody, privacyQuery } from '@balados/users-contracts';
import { ListenerGuard } from '@balados/users-accounts';
import { GetPrivacy } from '@balados/users-read';
import { ChangePrivacy } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { markStale, success, successAnswer } from '../answers';
import { CurrentSpeaker } from '../speaker';

/** What is to be removed stands in the query; a `feed` in a body must not be overlooked, for then it would be the account's. */
const noBody = z.strictObject({}).optional();

@Controller('api/v1/privacy')
@UseGuards(ListenerGuard)
export class PrivacyController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Put()
  @Documented({
    summary: 'What the world sees: of the account, a podcast, or an episode; of the past too',
    answer: successAnswer(privacyAnswer),
    problems: { 404: ['episode_unknown'], 409: ['episode_ambiguous'], 422: ['privacy_full'] },
  })
  async change(
    @CurrentSpeaker() speaker: Speaker,
    @Body({ schema: privacyBody }) { privacy, feed, item }: z.infer<typeof privacyBody>,
  ) {
    return success(await this.commands.execute(new ChangePrivacy(speaker, { feed, item }, privacy)));
  }

  @Delete()
  @Documented({
    summary: 'Removes a setting, so that the wider one holds',
    answer: successAnswer(privacyAnswer),
    problems: { 404: ['episode_unknown'], 409: ['episode_ambiguous'] },
  })
  async reset(
    @CurrentSpeaker() speaker: Speaker,
    @Query({ schema: privacyQuery }) { feed, item }: z.infer<typeof privacyQuery>,
    @Body({ schema: noBody }) _body: z.infer<typeof noBody>,
  ) {
    const scope = { feed: feed ?? null, item: item ?? null };
    return success(await this.commands.execute(new ChangePrivacy(speaker, scope, null)));
  }

  @Get()
  @Documented({ summary: 'Settings of privacy', answer: z.object({ privacy_settings: z.array(privacyAnswer) }) })
  async list(
    @CurrentSpeaker() { userId }: Speaker,
    @Query({ schema: privacyQuery }) { feed, item }: z.infer<typeof privacyQuery>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { answer, stale } = await this.queries.execute(new GetPrivacy(userId, feed, item));
    markStale(reply, stale);
    return { privacy_settings: answer };
  }
}
