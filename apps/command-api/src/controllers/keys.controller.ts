import { Body, Controller, Delete, Get, Header, HttpCode, Inject, Param, Post, UseGuards } from '@nestjs/common';
import { Documented } from '@balados/platform-service';
import { CurrentListener, ListenerGuard, ownSession } from '@balados/users-accounts';
import type { AccountsParts, Listener } from '@balados/users-accounts';
import { plainText, TEXT_MAX_LENGTH, uuid } from '@balados/users-contracts';
import { z } from 'zod';
import { success, successAnswer } from '../answers';
import { IdempotencyKey } from '../idempotency-key';
import { ACCOUNTS } from '../tokens';

const keyBody = z.object({
  name: plainText(TEXT_MAX_LENGTH).min(1),
  // PEM or a JWK; what a key may be is said by the rules of accounts, with a code for each.
  public_key: z.union([z.string(), z.record(z.string(), z.unknown())]),
});
const keyPath = z.object({ kid: uuid });

const keyAnswer = z
  .object({
    kid: z.guid(),
    name: z.string(),
    public_key: z.string().meta({ description: 'SPKI in PEM' }),
    created_at: z.iso.datetime(),
    last_used_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Key' });

/** Only a login registers and removes keys: a key that was stolen must not bring others, nor lock its owner out. */
@Controller('api/v1/keys')
@UseGuards(ListenerGuard)
export class KeysController {
  constructor(@Inject(ACCOUNTS) private readonly parts: AccountsParts) {}

  @Post()
  @Documented({
    summary: 'Registers the public half of a key with which the listener signs their tokens',
    answer: keyAnswer,
    problems: {
      403: ['login_required'],
      422: ['keys_full', 'invalid_public_key', 'private_key_sent', 'idempotency_key_reused'],
    },
  })
  @HttpCode(200)
  async register(
    @CurrentListener() listener: Listener,
    @Body({ schema: keyBody }) { name, public_key: publicKey }: z.infer<typeof keyBody>,
    @IdempotencyKey() key: string | undefined,
  ) {
    ownSession(listener);
    return this.parts.keys.register(listener.userId, { name, publicKey }, key);
  }

  @Get()
  @Documented({ summary: 'Registered keys', answer: z.object({ keys: z.array(keyAnswer) }) })
  @Header('cache-control', 'private, no-store')
  async list(@CurrentListener() { userId }: Listener) {
    return { keys: await this.parts.keys.list(userId) };
  }

  @Delete(':kid')
  @Documented({
    summary: 'Removes a key; tokens that it signed end',
    answer: successAnswer(z.object({ kid: z.guid() })),
    problems: { 403: ['login_required'], 404: ['key_unknown'] },
  })
  async remove(@CurrentListener() listener: Listener, @Param({ schema: keyPath }) { kid }: z.infer<typeof keyPath>) {
    ownSession(listener);
    await this.parts.keys.remove(listener.userId, kid);
    return success({ kid });
  }
}
