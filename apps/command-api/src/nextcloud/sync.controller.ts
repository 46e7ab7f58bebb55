import { Body, Controller, Get, HttpCode, Post, Query, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiExcludeController } from '@nestjs/swagger';
import { TakesAnyBody } from '@balados/platform-service';
import type { EpisodeAction } from '@balados/users-domain';
import { GetEpisodeActions, GetSubscriptionChanges } from '@balados/users-read';
import { ChangeSubscriptions, ReportEpisodeActions } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import { z } from 'zod';
import { ACTIONS_MAX, readActions, reportedAction, told, writtenAction } from '../gpodder/actions';
import { AppGuard } from '../gpodder/app.guard';
import { FeedsOfApps } from '../gpodder/feeds-of-app';
import { CurrentApp } from '../gpodder/speaking-app';
import type { SpeakingApp } from '../gpodder/speaking-app';
import { changes, jsonOf, readBoth, secondsNow, since } from '../gpodder/wire';
import { CurrentSpeaker } from '../speaker';

const query = z.object({ since });
const upload = z.array(reportedAction).max(ACTIONS_MAX);

/** The same as gPodder's, as Nextcloud's app gpoddersync has it: without devices, actions in capitals, what is absent as -1. */
@Controller('index.php/apps/gpoddersync')
@ApiExcludeController()
@UseGuards(AppGuard)
export class NextcloudSyncController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    private readonly feeds: FeedsOfApps,
  ) {}

  @Get('subscriptions')
  async subscriptions(@CurrentApp() app: SpeakingApp, @Query({ schema: query }) asked: z.infer<typeof query>) {
    const timestamp = secondsNow();
    const feeds = await this.feeds.of(app);
    const changes = await this.queries.execute(new GetSubscriptionChanges(app.userId, asked.since));
    return { ...feeds.told(changes), timestamp };
  }

  @Post('subscription_change/create')
  @TakesAnyBody()
  @HttpCode(200)
  async change(@CurrentSpeaker() speaker: Speaker, @CurrentApp() app: SpeakingApp, @Body() body: unknown) {
    const [add, remove] = readBoth(jsonOf(body, changes));
    const timestamp = secondsNow();
    const wanted = await this.feeds.changed(app, add.feeds, remove.feeds);
    await this.commands.execute(new ChangeSubscriptions(speaker, wanted));
    return { timestamp };
  }

  @Get('episode_action')
  async actions(@CurrentApp() app: SpeakingApp, @Query({ schema: query }) { since }: z.infer<typeof query>) {
    const timestamp = secondsNow();
    const feeds = await this.feeds.of(app);
    const actions = await this.queries.execute(new GetEpisodeActions(app.userId, { since, isAggregated: false }));
    return { actions: told(actions, feeds).map(capital), timestamp };
  }

  @Post('episode_action/create')
  @TakesAnyBody()
  @HttpCode(200)
  async report(@CurrentSpeaker() speaker: Speaker, @CurrentApp() app: SpeakingApp, @Body() body: unknown) {
    const timestamp = secondsNow();
    const { actions } = readActions(jsonOf(body, upload), { device: undefined, now: Date.now() });
    await this.commands.execute(new ReportEpisodeActions(speaker, await this.feeds.reported(app, actions)));
    return { timestamp };
  }
}

function capital(action: EpisodeAction) {
  const { device: _, ...written } = writtenAction(action);
  return { started: -1, position: -1, total: -1, guid: '', ...written, action: action.action.toUpperCase() };
}
