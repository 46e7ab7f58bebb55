import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Body, Controller, Get, Header, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { addressOf, Counters, parseJson, PasswordAttempts, Problem, TakesAnyBody } from '@balados/platform-service';
import { LOGIN_FLOW_SECONDS, usernameKey } from '@balados/users-accounts';
import type { AccountsParts } from '@balados/users-accounts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Config } from '../config';
import { isOfAnotherSite } from '../gpodder/app.guard';
import { textOf } from '../gpodder/wire';
import { isWrongPassword, usersProblem } from '../problems';
import { ACCOUNTS, CONFIG } from '../tokens';
import { ANSWERS, clientOf, endPage, loginPage, PAGE_HEADERS } from './login.page';
import { publicAddressOf } from './public-address';

/** An address begins so many flows in LOGIN_FLOW_SECONDS; an IPv6 /48, which one customer may have, five times as many. */
export const FLOWS_PER_ADDRESS = 60;
export const FLOWS_PER_SITE = 300;
const SITE_PREFIX = 48;
/** An address asks so often a minute what came of its flows: ten apps that ask each second. */
export const POLLS_PER_ADDRESS = 600;
const POLLS_WINDOW_MS = 60_000;
/** When LOGIN_FLOWS_MAX are open, an app is told to wait so long, in seconds. */
const FULL_RETRY_SECONDS = 60;
/** Largest form, in bytes. */
export const FORM_MAX_BYTES = 16_384;

const PATH = 'index.php/login/v2';
const COOKIE = 'balados_login';
/** 32 bytes in base64url. */
const SECRET = /^[\w-]{43}$/;
const IN_COOKIES = new RegExp(`(?:^|;)\\s*${COOKIE}=([\\w-]{43})(?:;|$)`);

const pollBody = z.object({ token: z.string().regex(SECRET) });
const form = z.object({
  form: z.string().max(64),
  answer: z.enum(ANSWERS),
  username: z.string().max(1_024).default(''),
  password: z.string().max(4_096).default(''),
});

/**
 * How an app gets a password of its own (Nextcloud's login flow, version 2): it begins a flow, a listener opens the page and grants it, the
 * app asks each second until it is told. Any copy answers any of it.
 */
@Controller(PATH)
@ApiExcludeController()
export class NextcloudLoginController {
  private readonly begun = new Counters(LOGIN_FLOW_SECONDS * 1_000);
  private readonly begunOfSite = new Counters(LOGIN_FLOW_SECONDS * 1_000);
  private readonly polls = new Counters(POLLS_WINDOW_MS);

  constructor(
    @Inject(ACCOUNTS) private readonly accounts: AccountsParts,
    @Inject(CONFIG) private readonly config: Config,
    private readonly attempts: PasswordAttempts,
  ) {}

  @Post()
  @TakesAnyBody()
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async begin(@Req() request: FastifyRequest) {
    const address = publicAddressOf(request, this.config.PUBLIC_URL);
    limit(this.begun, addressOf(request), FLOWS_PER_ADDRESS);
    limit(this.begunOfSite, addressOf(request, SITE_PREFIX), FLOWS_PER_SITE);
    const flow = await this.accounts.loginFlows.begin(clientOf(request.headers['user-agent']));
    if (!flow)
      throw new Problem(503, 'busy', 'Too many apps wait to be let in; try again in a minute.', {
        retryAfter: FULL_RETRY_SECONDS,
      });
    return {
      poll: { token: flow.pollToken, endpoint: `${address}/${PATH}/poll` },
      login: `${address}/${PATH}/flow/${flow.pageToken}`,
    };
  }

  /** 404 until it is granted, then once 200, then 404 again. */
  @Post('poll')
  @TakesAnyBody()
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async poll(@Req() request: FastifyRequest, @Body() body: unknown) {
    limit(this.polls, addressOf(request), POLLS_PER_ADDRESS);
    const server = publicAddressOf(request, this.config.PUBLIC_URL);
    const asked = pollBody.safeParse(fieldsOf(body));
    const granted = asked.success && (await this.accounts.loginFlows.fetch(asked.data.token));
    if (!granted) throw new Problem(404, 'not_found', 'Nothing is granted to this token.');
    return { server, loginName: granted.username, appPassword: granted.password };
  }

  @Get('flow/:token')
  async show(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('token') token: string): Promise<void> {
    const flow = await this.accounts.loginFlows.find(token);
    if (!flow) return send(reply, 404, endPage('over'));
    this.ask(request, reply, token, 200, flow);
  }

  @Post('flow/:token')
  @TakesAnyBody()
  async answer(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('token') token: string,
    @Body() body: unknown,
  ): Promise<void> {
    const { loginFlows } = this.accounts;
    const flow = await loginFlows.find(token);
    if (!flow) return send(reply, 404, endPage('over'));
    // The cookie stays as it is: a page of ours that stands open is still answered.
    if (isOfAnotherSite(request)) return send(reply, 403, endPage('foreign'));
    const sent = form.safeParse(fieldsOf(body));
    const askAgain = (status: number, message: string, username?: string): void =>
      this.ask(request, reply, token, status, { ...flow, message, username });
    if (!sent.success) return askAgain(400, 'That could not be read. Please try again.');
    if (!isOwnForm(request, token, sent.data.form))
      return askAgain(403, 'This page was too old, or your browser keeps no cookie of it. Please try again.');
    const { answer: given, username, password } = sent.data;
    try {
      const isTaken = await (given === 'refuse'
        ? loginFlows.refuse(token)
        : this.attempts.attempt(
            request,
            usernameKey(username),
            () => loginFlows.grant(token, { username, password }),
            isWrongPassword,
          ));
      send(reply, isTaken ? 200 : 404, endPage(isTaken ? given : 'over'));
    } catch (error) {
      const problem = error instanceof Problem ? error : usersProblem(error);
      if (!problem) throw error;
      if (problem.extra.retryAfter !== undefined) reply.header('retry-after', String(problem.extra.retryAfter));
      askAgain(problem.status, problem.detail, username);
    }
  }

  /** The page, with a cookie by which its forms are known to be its own. */
  private ask(
    request: FastifyRequest,
    reply: FastifyReply,
    token: string,
    status: number,
    page: Omit<Parameters<typeof loginPage>[0], 'formToken'>,
  ): void {
    const secret = cookieOf(request) ?? randomBytes(32).toString('base64url');
    const isSecure = publicAddressOf(request, this.config.PUBLIC_URL).startsWith('https:');
    // Without a path it is the page's own, whatever folder a proxy has put before it.
    const cookie = `${COOKIE}=${secret}; Max-Age=${LOGIN_FLOW_SECONDS}; HttpOnly; SameSite=Strict`;
    reply.header('set-cookie', isSecure ? `${cookie}; Secure` : cookie);
    send(reply, status, loginPage({ ...page, formToken: formTokenOf(secret, token) }));
  }
}

function send(reply: FastifyReply, status: number, html: string): void {
  reply
    .code(status)
    .removeHeader('access-control-allow-origin')
    .headers(PAGE_HEADERS)
    .type('text/html; charset=utf-8')
    .send(html);
}

/** @throws Problem 429 */
function limit(counters: Counters, address: string, most: number): void {
  const { hits, endsInMs } = counters.count(address);
  if (hits <= most) return;
  const retryAfter = Math.ceil(endsInMs / 1_000);
  throw new Problem(429, 'too_many_requests', `Too many requests of this address; try again in ${retryAfter} s.`, {
    retryAfter,
  });
}

/** A form's fields or a JSON object, whatever it was called. @throws Problem 400, 413 */
function fieldsOf(body: unknown): unknown {
  if (Buffer.isBuffer(body) && body.length > FORM_MAX_BYTES)
    throw new Problem(413, 'too_large', `A form has at most ${FORM_MAX_BYTES} bytes.`);
  const text = textOf(body);
  return /^\s*\{/.test(text) ? parseJson(body as Buffer) : Object.fromEntries(new URLSearchParams(text));
}

const cookieOf = ({ headers: { cookie = '' } }: FastifyRequest): string | undefined => IN_COOKIES.exec(cookie)?.[1];

/** What the form of a flow's page carries in the browser that has this cookie. */
const formTokenOf = (secret: string, token: string): string =>
  createHmac('sha256', secret).update(token).digest('base64url');

function isOwnForm(request: FastifyRequest, token: string, given: string): boolean {
  const secret = cookieOf(request);
  if (secret === undefined || !SECRET.test(given)) return false;
  return timingSafeEqual(Buffer.from(given), Buffer.from(formTokenOf(secret, token)));
}
