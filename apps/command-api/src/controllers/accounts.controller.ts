import { Body, Controller, Get, HttpCode, Inject, Post, UseGuards } from '@nestjs/common';
import { Documented, Problem, RegistrationLimit } from '@balados/platform-service';
import { CurrentListener, ListenerGuard } from '@balados/users-accounts';
import type { Account, AccountsParts, Listener } from '@balados/users-accounts';
import { z } from 'zod';
import type { Config } from '../config';
import { ACCOUNTS, CONFIG } from '../tokens';

// What a username and a password may be is said by the rules of accounts, with a code for each.
const credentialsBody = z.object({ username: z.string().max(1_024), password: z.string().max(4_096) });

const accountAnswer = z
  .object({ user_id: z.guid(), username: z.string(), created_at: z.iso.datetime() })
  .meta({ id: 'Account' });
const jwksAnswer = z.object({
  keys: z.array(
    z.object({
      kty: z.literal('RSA'),
      n: z.string(),
      e: z.string(),
      kid: z.string(),
      alg: z.literal('RS256'),
      use: z.literal('sig'),
    }),
  ),
});

const wireAccount = ({ userId, username, createdAt }: Account): z.infer<typeof accountAnswer> => ({
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
  @Documented({
    summary: 'Makes an account',
    status: 201,
    answer: accountAnswer,
    open: true,
    problems: { 403: ['registration_closed'], 409: ['username_taken'], 422: ['invalid_username', 'invalid_password'] },
  })
  @UseGuards(RegistrationLimit)
  @HttpCode(201)
  async create(@Body({ schema: credentialsBody }) credentials: z.infer<typeof credentialsBody>) {
    if (this.config.REGISTRATION === 'closed') {
      throw new Problem(403, 'registration_closed', 'New accounts are closed on this server.');
    }
    return wireAccount(await this.parts.accounts.create(credentials));
  }

  @Get('api/v1/account')
  @Documented({ summary: 'Who one is', answer: z.object({ account: accountAnswer }), problems: { 404: ['not_found'] } })
  @UseGuards(ListenerGuard)
  async own(@CurrentListener() { userId }: Listener) {
    const account = await this.parts.accounts.find(userId);
    if (!account) throw new Problem(404, 'not_found', 'This listener has no account here.');
    return { account: wireAccount(account) };
  }

  @Get('.well-known/jwks.json')
  @Documented({ summary: 'The keys that sign access tokens', answer: jwksAnswer, open: true })
  jwks() {
    return this.parts.jwks;
  }
}
