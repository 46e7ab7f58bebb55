import { Body, Controller, Delete, HttpCode, Inject, Query, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { feedId, feedParameter, itemParameter, splitItem } from '@balados/feeds-ids';
import { Documented } from '@balados/platform-service';
import type { Sql } from '@balados/platform-stores';
import { CurrentListener, ListenerGuard, otherNames, requestErasure } from '@balados/users-accounts';
import type { Erasure, Listener } from '@balados/users-accounts';
import type { ErasureTarget } from '@balados/users-contracts';
import { GetKnownFeeds, USERS_SQL } from '@balados/users-read';
import { ChooseErasure, EraseListenerHistory } from '@balados/users-write';
import { z } from 'zod';
import { accepted, erasureAnswer } from '../answers';
import { feedOf } from '../gpodder/wire';

/** What seems to name a part must not be overlooked, for then all would go. */
const erasureQuery = z.strictObject({ feed: feedParameter.optional(), item: itemParameter.optional() });
const noBody = z.strictObject({}).optional();
/** Of a podcast that apps know under other addresses, it is erased under so many of these at most, too. */
const OTHER_NAMES_MAX = 10;

@Controller('api/v1/history')
@UseGuards(ListenerGuard)
export class HistoryController {
  constructor(
    @Inject(USERS_SQL) private readonly sql: Sql,
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
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
    const others: ErasureTarget[] = [];
    for (const other of target.feedId === null ? [] : await this.otherFeeds(userId, target.feedId))
      others.push(await this.commands.execute(new ChooseErasure(userId, other, item)));
    const enclosure = (item !== undefined && splitItem(item).enclosure) || null;
    const erase = async (each: ErasureTarget): Promise<Erasure> => {
      const erasure = await requestErasure(this.sql, userId, each, enclosure);
      await this.commands.execute(new EraseListenerHistory(userId, each, erasure.requestedAt.getTime(), erasure.id));
      return erasure;
    };
    // It itself comes last: until then the names are there by which who asks again finds the others.
    for (const other of others) await erase(other);
    return accepted(await erase(target));
  }

  /** What apps call it: what they tell again later under such a name must find that it was erased. Of podcasts of their own nothing is. */
  private async otherFeeds(userId: string, erased: string): Promise<string[]> {
    const named = (await otherNames(this.sql, userId, erased)).flatMap((name) => feedOf(name) ?? []);
    const { subscribed, unsubscribed } = await this.queries.execute(new GetKnownFeeds(userId));
    return [...new Set(named)]
      .filter((other) => feedId(other) !== erased && !subscribed.has(other) && !unsubscribed.has(other))
      .slice(0, OTHER_NAMES_MAX);
  }
}
