import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { addressOf, Counters, Problem, RATE_WINDOW_MS } from '@balados/platform-service';
import type { FastifyRequest } from 'fastify';

/** Whoever has sent the admin token sees the dashboard for this long, in milliseconds; then it is asked for again. */
export const SESSION_MS = 12 * 3_600_000;
const COOKIE = 'balados_dashboard';
/** Cookies and tokens that are longer are none of ours. */
const LONGEST = 8_192;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
const isEqual = (one: Buffer, other: Buffer): boolean => one.length === other.length && timingSafeEqual(one, other);

/**
 * Who may see the dashboard: who sends the admin token, or a cookie that was given for it. The cookie is no copy of the token but a time,
 * signed by a key that is made of the token: all copies of the service take it, and none once the token is another.
 */
export class Admission {
  private readonly token: Buffer;
  private readonly key: Buffer;
  private readonly failures = new Counters(RATE_WINDOW_MS);

  /** @param wrongPerMinute wrong tokens of an address that are looked at in a minute; 0: all */
  constructor(
    token: string,
    private readonly wrongPerMinute: number,
    private readonly clock: () => number = Date.now,
  ) {
    this.token = digest(token);
    this.key = createHmac('sha256', token).update('sessions of the dashboard').digest();
  }

  /** Whether this is the token, in the same time whatever it is. @throws Problem 429 for an address that has sent too many others */
  isToken(request: FastifyRequest, given: string): boolean {
    const address = addressOf(request);
    const { hits, endsInMs } = this.failures.peek(address);
    if (this.wrongPerMinute > 0 && hits >= this.wrongPerMinute) {
      const seconds = Math.ceil(endsInMs / 1_000);
      throw new Problem(
        429,
        'too_many_requests',
        `Too many wrong tokens from this address; try again in ${seconds} s.`,
        {
          retryAfter: seconds,
        },
      );
    }
    const isRight = given.length <= LONGEST && isEqual(digest(given), this.token);
    if (!isRight) this.failures.count(address);
    return isRight;
  }

  /** Until when whoever asks may look, in epoch milliseconds; undefined: not at all. @throws Problem 429 */
  endOf(request: FastifyRequest): number | undefined {
    const { authorization } = request.headers;
    const [, bearer] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
    if (bearer !== undefined) return this.isToken(request, bearer) ? this.clock() + SESSION_MS : undefined;
    return this.endOfSession(sessionOf(request));
  }

  /** What begins a session, for `Set-Cookie`. */
  begin(request: FastifyRequest): string {
    const signed = `${this.clock() + SESSION_MS}.${randomBytes(16).toString('base64url')}`;
    return cookie(request, `${signed}.${this.sign(signed)}`, SESSION_MS / 1_000);
  }

  /** What ends the session of a browser, for `Set-Cookie`. */
  end = (request: FastifyRequest): string => cookie(request, '', 0);

  private endOfSession(value: string): number | undefined {
    const [, signed, end, signature] = /^((\d{1,16})\.[\w-]{22})\.([\w-]{43})$/.exec(value) ?? [];
    if (!signed || !isEqual(Buffer.from(signature!), Buffer.from(this.sign(signed)))) return undefined;
    return Number(end) > this.clock() ? Number(end) : undefined;
  }

  private sign = (text: string): string => createHmac('sha256', this.key).update(text).digest('base64url');
}

/** What a browser sends as its session; empty when it sends none. */
export function sessionOf({ headers: { cookie = '' } }: Pick<FastifyRequest, 'headers'>): string {
  if (cookie.length > LONGEST) return '';
  const own = cookie.split(/; */).find((pair) => pair.startsWith(`${COOKIE}=`));
  return own?.slice(COOKIE.length + 1) ?? '';
}

function cookie(request: FastifyRequest, value: string, seconds: number): string {
  // Where TLS ends before us the browser alone says how it came.
  const isSecure = request.protocol === 'https' || request.headers.origin?.startsWith('https://');
  const parts = [`${COOKIE}=${value}`, 'Path=/dashboard', `Max-Age=${seconds}`, 'HttpOnly', 'SameSite=Strict'];
  return [...parts, ...(isSecure ? ['Secure'] : [])].join('; ');
}

/** Whether another site's page has sent a form, as far as the browser says whose it is; a program that is none says nothing. */
export function isForeign({ headers }: Pick<FastifyRequest, 'headers'>): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  const { origin, host } = headers;
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}
