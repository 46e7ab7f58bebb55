import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { SignedIn } from './basic-credentials';
import type { SigningKeys } from './signing-key';

/** A cookie is taken for this long, in seconds; apps that use one sign in at every sync. */
export const COOKIE_SECONDS = 86_400;
/** Longest that is looked at, in characters. */
const COOKIE_MAX_LENGTH = 1_024;
const FORM = /^([\w-]+)\.([\w-]{43})$/;

const content = z.object({
  userId: z.string(),
  username: z.string(),
  by: z.union([z.object({ appPassword: z.string() }), z.object({ password: z.string() })]),
  /** Epoch seconds. */
  until: z.number(),
});

/**
 * What an app carries instead of name and password: whom it speaks for and by what they signed in, with an HMAC by a key that all copies
 * share. It says no more than that: whether it still holds is asked as of name and password.
 */
export class SessionCookies {
  private readonly keys: readonly Buffer[];

  constructor(signingKeys: SigningKeys) {
    this.keys = signingKeys.map(({ privateKey }) =>
      Buffer.from(hkdfSync('sha256', privateKey.export({ type: 'pkcs8', format: 'der' }), '', 'session cookies', 32)),
    );
  }

  /** @param now epoch milliseconds */
  issue({ userId, username, by }: SignedIn, now: number): string {
    const until = Math.floor(now / 1_000) + COOKIE_SECONDS;
    const payload = Buffer.from(JSON.stringify({ userId, username, by, until })).toString('base64url');
    return `${payload}.${mac(this.keys[0]!, payload).toString('base64url')}`;
  }

  /** Undefined for what is none of ours, or has run out. */
  read(cookie: string, now: number): SignedIn | undefined {
    const [, payload, signature] = (cookie.length <= COOKIE_MAX_LENGTH && FORM.exec(cookie)) || [];
    if (!payload || !signature) return undefined;
    const given = Buffer.from(signature, 'base64url');
    if (!this.keys.some((key) => timingSafeEqual(mac(key, payload), given))) return undefined;
    const { until, ...signedIn } = content.parse(JSON.parse(Buffer.from(payload, 'base64url').toString()));
    return until * 1_000 > now ? signedIn : undefined;
  }
}

const mac = (key: Buffer, payload: string): Buffer => createHmac('sha256', key).update(payload).digest();
