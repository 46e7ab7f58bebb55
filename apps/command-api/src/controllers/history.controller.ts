import { Body, Controller, Delete, HttpCode, Inject, Query, UseGuards } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { feedParameter, itemParameter, splitItem } from '@balados/feeds-ids';
import { Documented } from '@balados/platform-service';
import type { Sql } from '@balados/platform-stores';
import { CurrentListener, ListenerGuard, requestErasure } from '@balados/users-accounts';
import type { Listener } from '@balados/users-accounts';
import { USERS_SQL } from '@balados/users-read';
import { ChooseErasure, EraseListenerHistory } from '@balados/users-write';
import { z } from 'zod';
import { accepted, erasureAnswer } from '../answers';

/** What seems to name a part must not be overlooked, for then all would go. */
const erasureQuery = z.strictObject({ feed: feedParameter.optional(), item: itemParameter.optional() });
const noBody = z.strictObject({}).optional();

@Controller('api/v1/history')
@UseGuards(ListenerGuard)
export class HistoryController {
  constructor(
    @Inject(USERS_SQL) private readonly sql: Sql,
    private readonly commands: CommandBus,
  ) {}

  /** Noted first, so that jobs carry it out whatever becomes of us; then it counts at once. */
  @Delete()
  @Documented({
    summary:
      'Erases subscriptions, plays, saves, shares and what is in playlists up to now: of a podcast, of an episode, or all; account and privacy stay',
    status: 202,
    answer: erasureAnswer,
    problems: { 404: ['episode_unknown'], 409: ['episode_ambiguous'], 422: ['erasures_full'] },
  })
  @HttpCode(202)
  async erase(
    @CurrentListener() { userId }: Listener,
    @Query({ schema: erasureQuery }) { feed, item }: z.infer<typeof erasureQuery>,
    @Body({ schema: noBody }) _body: z.infer<typeof noBody>,
  ) {
    const target = await this.commands.execute(new ChooseErasure(userId, feed, item));
    const enclosure = (item !== undefined && splitItem(item).enclosure) || null;
    const erasure = await requestErasure(this.sql, userId, target, enclosure);
    await this.commands.execute(new EraseListenerHistory(userId, target, erasure.requestedAt.getTime(), erasure.id));
    return accepted(erasure);
  }
}
