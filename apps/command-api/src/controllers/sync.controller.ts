import { Body, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { Documented } from '@balados/platform-service';
import { ListenerGuard } from '@balados/users-accounts';
import { syncAnswer, syncBody } from '@balados/users-contracts';
import type { SyncBody } from '@balados/users-contracts';
import { Sync } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import { CurrentSpeaker } from '../speaker';

@Controller('api/v1/sync')
@UseGuards(ListenerGuard)
export class SyncController {
  constructor(private readonly commands: CommandBus) {}

  @Post()
  @Documented({ summary: 'Brings a device and the server in step', answer: syncAnswer })
  @HttpCode(200)
  async sync(@CurrentSpeaker() speaker: Speaker, @Body({ schema: syncBody }) body: SyncBody) {
    return { status: 'success', ...(await this.commands.execute(new Sync(speaker, body))) };
  }
}
