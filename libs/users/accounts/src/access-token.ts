import { sign } from 'jsonwebtoken';
import { AccountsConfig } from './config';
import { Listener } from './listener';
import { SigningKey } from './signing-key';

/** Signs access tokens: RS256, and a `jti` that is the id of the session. */
export class AccessTokens {
  constructor(
    private readonly key: SigningKey,
    private readonly config: AccountsConfig,
  ) {}

  /** Seconds that a token lasts. */
  get lifetime(): number {
    return this.config.ACCESS_TOKEN_TTL;
  }

  sign({ userId, sessionId, deviceId, deviceName }: Listener & { sessionId: string }): string {
    const device = { ...(deviceId && { device_id: deviceId }), ...(deviceName && { device_name: deviceName }) };
    return sign(device, this.key.privateKey, {
      algorithm: 'RS256',
      keyid: this.key.kid,
      issuer: this.config.JWT_ISSUER_OWN,
      subject: userId,
      jwtid: sessionId,
      expiresIn: this.lifetime,
    });
  }
}
