import { Body, Controller, Get, Header, HttpCode, Inject, Post, Put, UseGuards } from '@nestjs/common';
import { Problem } from '@balados/platform-service';
import { CurrentListener, ListenerGuard, ownSession } from '@balados/users-accounts';
import type { AccountsParts, Listener, Self } from '@balados/users-accounts';
import { z } from 'zod';
import { success } from '../answers';
import type { Config } from '../config';
import { IdempotencyKey } from '../idempotency-key';
import { ACCOUNTS, CONFIG } from '../tokens';

// What a username and a password may be is said by the rules of accounts, with a code for each.
const credentialsBody = z.object({ username: z.string().max(1_024), password: z.string().max(4_096) });
const passwordBody = z.object({ password: z.string().max(4_096), new_password: z.string().max(4_096) });

const wireAccount = ({ userId, username, createdAt }: Self) => ({
  user_id: userId,
  username,
  created_at: createdAt.toISOString(),
});

@Controller()
export class AccountsController {
  constructor(
    @Inject(ACCOUNTS) private readonly parts: AccountsParts,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Post('api/v1/accounts')
  @HttpCode(201)
  async create(
    @Body({ schema: credentialsBody }) credentials: z.infer<typeof credentialsBody>,
    @IdempotencyKey() key: string | undefined,
  ) {
    if (this.config.REGISTRATION === 'closed') {
      throw new Problem(403, 'registration_closed', 'New accounts are closed on this server.');
    }
    return wireAccount(await this.parts.accounts.create(credentials, key));
  }

  @Get('api/v1/account')
  @UseGuards(ListenerGuard)
  @Header('cache-control', 'private, no-store')
  async own(@CurrentListener() { userId }: Listener) {
    const account = await this.parts.accounts.find(userId);
    if (!account) throw new Problem(404, 'not_found', 'This listener has no account here.');
    return { account: wireAccount(account) };
  }

  @Put('api/v1/account/password')
  @UseGuards(ListenerGuard)
  async changePassword(
    @CurrentListener() listener: Listener,
    @Body({ schema: passwordBody }) { password, new_password: newPassword }: z.infer<typeof passwordBody>,
  ) {
    const { userId } = listener;
    await this.parts.passwordChange.change({ userId, sessionId: ownSession(listener) }, { password, newPassword });
    return success({ user_id: userId });
  }

  @Get('.well-known/jwks.json')
  jwks() {
    return this.parts.jwks;
  }
}
