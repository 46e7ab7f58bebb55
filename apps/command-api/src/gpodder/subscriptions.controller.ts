import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiExcludeController } from '@nestjs/swagger';
import { TakesAnyBody } from '@balados/platform-service';
import type { AccountsParts } from '@balados/users-accounts';
import { GetSubscriptionChanges } from '@balados/users-read';
import { ChangeSubscriptions } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import { z } from 'zod';
import { CurrentSpeaker } from '../speaker';
import { ACCOUNTS } from '../tokens';
import { AppGuard } from './app.guard';
import { FeedsOfApps } from './feeds-of-app';
import { CurrentApp } from './speaking-app';
import type { SpeakingApp } from './speaking-app';
import { changes, jsonOf, named, readBoth, secondsNow, since } from './wire';

const path = z.object({ user: z.string(), file: named('json') });
const query = z.object({ since });

@Controller('api/2/subscriptions/:user/:file')
@ApiExcludeController()
@UseGuards(AppGuard)
export class GpodderSubscriptionsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    @Inject(ACCOUNTS) private readonly accounts: AccountsParts,
    private readonly feeds: FeedsOfApps,
  ) {}

  @Get()
  async list(
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: path }) _path: unknown,
    @Query({ schema: query }) asked: z.infer<typeof query>,
  ) {
    // Before the reading: what comes meanwhile is told the next time.
    const timestamp = secondsNow();
    const feeds = await this.feeds.of(app);
    const changes = await this.queries.execute(new GetSubscriptionChanges(app.userId, asked.since));
    return { ...feeds.told(changes), timestamp };
  }

  @Post()
  @TakesAnyBody()
  @HttpCode(200)
  async change(
    @CurrentSpeaker() speaker: Speaker,
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: path }) { file }: z.infer<typeof path>,
    @Body() body: unknown,
  ) {
    const [add, remove] = readBoth(jsonOf(body, changes));
    await this.accounts.devices.tell(speaker.userId, { deviceId: file.name });
    const timestamp = secondsNow();
    const wanted = await this.feeds.changed(app, add.feeds, remove.feeds);
    await this.commands.execute(new ChangeSubscriptions(speaker, wanted));
    return { timestamp, update_urls: [...add.changed, ...remove.changed] };
  }
}
