import { Body, Controller, Delete, Get, Header, HttpCode, Inject, Param, Post, UseGuards } from '@nestjs/common';
import { CurrentListener, ListenerGuard } from '@balados/users-accounts';
import type { AccountsParts, Listener } from '@balados/users-accounts';
import { plainText, TEXT_MAX_LENGTH, uuid } from '@balados/users-contracts';
import { z } from 'zod';
import { success } from '../answers';
import { IdempotencyKey } from '../idempotency-key';
import { ACCOUNTS } from '../tokens';

const tokenBody = z.object({ name: plainText(TEXT_MAX_LENGTH).min(1) });
const tokenPath = z.object({ id: uuid });

@Controller('api/v1/tokens')
@UseGuards(ListenerGuard)
export class TokensController {
  constructor(@Inject(ACCOUNTS) private readonly parts: AccountsParts) {}

  @Post()
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  create(
    @CurrentListener() { userId }: Listener,
    @Body({ schema: tokenBody }) { name }: z.infer<typeof tokenBody>,
    @IdempotencyKey() key: string | undefined,
  ) {
    return this.parts.tokens.create(userId, name, key);
  }

  @Get()
  @Header('cache-control', 'private, no-store')
  async list(@CurrentListener() { userId }: Listener) {
    return { tokens: await this.parts.tokens.list(userId) };
  }

  @Delete(':id')
  async revoke(
    @CurrentListener() { userId }: Listener,
    @Param({ schema: tokenPath }) { id }: z.infer<typeof tokenPath>,
  ) {
    await this.parts.tokens.revoke(userId, id);
    return success({ id });
  }
}
