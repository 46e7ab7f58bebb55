import { Body, Controller, Delete, Get, HttpCode, Param, Post, Res, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { Documented } from '@balados/platform-service';
import { feedParameter } from '@balados/feeds-ids';
import { subscribeBody, subscriptionAnswer } from '@balados/users-contracts';
import { ListenerGuard } from '@balados/users-accounts';
import { GetSubscriptions } from '@balados/users-read';
import { ChangeSubscription } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { markStale, success, successAnswer } from '../answers';
import { CurrentSpeaker } from '../speaker';

const feedPath = z.object({ feed: feedParameter });

@Controller('api/v1/subscriptions')
@UseGuards(ListenerGuard)
export class SubscriptionsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post()
  @Documented({
    summary: 'Subscribes to a podcast',
    answer: successAnswer(subscriptionAnswer),
    problems: { 422: ['library_full'] },
  })
  @HttpCode(200)
  async subscribe(
    @CurrentSpeaker() speaker: Speaker,
    @Body({ schema: subscribeBody }) body: z.infer<typeof subscribeBody>,
  ) {
    const data = { feed: body.rss_source_feed, sourceId: body.rss_source_id };
    return success(await this.commands.execute(new ChangeSubscription(speaker, { type: 'Subscribe', data })));
  }

  @Get()
  @Documented({
    summary: 'The podcasts that one is subscribed to',
    answer: z.object({ subscriptions: z.array(subscriptionAnswer) }),
  })
  async list(@CurrentSpeaker() { userId }: Speaker, @Res({ passthrough: true }) reply: FastifyReply) {
    const { answer, stale } = await this.queries.execute(new GetSubscriptions(userId));
    markStale(reply, stale);
    return { subscriptions: answer };
  }

  @Delete(':feed')
  @Documented({
    summary: 'Unsubscribes from a podcast',
    answer: successAnswer(subscriptionAnswer),
    problems: { 422: ['library_full'] },
  })
  async unsubscribe(
    @CurrentSpeaker() speaker: Speaker,
    @Param({ schema: feedPath }) { feed }: z.infer<typeof feedPath>,
  ) {
    return success(
      await this.commands.execute(new ChangeSubscription(speaker, { type: 'Unsubscribe', data: { feed } })),
    );
  }
}
