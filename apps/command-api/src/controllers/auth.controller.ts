import { Body, Controller, Header, HttpCode, Inject, Post, Req, UseGuards } from '@nestjs/common';
import { Documented, PasswordAttempts } from '@balados/platform-service';
import { CurrentListener, ListenerGuard, ownSession, usernameKey } from '@balados/users-accounts';
import type { AccountsParts, Listener, Tokens } from '@balados/users-accounts';
import { plainText, TEXT_MAX_LENGTH } from '@balados/users-contracts';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { success, successAnswer } from '../answers';
import { isWrongPassword } from '../problems';
import { ACCOUNTS } from '../tokens';

const deviceText = plainText(TEXT_MAX_LENGTH)
  .nullish()
  .transform((text) => text ?? null);
const loginBody = z.object({
  username: z.string().max(1_024),
  password: z.string().max(4_096),
  device_id: deviceText,
  device_name: deviceText,
});
const refreshBody = z.object({ refresh_token: z.string().max(1_024) });

const tokensAnswer = z
  .object({
    access_token: z.string(),
    token_type: z.literal('Bearer'),
    expires_in: z.int(),
    refresh_token: z.string(),
    user_id: z.guid(),
  })
  .meta({ id: 'Tokens' });

const wireTokens = ({ accessToken, expiresIn, refreshToken, userId }: Tokens): z.infer<typeof tokensAnswer> => ({
  access_token: accessToken,
  token_type: 'Bearer',
  expires_in: expiresIn,
  refresh_token: refreshToken,
  user_id: userId,
});

@Controller('api/v1/auth')
export class AuthController {
  constructor(
    @Inject(ACCOUNTS) private readonly parts: AccountsParts,
    private readonly attempts: PasswordAttempts,
  ) {}

  @Post('login')
  @Documented({
    summary: 'Logs a device in',
    answer: tokensAnswer,
    open: true,
    problems: { 401: ['invalid_credentials'] },
  })
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async login(@Req() request: FastifyRequest, @Body({ schema: loginBody }) body: z.infer<typeof loginBody>) {
    const { username, password, device_id: deviceId, device_name: deviceName } = body;
    const login = () => this.parts.sessions.login({ username, password, deviceId, deviceName });
    return wireTokens(await this.attempts.attempt(request, usernameKey(username), login, isWrongPassword));
  }

  @Post('refresh')
  @Documented({
    summary: 'New tokens for those that run out',
    answer: tokensAnswer,
    open: true,
    problems: { 401: ['invalid_refresh_token'] },
  })
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async refresh(@Body({ schema: refreshBody }) body: z.infer<typeof refreshBody>) {
    return wireTokens(await this.parts.sessions.refresh(body.refresh_token));
  }

  @Post('logout')
  @Documented({
    summary: 'Ends the session of this access token',
    answer: successAnswer(z.object({ session_id: z.guid() })),
    problems: { 403: ['login_required'] },
  })
  @HttpCode(200)
  @UseGuards(ListenerGuard)
  async logout(@CurrentListener() listener: Listener) {
    const sessionId = ownSession(listener);
    await this.parts.sessions.logout({ userId: listener.userId, sessionId });
    return success({ session_id: sessionId });
  }
}
