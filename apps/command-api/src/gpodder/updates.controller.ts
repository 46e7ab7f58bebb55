import { Controller, Get, Param, Query, UseGuards } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiExcludeController } from '@nestjs/swagger';
import { gpodderPodcast } from '@balados/feeds-content';
import { splitItem } from '@balados/feeds-ids';
import type { EpisodeAction } from '@balados/users-domain';
import { GetEpisodeActions, GetSubscriptionChanges } from '@balados/users-read';
import { z } from 'zod';
import { told, writtenAction } from './actions';
import { AppGuard } from './app.guard';
import { FeedsOfApps } from './feeds-of-app';
import { listedEpisode } from './listed-episode';
import { CurrentApp } from './speaking-app';
import type { SpeakingApp } from './speaking-app';
import { named, secondsNow, since } from './wire';

const devicePath = z.object({ user: z.string(), file: named('json') });
const query = z.object({
  since,
  include_actions: z
    .string()
    .default('false')
    .transform((text) => text.toLowerCase() === 'true'),
});
/** As the protocol has it, beside `new`, which no action is needed for. */
const STATUSES: readonly string[] = ['new', 'play', 'download', 'delete'];

/**
 * Subscriptions and episodes in one answer. Episodes are those with which something was done: what a podcast has published is not known
 * here, so none is ever told of because it is new.
 */
@Controller('api/2/updates/:user/:file')
@ApiExcludeController()
@UseGuards(AppGuard)
export class GpodderUpdatesController {
  constructor(
    private readonly queries: QueryBus,
    private readonly feeds: FeedsOfApps,
  ) {}

  @Get()
  async updates(
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: devicePath }) _path: z.infer<typeof devicePath>,
    @Query({ schema: query }) { since, include_actions: withActions }: z.infer<typeof query>,
  ) {
    // Before the reading: what comes meanwhile is told the next time.
    const timestamp = secondsNow();
    const feeds = await this.feeds.of(app);
    const { add, remove } = feeds.told(await this.queries.execute(new GetSubscriptionChanges(app.userId, since)));
    const actions = await this.queries.execute(new GetEpisodeActions(app.userId, { since, isAggregated: true }));
    const last = new Map<string, EpisodeAction>();
    for (const action of told(actions, feeds))
      if (STATUSES.includes(action.action)) last.set(`${action.feed}\n${splitItem(action.item).enclosure}`, action);
    return {
      add: add.map((url) => gpodderPodcast({ url, title: null, author: null, logo: null })),
      remove,
      updates: [...last.values()].map((action) => ({
        ...listedEpisode(action),
        status: action.action,
        ...(withActions && action.action !== 'new' && { action: writtenAction(action) }),
      })),
      timestamp,
    };
  }
}
