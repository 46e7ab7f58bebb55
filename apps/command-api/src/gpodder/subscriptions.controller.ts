import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiExcludeController } from '@nestjs/swagger';
import { Problem, TakesAnyBody } from '@balados/platform-service';
import type { AccountsParts } from '@balados/users-accounts';
import { SYNC_LIST_MAX } from '@balados/users-contracts';
import { GetSubscriptionChanges } from '@balados/users-read';
import { ChangeSubscriptions } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import { z } from 'zod';
import { CurrentSpeaker } from '../speaker';
import { ACCOUNTS } from '../tokens';
import { AppGuard } from './app.guard';
import { jsonOf, named, readFeeds, secondsNow, since } from './wire';

const path = z.object({ user: z.string(), file: named('json') });
const query = z.object({ since });
const urls = z.array(z.string()).max(SYNC_LIST_MAX).default([]);
const changes = z.object({ add: urls, remove: urls });

@Controller('api/2/subscriptions/:user/:file')
@ApiExcludeController()
@UseGuards(AppGuard)
export class GpodderSubscriptionsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    @Inject(ACCOUNTS) private readonly accounts: AccountsParts,
  ) {}

  @Get()
  async changes(
    @CurrentSpeaker() { userId }: Speaker,
    @Param({ schema: path }) _path: unknown,
    @Query({ schema: query }) asked: z.infer<typeof query>,
  ) {
    // Before the reading: what comes meanwhile is told the next time.
    const timestamp = secondsNow();
    const { subscribed, unsubscribed } = await this.queries.execute(new GetSubscriptionChanges(userId, asked.since));
    return { add: subscribed, remove: unsubscribed, timestamp };
  }

  @Post()
  @TakesAnyBody()
  @HttpCode(200)
  async change(
    @CurrentSpeaker() speaker: Speaker,
    @Param({ schema: path }) { file }: z.infer<typeof path>,
    @Body() body: unknown,
  ) {
    const [add, remove] = bothOf(jsonOf(body, changes));
    await this.accounts.devices.tell(speaker.userId, { deviceId: file.name });
    const timestamp = secondsNow();
    await this.commands.execute(new ChangeSubscriptions(speaker, { subscribe: add.feeds, unsubscribe: remove.feeds }));
    return { timestamp, update_urls: [...add.changed, ...remove.changed] };
  }
}

function bothOf({ add, remove }: z.infer<typeof changes>) {
  const both = [readFeeds(add), readFeeds(remove)] as const;
  const removed = new Set(both[1].feeds);
  const twice = both[0].feeds.find((feed) => removed.has(feed));
  if (twice !== undefined) throw new Problem(400, 'contradiction', `${twice} is both to be added and to be removed.`);
  return both;
}
