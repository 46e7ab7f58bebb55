import { verify } from 'jsonwebtoken';
import { Unauthenticated } from './errors';
import { Claimed, ForeignClaims, invalidToken, uuidText, Verified, verifyForeign } from './foreign-token';
import { Listener } from './listener';
import { ListenerKeys, RegisteredKey } from './listener-keys';

/** A token that a listener's key signed must expire within this time from now, in seconds: nothing but removing the key ends it earlier. */
export const KEY_TOKEN_MAX_SECONDS = 31 * 86_400;

/** Tokens that listeners sign with a key that they registered. Such a key speaks for its owner alone. */
export class KeyTokens {
  constructor(private readonly keys: ListenerKeys) {}

  /** @throws Unauthenticated, AccountsUnavailable */
  async verify(token: string, claimed: Claimed): Promise<Verified> {
    const subject = uuidText.safeParse(claimed.subject);
    if (!subject.success) throw invalidToken();
    const key = await this.find(token, claimed.kid, subject.data);
    if (key.userId !== subject.data) throw invalidToken();
    const { exp, device_id: deviceId, device_name: deviceName } = this.check(token, key);
    const listener: Listener = Object.freeze({ userId: key.userId, sessionId: null, deviceId, deviceName });
    const admit = (standing: RegisteredKey): Listener => {
      if (standing.userId !== listener.userId) throw invalidToken();
      this.keys.noteUse(standing);
      return listener;
    };
    return {
      expiresAt: exp * 1_000,
      admit: () => {
        const standing = this.keys.byKid(key.kid);
        return standing instanceof Promise ? standing.then(admit) : admit(standing);
      },
    };
  }

  /** The key that `kid` names, and no other; without it, the one of the listener's keys that fits. */
  private async find(token: string, kid: unknown, userId: string): Promise<RegisteredKey> {
    if (kid !== undefined) {
      const known = uuidText.safeParse(kid);
      if (!known.success) throw invalidToken();
      return this.keys.byKid(known.data);
    }
    const fitting = (await this.keys.ofListener(userId)).find(({ pem }) => isSignedBy(token, pem));
    if (!fitting) throw invalidToken();
    return fitting;
  }

  private check(token: string, { pem }: RegisteredKey): ForeignClaims {
    const claims = verifyForeign(token, pem);
    if (claims.exp > Date.now() / 1_000 + KEY_TOKEN_MAX_SECONDS)
      throw new Unauthenticated(
        'invalid_token',
        `The access token expires too late: at most ${KEY_TOKEN_MAX_SECONDS / 86_400} days from now.`,
      );
    return claims;
  }
}

/** Times aside: what is wrong with them is said of the key that fits. */
function isSignedBy(token: string, pem: string): boolean {
  try {
    verify(token, pem, { algorithms: ['RS256'], ignoreExpiration: true, ignoreNotBefore: true });
    return true;
  } catch {
    return false;
  }
}
