import { passportJwtSecret } from 'jwks-rsa';
import { Strategy, VerifiedCallback } from 'passport-jwt';
import { z } from 'zod';
import { Unauthenticated } from './errors';
import { CLOCK_TOLERANCE_SECONDS, uuidText } from './foreign-token';
import { Listener, ListenerRequest } from './listener';
import { PublicJwk } from './signing-key';

/** Longest token that is looked at, in characters. */
export const TOKEN_MAX_LENGTH = 8_192;

/** A token of ours that passed, and until when it may be known by heart (milliseconds since 1970). */
export interface OwnToken {
  listener: Listener & { sessionId: string };
  expiresAt: number;
}

/** jsonwebtoken checks `exp` and `iat` only where they are, and asks for no other claim. */
const claims = z.object({
  sub: uuidText,
  jti: uuidText,
  exp: z.number(),
  iat: z.number().optional(),
  device_id: z.string().optional(),
  device_name: z.string().optional(),
});

const BEARER = /^Bearer +([\w.~+/-]+=*) *$/i;

/** The token of `Authorization: Bearer`, from nowhere else. @throws Unauthenticated */
export function bearerToken({ headers: { authorization } }: ListenerRequest): string {
  if (!authorization || !/^Bearer(?:\s|$)/i.test(authorization))
    throw new Unauthenticated('no_token', 'The request has no `Authorization: Bearer` header.');
  const token = authorization.length <= TOKEN_MAX_LENGTH ? BEARER.exec(authorization)?.[1] : undefined;
  if (!token) throw new Unauthenticated('invalid_token', 'The Authorization header does not hold one bearer token.');
  return token;
}

/** Verifies signature, issuer, times and claims of our own access tokens; whether the session stands is asked elsewhere. */
export function jwtStrategy({ issuer, jwks }: { issuer: string; jwks: { keys: PublicJwk[] } }): Strategy {
  return new Strategy(
    {
      jwtFromRequest: bearerToken,
      // Our own keys, without a request.
      secretOrKeyProvider: passportJwtSecret({ jwksUri: issuer, fetcher: async () => jwks }),
      algorithms: ['RS256'],
      issuer,
      jsonWebTokenOptions: { clockTolerance: CLOCK_TOLERANCE_SECONDS },
    },
    (payload: unknown, done: VerifiedCallback) => {
      const { success, data } = claims.safeParse(payload);
      if (!success) return done(null, false, new Error('a required claim is missing or not of its form'));
      if (data.iat !== undefined && data.iat > Date.now() / 1_000 + CLOCK_TOLERANCE_SECONDS)
        return done(null, false, new Error('jwt issued in the future'));
      const listener = Object.freeze({
        userId: data.sub,
        sessionId: data.jti,
        deviceId: data.device_id ?? null,
        deviceName: data.device_name ?? null,
      });
      done(null, { listener, expiresAt: data.exp * 1_000 } satisfies OwnToken);
    },
  );
}
