import { Body, Controller, Get, HttpCode, Inject, Param, Post, Put, UseGuards } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiExcludeController } from '@nestjs/swagger';
import { Problem, TakesAnyBody } from '@balados/platform-service';
import { CurrentListener, DEVICE_TYPES } from '@balados/users-accounts';
import type { AccountsParts, Listener } from '@balados/users-accounts';
import { plainText, TEXT_MAX_LENGTH } from '@balados/users-contracts';
import { GetSubscriptionChanges } from '@balados/users-read';
import { z } from 'zod';
import { ACCOUNTS } from '../tokens';
import { AppGuard } from './app.guard';
import { jsonOf, named } from './wire';

const userPath = z.object({ file: named('json') });
const devicePath = z.object({ user: z.string(), file: named('json') });
const deviceBody = z.object({
  caption: plainText(TEXT_MAX_LENGTH).optional(),
  type: z.enum(DEVICE_TYPES).catch('other').optional(),
});

@Controller('api/2')
@ApiExcludeController()
@UseGuards(AppGuard)
export class GpodderDevicesController {
  constructor(
    @Inject(ACCOUNTS) private readonly accounts: AccountsParts,
    private readonly queries: QueryBus,
  ) {}

  @Get('devices/:file')
  async list(@CurrentListener() { userId }: Listener, @Param({ schema: userPath }) _path: unknown) {
    const devices = await this.accounts.devices.list(userId);
    // Subscriptions are the listener's, and so the same on all of them.
    const { subscribed } = await this.queries.execute(new GetSubscriptionChanges(userId, 0));
    return devices.map(({ deviceId: id, caption, type }) => ({ id, caption, type, subscriptions: subscribed.length }));
  }

  @Post('devices/:user/:file')
  @TakesAnyBody()
  @HttpCode(200)
  async tell(
    @CurrentListener() { userId }: Listener,
    @Param({ schema: devicePath }) { file }: z.infer<typeof devicePath>,
    @Body() body: unknown,
  ): Promise<void> {
    await this.accounts.devices.tell(userId, { deviceId: file.name, ...jsonOf(body, deviceBody) });
  }

  @Put('devices/:user/:file')
  @TakesAnyBody()
  replace(
    @CurrentListener() listener: Listener,
    @Param({ schema: devicePath }) path: z.infer<typeof devicePath>,
    @Body() body: unknown,
  ): Promise<void> {
    return this.tell(listener, path, body);
  }

  @Get('sync-devices/:file')
  async groups(@CurrentListener() { userId }: Listener, @Param({ schema: userPath }) _path: unknown) {
    const ids = (await this.accounts.devices.list(userId)).map(({ deviceId }) => deviceId);
    return ids.length > 1
      ? { synchronized: [ids], 'not-synchronized': [] }
      : { synchronized: [], 'not-synchronized': ids };
  }

  /** All devices are in step already: who wants some to be is content, and who wants one out of it is told that it cannot be. */
  @Post('sync-devices/:file')
  @TakesAnyBody()
  @HttpCode(200)
  async group(
    @CurrentListener() listener: Listener,
    @Param({ schema: userPath }) path: unknown,
    @Body() body: unknown,
  ) {
    const { 'stop-synchronize': stopped } = jsonOf(body, groupBody);
    if (stopped.length > 0)
      throw new Problem(400, 'always_in_step', "A listener's devices are always in step; none can be taken out.");
    return this.groups(listener, path);
  }
}

const groupBody = z.object({
  synchronize: z.array(z.array(z.string())).default([]),
  'stop-synchronize': z.array(z.string()).default([]),
});
