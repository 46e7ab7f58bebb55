import { Controller, Get, Param, Query, UseGuards } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiExcludeController } from '@nestjs/swagger';
import { gpodderPodcast } from '@balados/feeds-content';
import { splitItem } from '@balados/feeds-ids';
import { CurrentListener } from '@balados/users-accounts';
import type { Listener } from '@balados/users-accounts';
import type { EpisodeAction } from '@balados/users-domain';
import { GetEpisodeActions, GetSubscriptionChanges } from '@balados/users-read';
import { z } from 'zod';
import { tellable, writtenAction } from './actions';
import { AppGuard } from './app.guard';
import { listedEpisode } from './listed-episode';
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
  constructor(private readonly queries: QueryBus) {}

  @Get()
  async updates(
    @CurrentListener() { userId }: Listener,
    @Param({ schema: devicePath }) _path: z.infer<typeof devicePath>,
    @Query({ schema: query }) { since, include_actions: withActions }: z.infer<typeof query>,
  ) {
    // Before the reading: what comes meanwhile is told the next time.
    const timestamp = secondsNow();
    const { subscribed, unsubscribed } = await this.queries.execute(new GetSubscriptionChanges(userId, since));
    const actions = await this.queries.execute(new GetEpisodeActions(userId, { since, isAggregated: true }));
    const last = new Map<string, EpisodeAction>();
    for (const action of tellable(actions))
      if (STATUSES.includes(action.action)) last.set(`${action.feed}\n${splitItem(action.item).enclosure}`, action);
    return {
      add: subscribed.map((url) => gpodderPodcast({ url, title: null, author: null, logo: null })),
      remove: unsubscribed,
      updates: [...last.values()].map((action) => ({
        ...listedEpisode(action),
        status: action.action,
        ...(withActions && action.action !== 'new' && { action: writtenAction(action) }),
      })),
      timestamp,
    };
  }
}
