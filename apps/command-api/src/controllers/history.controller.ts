import { Body, Controller, Delete, HttpCode, Inject, Query, UseGuards } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { Documented } from '@balados/platform-service';
import type { Sql } from '@balados/platform-stores';
import { CurrentListener, ListenerGuard, requestErasure } from '@balados/users-accounts';
import type { Listener } from '@balados/users-accounts';
import { USERS_SQL } from '@balados/users-read';
import { EraseListenerHistory } from '@balados/users-write';
import { z } from 'zod';
import { accepted, erasureAnswer } from '../answers';

/** It is all or nothing: what seems to name a part must not be overlooked, for then all would go. */
const nothing = z.strictObject({});
const noBody = nothing.optional();

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
    summary: 'Erases subscriptions, plays, saves, shares and playlists up to now; account and privacy stay',
    status: 202,
    answer: erasureAnswer,
  })
  @HttpCode(202)
  async erase(
    @CurrentListener() { userId }: Listener,
    @Query({ schema: nothing }) _query: z.infer<typeof nothing>,
    @Body({ schema: noBody }) _body: z.infer<typeof noBody>,
  ) {
    const erasure = await requestErasure(this.sql, userId, 'history');
    await this.commands.execute(new EraseListenerHistory(userId, erasure.requestedAt.getTime(), erasure.id));
    return accepted(erasure);
  }
}
