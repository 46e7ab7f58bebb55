import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { Strategy } from 'passport-jwt';
import { Unauthenticated } from './errors';
import { readClaimed, unauthenticated, Verified } from './foreign-token';
import { bearerToken, OwnToken } from './jwt.strategy';
import { KeyTokens } from './key-tokens';
import { Listener, ListenerRequest } from './listener';
import { OutsideTokens } from './outside-tokens';
import { SessionChecks } from './session-checks';

/** Tokens known by heart in one process, some 700 bytes each. */
export const VERIFIED_TOKENS = 20_000;

/** Who sends the request; at once when the token and what vouches for it are known. @throws Unauthenticated, AccountsUnavailable */
export type Authenticate = (request: ListenerRequest) => Listener | Promise<Listener>;

/** The three who may sign tokens. Each is checked by its own rules and keys alone. */
export interface Issuers {
  own: { issuer: string; strategy: Strategy; checks: SessionChecks };
  keys: KeyTokens;
  /** Undefined when the operator trusts nobody else. */
  outside: { issuer: string; tokens: OutsideTokens } | undefined;
}

/** A token is verified once; whether what vouches for it still stands is asked at every request. */
export function createAuthenticate(issuers: Issuers): Authenticate {
  const verified = new LRUCache<string, Verified>({ max: VERIFIED_TOKENS });

  return (request) => {
    const token = bearerToken(request);
    const key = hash('sha256', token, 'base64');
    const known = verified.get(key);
    if (known && known.expiresAt > Date.now()) return known.admit();
    return verify(issuers, token, request).then((fresh) => {
      verified.set(key, fresh);
      return fresh.admit();
    });
  };
}

/**
 * The issuer that a token names decides who checks it, so that none can speak as another: what names us is checked with our
 * key only, what names the outside issuer with its keys only, and whatever else with the keys of the listener it speaks for.
 */
async function verify({ own, keys, outside }: Issuers, token: string, request: ListenerRequest): Promise<Verified> {
  const claimed = readClaimed(token);
  if (claimed.issuer === own.issuer) return verifyOwn(own, request);
  if (outside && claimed.issuer === outside.issuer) return outside.tokens.verify(token, claimed);
  return keys.verify(token, claimed);
}

async function verifyOwn({ strategy, checks }: Issuers['own'], request: ListenerRequest): Promise<Verified> {
  const { listener, expiresAt } = await runStrategy(strategy, request);
  return {
    expiresAt,
    admit: () => {
      const revoked = checks.isRevoked(listener.sessionId, listener.userId);
      return typeof revoked === 'boolean'
        ? admit(listener, revoked)
        : revoked.then((answer) => admit(listener, answer));
    },
  };
}

function admit(listener: Listener, revoked: boolean): Listener {
  if (revoked) throw new Unauthenticated('revoked_session', 'The session has ended; log in again.');
  return listener;
}

/** Runs the strategy as passport does, on a copy of its own with the three answers attached. */
const runStrategy = (strategy: Strategy, request: ListenerRequest): Promise<OwnToken> =>
  new Promise((resolve, reject) => {
    const run = Object.assign(Object.create(strategy) as Strategy, {
      success: resolve,
      fail: (reason: unknown) => reject(unauthenticated(reason)),
      error: reject,
    });
    run.authenticate(request as Parameters<Strategy['authenticate']>[0]);
  });
