import { hash } from 'node:crypto';
import { TokenExpiredError } from 'jsonwebtoken';
import { LRUCache } from 'lru-cache';
import { Strategy } from 'passport-jwt';
import { Unauthenticated } from './errors';
import { bearerToken, Verified } from './jwt.strategy';
import { Listener, ListenerRequest } from './listener';
import { SessionChecks } from './session-checks';

/** Tokens known by heart in one process, some 500 bytes each. */
export const VERIFIED_TOKENS = 20_000;

/** Who sends the request; at once when token and session are known. @throws Unauthenticated, AccountsUnavailable */
export type Authenticate = (request: ListenerRequest) => Listener | Promise<Listener>;

/** A token is verified once, by the strategy; its session is asked for at every request. */
export function createAuthenticate(strategy: Strategy, checks: SessionChecks): Authenticate {
  const verified = new LRUCache<string, Verified>({ max: VERIFIED_TOKENS });

  const withSession = (listener: Listener): Listener | Promise<Listener> => {
    const revoked = checks.isRevoked(listener.sessionId, listener.userId);
    return typeof revoked === 'boolean' ? admit(listener, revoked) : revoked.then((answer) => admit(listener, answer));
  };

  return (request) => {
    const key = hash('sha256', bearerToken(request), 'base64');
    const known = verified.get(key);
    if (known && known.expiresAt > Date.now()) return withSession(known.listener);
    return verify(strategy, request).then((fresh) => {
      verified.set(key, fresh);
      return withSession(fresh.listener);
    });
  };
}

function admit(listener: Listener, revoked: boolean): Listener {
  if (revoked) throw new Unauthenticated('revoked_session', 'The session has ended; log in again.');
  return listener;
}

/** Runs the strategy as passport does, on a copy of its own with the three answers attached. */
const verify = (strategy: Strategy, request: ListenerRequest): Promise<Verified> =>
  new Promise((resolve, reject) => {
    const run = Object.assign(Object.create(strategy) as Strategy, {
      success: resolve,
      fail: (reason: unknown) => reject(unauthenticated(reason)),
      error: reject,
    });
    run.authenticate(request as Parameters<Strategy['authenticate']>[0]);
  });

/** The library's reason stays out of the answer: it would tell a forger what to mend. */
const unauthenticated = (reason: unknown): Unauthenticated =>
  reason instanceof TokenExpiredError
    ? new Unauthenticated('expired_token', 'The access token has expired; refresh it.')
    : new Unauthenticated('invalid_token', 'The access token is not valid.');
