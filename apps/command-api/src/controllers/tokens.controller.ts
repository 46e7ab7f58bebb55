import { Body, Controller, Delete, Get, Header, HttpCode, Inject, Param, Post, UseGuards } from '@nestjs/common';
import { Documented } from '@balados/platform-service';
import { CurrentListener, ListenerGuard, ownSession } from '@balados/users-accounts';
import type { AccountsParts, Listener } from '@balados/users-accounts';
import { plainText, TEXT_MAX_LENGTH, uuid } from '@balados/users-contracts';
import { z } from 'zod';
import { success, successAnswer } from '../answers';
import { IdempotencyKey } from '../idempotency-key';
import { ACCOUNTS } from '../tokens';

const kind = z.enum(['personal', 'app']);
const tokenBody = z.object({ name: plainText(TEXT_MAX_LENGTH).min(1), kind: kind.default('personal') });
const tokenPath = z.object({ id: uuid });

const newTokenAnswer = z
  .object({
    token: z.string(),
    kind,
    user_id: z.guid(),
    id: z.guid(),
    name: z.string(),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'NewToken' });
const tokenAnswer = z
  .object({
    id: z.guid(),
    name: z.string().nullable(),
    kind: z.enum(['session', ...kind.options]),
    created_at: z.iso.datetime(),
    last_used_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Token' });

@Controller('api/v1/tokens')
@UseGuards(ListenerGuard)
export class TokensController {
  constructor(@Inject(ACCOUNTS) private readonly parts: AccountsParts) {}

  @Post()
  @Documented({
    summary: 'A token for feeds and play links, or a password for an app; it is shown this once',
    answer: newTokenAnswer,
    problems: { 403: ['login_required'], 422: ['tokens_full', 'username_missing', 'idempotency_key_reused'] },
  })
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  create(
    @CurrentListener() listener: Listener,
    @Body({ schema: tokenBody }) { name, kind }: z.infer<typeof tokenBody>,
    @IdempotencyKey() key: string | undefined,
  ) {
    // It outlives the token that asks for it: as with keys, who logged in may make one.
    if (kind === 'app') ownSession(listener);
    return this.parts.tokens.create(listener.userId, name, key, kind);
  }

  @Get()
  @Documented({
    summary: "Personal tokens, apps' passwords and sessions",
    answer: z.object({ tokens: z.array(tokenAnswer) }),
  })
  @Header('cache-control', 'private, no-store')
  async list(@CurrentListener() { userId }: Listener) {
    return { tokens: await this.parts.tokens.list(userId) };
  }

  @Delete(':id')
  @Documented({
    summary: "Revokes a personal token or an app's password, or ends a session",
    answer: successAnswer(z.object({ id: z.guid() })),
    problems: { 404: ['token_unknown'] },
  })
  async revoke(
    @CurrentListener() { userId }: Listener,
    @Param({ schema: tokenPath }) { id }: z.infer<typeof tokenPath>,
  ) {
    await this.parts.tokens.revoke(userId, id);
    return success({ id });
  }
}
