import { CanActivate, ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { contentTypeSent, LISTENER_LIMIT, PasswordAttempts, Problem } from '@balados/platform-service';
import type { ListenerLimit } from '@balados/platform-service';
import { COOKIE_SECONDS, usernameKey } from '@balados/users-accounts';
import type { AccountsParts, ListenerRequest, SignedIn } from '@balados/users-accounts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isWrongPassword } from '../problems';
import { ACCOUNTS } from '../tokens';
import { SpeakingApp, speakingApp } from './speaking-app';

export const COOKIE = 'sessionid';

/** A request that the guard below let pass. */
export type AppRequest = FastifyRequest & ListenerRequest & { signedIn?: SignedIn; app?: SpeakingApp };

const challenged = (detail: string): Problem =>
  // Some clients send name and password only when they are asked to.
  new Problem(401, 'invalid_credentials', detail, {
    headers: { 'www-authenticate': 'Basic realm="Balados Sync", charset="UTF-8"' },
  });

/**
 * Lets an app pass that knows a listener's name and password (HTTP's Basic, RFC 7617), the account's or one of its own, or that carries
 * the cookie that it was given for them. @throws Problem 400 for a path that names somebody else, 401, 429; AccountsUnavailable
 */
@Injectable()
export class AppGuard implements CanActivate {
  constructor(
    @Inject(ACCOUNTS) private readonly accounts: AccountsParts,
    @Inject(LISTENER_LIMIT) private readonly limit: ListenerLimit,
    private readonly attempts: PasswordAttempts,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<AppRequest>();
    const reply = http.getResponse<FastifyReply>();
    reply.header('cache-control', 'private, no-store');
    if (isForeign(request))
      throw new Problem(
        403,
        'foreign_form',
        'A page of another site may send this only with its own Authorization, as application/json.',
      );
    const signedIn = await this.authenticate(request, reply);
    this.limit(signedIn.userId);
    const { user, device } = namedIn(request);
    if (user !== undefined && usernameKey(user) !== usernameKey(signedIn.username))
      throw new Problem(400, 'other_user', 'The address names another user than the one who signed in.');
    request.app = speakingApp(signedIn, { device, userAgent: request.headers['user-agent'] });
    request.signedIn = signedIn;
    request.listener = {
      userId: signedIn.userId,
      sessionId: null,
      deviceId: device ?? null,
      deviceName: device ?? null,
    };
    return true;
  }

  private async authenticate(request: FastifyRequest, reply: FastifyReply): Promise<SignedIn> {
    const { authorization, cookie } = request.headers;
    if (authorization !== undefined) {
      const credentials = basicOf(authorization);
      if (!credentials) throw challenged('Send username and password as HTTP Basic has it.');
      const signedIn = (await this.accounts.basic.recall(credentials)) ?? (await this.check(request, credentials));
      reply.header('set-cookie', cookieOf(this.accounts.cookies.issue(signedIn, Date.now()), COOKIE_SECONDS, request));
      return signedIn;
    }
    const carried = cookie && new RegExp(`(?:^|;)\\s*${COOKIE}=([^;\\s]*)`).exec(cookie)?.[1];
    const signedIn = carried && this.accounts.cookies.read(carried, Date.now());
    if (!signedIn) throw challenged('Sign in with username and password.');
    if (!(await this.accounts.basic.holds(signedIn))) throw challenged('What this signed in by has ended.');
    return signedIn;
  }

  private async check(request: FastifyRequest, credentials: { username: string; password: string }): Promise<SignedIn> {
    const check = (): Promise<SignedIn> => this.accounts.basic.check(credentials);
    try {
      return await this.attempts.attempt(request, usernameKey(credentials.username), check, isWrongPassword);
    } catch (error) {
      throw isWrongPassword(error) ? challenged('Username and password do not belong together.') : error;
    }
  }
}

/**
 * Whether a page of another site has its visitor's browser write here, with name and password that the browser remembers, or the cookie. A
 * page that knows them itself sends them by CORS, and so that the browser asks first whether it may: it asks for every method but POST, and
 * for every content type but those of forms.
 */
const isForeign = (request: FastifyRequest): boolean =>
  request.method !== 'GET' &&
  isOfAnotherSite(request) &&
  (request.headers['sec-fetch-mode'] !== 'cors' ||
    request.headers.authorization === undefined ||
    (request.method === 'POST' && FORM_TYPES.test(contentTypeSent(request))));

/** None at all, and those that Fetch calls CORS-safelisted. */
const FORM_TYPES = /^\s*(?:$|(?:text\/plain|application\/x-www-form-urlencoded|multipart\/form-data)\s*(?:;|$))/i;

/** Whether a page of another site sent it, as far as the browser says. */
export const isOfAnotherSite = ({ headers }: FastifyRequest): boolean =>
  /^(?:cross|same)-site$/.test(String(headers['sec-fetch-site']));

/** A cookie that lasts so long; 0 takes it back. */
export const cookieOf = (value: string, seconds: number, { protocol }: FastifyRequest): string =>
  `${COOKIE}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${protocol === 'https' ? '; Secure' : ''}`;

/** Characters of a header that is looked at. */
const BASIC_MAX_LENGTH = 4_096;

function basicOf(header: string): { username: string; password: string } | undefined {
  const [, encoded] = (header.length <= BASIC_MAX_LENGTH && /^Basic +([\w+/=-]+) *$/i.exec(header)) || [];
  if (encoded === undefined) return undefined;
  // No name has a control character, and NUL the tables cannot even be asked for.
  const [, username, password] = /^([^:\p{Cc}]*):(.*)$/su.exec(Buffer.from(encoded, 'base64').toString('utf8')) ?? [];
  return username === undefined || password === undefined ? undefined : { username, password };
}

/** Whom and what device a path names: its last part ends in a format. */
function namedIn({ params }: FastifyRequest): { user?: string; device?: string } {
  const { user, file } = params as { user?: string; file?: string };
  const name = file?.replace(/\.[a-z]+$/, '');
  return user === undefined ? { user: name } : { user, device: name };
}
