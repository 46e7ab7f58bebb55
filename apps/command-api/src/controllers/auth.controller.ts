import { Body, Controller, Header, HttpCode, Inject, Post, UseGuards } from '@nestjs/common';
import { CurrentListener, ListenerGuard, ownSession } from '@balados/users-accounts';
import type { AccountsParts, Listener, Tokens } from '@balados/users-accounts';
import { plainText, TEXT_MAX_LENGTH } from '@balados/users-contracts';
import { z } from 'zod';
import { success } from '../answers';
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

const wireTokens = ({ accessToken, expiresIn, refreshToken, userId }: Tokens) => ({
  access_token: accessToken,
  token_type: 'Bearer' as const,
  expires_in: expiresIn,
  refresh_token: refreshToken,
  user_id: userId,
});

@Controller('api/v1/auth')
export class AuthController {
  constructor(@Inject(ACCOUNTS) private readonly parts: AccountsParts) {}

  @Post('login')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async login(@Body({ schema: loginBody }) body: z.infer<typeof loginBody>) {
    const { username, password, device_id: deviceId, device_name: deviceName } = body;
    return wireTokens(await this.parts.sessions.login({ username, password, deviceId, deviceName }));
  }

  @Post('refresh')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async refresh(@Body({ schema: refreshBody }) body: z.infer<typeof refreshBody>) {
    return wireTokens(await this.parts.sessions.refresh(body.refresh_token));
  }

  @Post('logout')
  @HttpCode(200)
  @UseGuards(ListenerGuard)
  async logout(@CurrentListener() listener: Listener) {
    const sessionId = ownSession(listener);
    await this.parts.sessions.logout({ userId: listener.userId, sessionId });
    return success({ session_id: sessionId });
  }
}
