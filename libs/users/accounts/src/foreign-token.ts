import { plainText, TEXT_MAX_LENGTH } from '@balados/users-contracts';
import { decode, JwtPayload, TokenExpiredError, verify, VerifyOptions } from 'jsonwebtoken';
import { z } from 'zod';
import { Unauthenticated } from './errors';
import { Listener } from './listener';

/** How far the clocks of the issuer and of this process may be apart, in seconds. */
export const CLOCK_TOLERANCE_SECONDS = 5;

/** A token whose signature and claims are good. */
export interface Verified {
  /** Until when it may be known by heart, in milliseconds since 1970. */
  expiresAt: number;
  /** Whose it is, asked at every request: what vouches for it may have ended. @throws Unauthenticated, AccountsUnavailable */
  admit(): Listener | Promise<Listener>;
}

/** What a token says of itself; nothing of it is proven. */
export interface Claimed {
  kid: unknown;
  issuer: unknown;
  subject: unknown;
}

export const uuidText = z.string().regex(/^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/);
const text = plainText(TEXT_MAX_LENGTH);
const deviceText = text.nullish().transform((device) => device || null);

/** Claims of tokens that others sign. */
const claims = z.object({
  sub: text.min(1),
  jti: text.min(1),
  exp: z.number(),
  iat: z.number().optional(),
  iss: z.string().optional(),
  device_id: deviceText,
  device_name: deviceText,
});

export type ForeignClaims = z.infer<typeof claims>;

/** Reads what a token claims. @throws Unauthenticated for what is no JWT, and for extensions that we would have to understand */
export function readClaimed(token: string): Claimed {
  let decoded: ReturnType<typeof decode>;
  try {
    decoded = decode(token, { complete: true });
  } catch {
    throw invalidToken();
  }
  const { header, payload } = (decoded ?? {}) as { header?: { kid?: unknown; crit?: unknown }; payload?: JwtPayload };
  if (!header || header.crit !== undefined || typeof payload !== 'object' || payload === null) throw invalidToken();
  return { kid: header.kid, issuer: payload.iss, subject: payload.sub };
}

/** Whether the signature is this key's and the claims are good: RS256 and nothing else. @throws Unauthenticated */
export function verifyForeign(token: string, publicKey: string, options: VerifyOptions = {}): ForeignClaims {
  let payload: unknown;
  try {
    payload = verify(token, publicKey, {
      ...options,
      algorithms: ['RS256'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      complete: false,
    });
  } catch (error) {
    throw unauthenticated(error);
  }
  const { success, data } = claims.safeParse(payload);
  if (!success || (data.iat !== undefined && data.iat > Date.now() / 1_000 + CLOCK_TOLERANCE_SECONDS))
    throw invalidToken();
  return data;
}

export const invalidToken = (): Unauthenticated =>
  new Unauthenticated('invalid_token', 'The access token is not valid.');

/** The library's reason stays out of the answer: it would tell a forger what to mend. */
export const unauthenticated = (reason: unknown): Unauthenticated =>
  reason instanceof TokenExpiredError
    ? new Unauthenticated('expired_token', 'The access token has expired; refresh it.')
    : invalidToken();
