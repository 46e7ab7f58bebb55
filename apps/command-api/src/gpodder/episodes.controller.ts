import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiExcludeController } from '@nestjs/swagger';
import { TakesAnyBody } from '@balados/platform-service';
import { DEVICES_PER_LISTENER } from '@balados/users-accounts';
import type { AccountsParts } from '@balados/users-accounts';
import { GetEpisodeActions } from '@balados/users-read';
import { ReportEpisodeActions } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import { z } from 'zod';
import { CurrentSpeaker } from '../speaker';
import { ACCOUNTS } from '../tokens';
import { ACTIONS_MAX, readActions, reportedAction, told, writtenAction } from './actions';
import { AppGuard } from './app.guard';
import { FeedsOfApps } from './feeds-of-app';
import { CurrentApp } from './speaking-app';
import type { SpeakingApp } from './speaking-app';
import { feedOf, jsonOf, named, secondsNow, since } from './wire';

const path = z.object({ file: named('json') });
const query = z.object({
  since,
  podcast: z.string().optional(),
  device: z.string().optional(),
  aggregated: z
    .string()
    .default('false')
    .transform((text) => text.toLowerCase() === 'true'),
});
const upload = z.array(reportedAction).max(ACTIONS_MAX);

@Controller('api/2/episodes/:file')
@ApiExcludeController()
@UseGuards(AppGuard)
export class GpodderEpisodesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    @Inject(ACCOUNTS) private readonly accounts: AccountsParts,
    private readonly feeds: FeedsOfApps,
  ) {}

  @Get()
  async actions(
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: path }) _path: unknown,
    @Query({ schema: query }) { since, podcast, device, aggregated: isAggregated }: z.infer<typeof query>,
  ) {
    // Before the reading: what comes meanwhile is told the next time.
    const timestamp = secondsNow();
    const canonical = podcast === undefined ? undefined : (feedOf(podcast) ?? podcast);
    const feeds = await this.feeds.of(app, canonical === undefined ? [] : [canonical]);
    const feed = canonical === undefined ? undefined : feeds.kept(canonical);
    const asked = { since, isAggregated, device, feed };
    const actions = await this.queries.execute(new GetEpisodeActions(app.userId, asked));
    return { actions: told(actions, feeds).map(writtenAction), timestamp };
  }

  @Post()
  @TakesAnyBody()
  @HttpCode(200)
  async report(
    @CurrentSpeaker() speaker: Speaker,
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: path }) _path: unknown,
    @Body() body: unknown,
  ) {
    const timestamp = secondsNow();
    const { actions, changed } = readActions(jsonOf(body, upload), { device: speaker.deviceId, now: Date.now() });
    await this.commands.execute(new ReportEpisodeActions(speaker, await this.feeds.reported(app, actions)));
    const devices = new Set(actions.flatMap(({ device }) => device ?? []));
    await this.accounts.devices.note(speaker.userId, [...devices].slice(0, DEVICES_PER_LISTENER));
    return { timestamp, update_urls: changed };
  }
}
