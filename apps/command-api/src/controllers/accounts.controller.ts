import { Body, Controller, Delete, Get, Header, HttpCode, Inject, Post, Put, Req, UseGuards } from '@nestjs/common';
import { Documented, PasswordAttempts, Problem, RegistrationLimit } from '@balados/platform-service';
import { CurrentListener, ListenerGuard, ownSession, usernameKey } from '@balados/users-accounts';
import type { AccountsParts, Listener, Self } from '@balados/users-accounts';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { accepted, erasureAnswer, success, successAnswer } from '../answers';
import type { Config } from '../config';
import { IdempotencyKey } from '../idempotency-key';
import { isWrongPassword } from '../problems';
import { ACCOUNTS, CONFIG } from '../tokens';

// What a username and a password may be is said by the rules of accounts, with a code for each.
const credentialsBody = z.object({ username: z.string().max(1_024), password: z.string().max(4_096) });
const passwordBody = z.object({ password: z.string().max(4_096), new_password: z.string().max(4_096) });

// Who signs in elsewhere has no password here.
const closingBody = z.strictObject({ password: z.string().max(4_096).nullish() }).optional();

const accountAnswer = z
  .object({
    user_id: z.guid(),
    /** Null for a listener whom an outside issuer vouches for. */
    username: z.string().nullable(),
    created_at: z.iso.datetime(),
  })
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

const wireAccount = ({ userId, username, createdAt }: Self): z.infer<typeof accountAnswer> => ({
  user_id: userId,
  username,
  created_at: createdAt.toISOString(),
});

@Controller()
export class AccountsController {
  constructor(
    @Inject(ACCOUNTS) private readonly parts: AccountsParts,
    @Inject(CONFIG) private readonly config: Config,
    private readonly attempts: PasswordAttempts,
  ) {}

  @Post('api/v1/accounts')
  @Documented({
    summary: 'Makes an account',
    status: 201,
    answer: accountAnswer,
    open: true,
    problems: {
      403: ['registration_closed'],
      409: ['username_taken'],
      422: ['invalid_username', 'invalid_password', 'idempotency_key_reused'],
    },
  })
  @UseGuards(RegistrationLimit)
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
  @Documented({ summary: 'Who one is', answer: z.object({ account: accountAnswer }), problems: { 404: ['not_found'] } })
  @UseGuards(ListenerGuard)
  @Header('cache-control', 'private, no-store')
  async own(@CurrentListener() { userId }: Listener) {
    return { account: wireAccount(await this.account(userId)) };
  }

  @Put('api/v1/account/password')
  @Documented({
    summary: 'Another password; other sessions end',
    answer: successAnswer(z.object({ user_id: z.guid() })),
    problems: { 403: ['login_required', 'wrong_password'], 404: ['not_found'], 422: ['invalid_password'] },
  })
  @UseGuards(ListenerGuard)
  async changePassword(
    @Req() request: FastifyRequest,
    @CurrentListener() listener: Listener,
    @Body({ schema: passwordBody }) { password, new_password: newPassword }: z.infer<typeof passwordBody>,
  ) {
    const { userId } = listener;
    const sessionId = ownSession(listener);
    await this.withPassword(request, userId, () =>
      this.parts.passwordChange.change({ userId, sessionId }, { password, newPassword }),
    );
    return success({ user_id: userId });
  }

  @Delete('api/v1/account')
  @Documented({
    summary: 'Deletes the account and all that is held of the listener; nobody signs in any more from now on',
    status: 202,
    answer: erasureAnswer,
    problems: { 403: ['login_required', 'wrong_password'], 404: ['not_found'] },
  })
  @UseGuards(ListenerGuard)
  @HttpCode(202)
  async close(
    @Req() request: FastifyRequest,
    @CurrentListener() listener: Listener,
    @Body({ schema: closingBody }) body: z.infer<typeof closingBody>,
  ) {
    const close = () => this.parts.closing.close(listener, body?.password ?? '');
    return accepted(await this.withPassword(request, listener.userId, close));
  }

  @Get('.well-known/jwks.json')
  @Documented({ summary: 'The keys that sign access tokens', answer: jwksAnswer, open: true })
  jwks() {
    return this.parts.jwks;
  }

  /** Counted together with logins: whoever holds a stolen token tries no more passwords than anybody. */
  private async withPassword<Result>(
    request: FastifyRequest,
    userId: string,
    check: () => Promise<Result>,
  ): Promise<Result> {
    const { username } = await this.account(userId);
    return this.attempts.attempt(request, usernameKey(username ?? userId), check, isWrongPassword);
  }

  private async account(userId: string): Promise<Self> {
    const account = await this.parts.accounts.find(userId);
    if (!account) throw new Problem(404, 'not_found', 'This listener has no account here.');
    return account;
  }
}
