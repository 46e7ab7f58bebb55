import { hash } from 'node:crypto';
import { isIP } from 'node:net';
import { DynamicModule, ExecutionContext, Inject, Injectable, Module } from '@nestjs/common';
import { normalizeIp, ThrottlerGuard, ThrottlerLimitDetail, ThrottlerModule } from '@nestjs/throttler';
import type { FastifyRequest } from 'fastify';
import { ServiceConfig } from './config';
import { Count, Counters } from './counters';
import { Problem } from './problems';

/** The window of RATE_LISTENER, RATE_ADDRESS and RATE_LOGIN_FAILED, and that of RATE_REGISTER, in milliseconds. */
export const RATE_WINDOW_MS = 60_000;
export const REGISTER_WINDOW_MS = 3_600_000;
/** Of what one address may fail, an account may fail this part: 60 and 10 by default. */
export const ADDRESS_FAILS_PER_ACCOUNT = 6;

const tooMany = (what: string, seconds: number): Problem =>
  new Problem(429, 'too_many_requests', `Too many ${what}; try again in ${seconds} s.`, { retryAfter: seconds });

/** Which of the limits refused a request. */
export type Limit = 'address' | 'listener' | 'registration' | 'password_account' | 'password_address';
/** Told of every request that a limit refused. */
export type OnRefused = (limit: Limit) => void;

/** What a limit counts, as its answer says it. */
const WHAT: Record<Limit, string> = {
  address: 'requests of this address',
  listener: 'requests of this listener',
  registration: 'registrations from this address',
  password_account: 'wrong passwords for this account',
  password_address: 'wrong passwords from this address',
};

const refusing =
  (onRefused: OnRefused) =>
  (of: Limit, limit: number, { hits, endsInMs }: Count): void => {
    if (hits <= limit) return;
    onRefused(of);
    throw tooMany(WHAT[of], Math.ceil(endsInMs / 1_000));
  };

type Asker = Pick<FastifyRequest, 'ip'> & { socket?: { remoteAddress?: string } };

/** Whom a request counts for: its address, of IPv6 the /64 (or another prefix) since whoever has one address has all of them. */
export function addressOf({ ip, socket }: Asker, ipv6Prefix = 64): string {
  // A trusted proxy that passes on what the client claims may pass on anything.
  const address = ip && isIP(ip.replace(/%.*$/s, '')) ? ip : (socket?.remoteAddress ?? 'unknown');
  return normalizeIp(address, ipv6Prefix);
}

/** Injected where a listener is recognised: counts the request for them. @throws Problem 429 */
export type ListenerLimit = (userId: string) => void;
export const LISTENER_LIMIT = Symbol('listener limit');
const ON_REFUSED = Symbol('told of refusals');

/** Before a route that makes accounts: RATE_REGISTER an hour and address, whatever comes of it. */
@Injectable()
export class RegistrationLimit extends ThrottlerGuard {
  @Inject(ON_REFUSED) private readonly onRefused!: OnRefused;

  protected override async throwThrottlingException(_: ExecutionContext, { timeToBlockExpire }: ThrottlerLimitDetail) {
    this.onRefused('registration');
    throw tooMany(WHAT.registration, timeToBlockExpire);
  }
}

/**
 * Failed checks of passwords, per account and per address. Successes are not counted. Those under way are: while their failing would fill
 * a limit, the next waits for them, so that many at once try no more passwords than one after another.
 */
export class PasswordAttempts {
  private readonly failures = new Counters(RATE_WINDOW_MS);
  private readonly underWay = new Map<string, Set<Promise<unknown>>>();
  private readonly refuseBeyond: ReturnType<typeof refusing>;

  constructor(
    private readonly perAccount: number,
    onRefused: OnRefused = () => undefined,
  ) {
    this.refuseBeyond = refusing(onRefused);
  }

  /**
   * @param account the username's key, of an account or not: an answer does not tell whether there is one
   * @param failed whether what `check` rejects with means a wrong password
   * @throws Problem 429; what `check` rejects with
   */
  async attempt<Result>(
    request: Asker,
    account: string,
    check: () => Promise<Result>,
    failed: (error: unknown) => boolean,
  ): Promise<Result> {
    if (this.perAccount === 0) return check();
    const limits: [key: string, limit: number, of: Limit][] = [
      [`account ${hash('sha256', account, 'base64')}`, this.perAccount, 'password_account'],
      [`address ${addressOf(request)}`, this.perAccount * ADDRESS_FAILS_PER_ACCOUNT, 'password_address'],
    ];
    for (let busy = this.crowd(limits); busy; busy = this.crowd(limits)) await Promise.race(busy);
    const running = check();
    const keys = limits.map(([key]) => key);
    const done = running.catch((error: unknown) => {
      if (failed(error)) for (const key of keys) this.failures.count(key);
    });
    for (const key of keys) this.enter(key, done);
    void done.then(() => keys.forEach((key) => this.leave(key, done)));
    return running;
  }

  /** Those under way whose failing would fill a limit. @throws Problem 429 when one is full */
  private crowd(limits: readonly [string, number, Limit][]): Set<Promise<unknown>> | undefined {
    let crowd: Set<Promise<unknown>> | undefined;
    for (const [key, limit, of] of limits) {
      const { hits, endsInMs } = this.failures.peek(key);
      this.refuseBeyond(of, limit, { hits: hits + 1, endsInMs });
      const underWay = this.underWay.get(key);
      if (underWay && hits + underWay.size >= limit) crowd = underWay;
    }
    return crowd;
  }

  private enter(key: string, attempt: Promise<unknown>): void {
    const others = this.underWay.get(key);
    if (others) others.add(attempt);
    else this.underWay.set(key, new Set([attempt]));
  }

  private leave(key: string, attempt: Promise<unknown>): void {
    const others = this.underWay.get(key)!;
    others.delete(attempt);
    if (others.size === 0) this.underWay.delete(key);
  }
}

/** The limits of one service; each copy of it counts for itself. */
export interface RateLimits {
  /** Counts a request for its address. @throws Problem 429 */
  address(request: Asker): void;
  /** What RegistrationLimit, PasswordAttempts and LISTENER_LIMIT are injected from. */
  module: DynamicModule;
}

@Module({})
class RateLimitsModule {}

export function createRateLimits(config: ServiceConfig, onRefused: OnRefused): RateLimits {
  const refuseBeyond = refusing(onRefused);
  const { RATE_ADDRESS, RATE_LISTENER, RATE_REGISTER, RATE_LOGIN_FAILED } = config;
  const addresses = new Counters(RATE_WINDOW_MS);
  const listeners = new Counters(RATE_WINDOW_MS);
  const limitListener: ListenerLimit = (userId) => {
    if (RATE_LISTENER > 0) refuseBeyond('listener', RATE_LISTENER, listeners.count(userId));
  };
  const registrations = ThrottlerModule.forRoot({
    storage: new Counters(REGISTER_WINDOW_MS),
    getTracker: (request) => addressOf(request as Asker),
    generateKey: (_context, address) => address,
    setHeaders: false,
    throttlers: [{ limit: RATE_REGISTER, ttl: REGISTER_WINDOW_MS, skipIf: () => RATE_REGISTER === 0 }],
  });
  return {
    address: (request) => {
      if (RATE_ADDRESS > 0) refuseBeyond('address', RATE_ADDRESS, addresses.count(addressOf(request)));
    },
    module: {
      module: RateLimitsModule,
      global: true,
      imports: [registrations],
      providers: [
        { provide: LISTENER_LIMIT, useValue: limitListener },
        { provide: PasswordAttempts, useValue: new PasswordAttempts(RATE_LOGIN_FAILED, onRefused) },
        { provide: ON_REFUSED, useValue: onRefused },
      ],
      exports: [LISTENER_LIMIT, ON_REFUSED, PasswordAttempts, registrations],
    },
  };
}
