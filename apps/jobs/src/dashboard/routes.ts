import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Edge, Logger, Problem } from '@balados/platform-service';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Admission, isForeign, sessionOf } from './admission';
import type { Collector } from './collector';
import type { Viewers } from './viewers';

export const DASHBOARD_PATH = '/dashboard';
const LOGIN_PATH = `${DASHBOARD_PATH}/login`;
/** Largest form, in bytes. */
const FORM_MAX_BYTES = 8_192;

const FOLDER = resolve(__dirname, 'page');
const ASSETS: Record<string, string> = {
  'style.css': 'text/css',
  'page.js': 'text/javascript',
  'plots.js': 'text/javascript',
  'icon.svg': 'image/svg+xml',
};
const HTML = 'text/html; charset=utf-8';
/** In the page of the login: what went wrong. */
const MESSAGE = '<!-- message -->';

/** Beside what every answer has. All that a page runs, asks and shows is this server's, and nothing of it is kept. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  // Without a referrer browsers do not say whose page sent a form.
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
};

const WRONG_TOKEN = 'a wrong admin token was sent to the dashboard';
const loginForm = z.object({ token: z.string() });

interface DashboardParts {
  admission: Admission;
  collector: Collector;
  viewers: Viewers;
  log: Logger;
}

/** The dashboard's pages, its login, and what they ask for. */
export const dashboardRoutes =
  ({ admission, collector, viewers, log }: DashboardParts) =>
  (server: FastifyInstance, { refuse }: Edge): void => {
    const file = (name: string): string => readFileSync(resolve(FOLDER, name), 'utf8');
    const [page, login] = [file('index.html'), file('login.html')];

    const endOf = (request: FastifyRequest): number => {
      const end = admission.endOf(request);
      if (end !== undefined) return end;
      if (request.headers.authorization !== undefined) log.warn(WRONG_TOKEN);
      throw new Problem(401, 'admin_required', 'This is for who has the admin token.', {
        headers: { 'www-authenticate': 'Bearer' },
      });
    };
    const assertOwnForm = (request: FastifyRequest): void => {
      if (isForeign(request)) throw new Problem(403, 'foreign_form', "This form was another site's.");
    };
    const refusedLogin = (reply: FastifyReply, status: number, message: string): FastifyReply =>
      reply
        .code(status)
        .type(HTML)
        .send(login.replace(MESSAGE, `<p id="message" role="alert">${message}</p>`));

    void server.register(async (scope) => {
      scope.setErrorHandler((error, request, reply) => refuse(error, request as never, reply as never));
      scope.addContentTypeParser(
        'application/x-www-form-urlencoded',
        { parseAs: 'string', bodyLimit: FORM_MAX_BYTES },
        (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(body as string))),
      );
      scope.addHook('onRequest', (_request, reply, done) => {
        reply.headers(HEADERS).removeHeader('access-control-allow-origin');
        done();
      });

      scope.get(DASHBOARD_PATH, (request, reply) =>
        admission.endOf(request) === undefined ? reply.redirect(LOGIN_PATH, 303) : reply.type(HTML).send(page),
      );
      scope.get(`${DASHBOARD_PATH}/`, (_request, reply) => reply.redirect(DASHBOARD_PATH, 303));
      scope.get(LOGIN_PATH, (_request, reply) => reply.type(HTML).send(login));
      scope.post(LOGIN_PATH, (request, reply) => {
        assertOwnForm(request);
        const { data: { token } = { token: '' } } = loginForm.safeParse(request.body);
        try {
          if (!admission.isToken(request, token.trim())) {
            log.warn(WRONG_TOKEN);
            return refusedLogin(reply, 401, 'This is not the admin token.');
          }
        } catch (error) {
          if (!(error instanceof Problem) || error.status !== 429) throw error;
          reply.header('retry-after', String(error.extra.retryAfter));
          return refusedLogin(reply, 429, error.detail);
        }
        log.info('somebody has logged in to the dashboard');
        return reply.header('set-cookie', admission.begin(request)).redirect(DASHBOARD_PATH, 303);
      });
      scope.post(`${DASHBOARD_PATH}/logout`, (request, reply) => {
        assertOwnForm(request);
        const session = sessionOf(request);
        if (session !== '') viewers.endSession(session);
        return reply.header('set-cookie', admission.end(request)).redirect(LOGIN_PATH, 303);
      });
      scope.get(`${DASHBOARD_PATH}/snapshot`, async (request) => {
        endOf(request);
        return collector.collect();
      });
      scope.get(
        `${DASHBOARD_PATH}/events`,
        { exposeHeadRoute: false, config: { isStream: true } },
        (request, reply) => {
          const [endsAt, session] = [endOf(request), sessionOf(request)];
          viewers.assertRoom();
          reply.hijack();
          const { raw } = reply;
          for (const [name, value] of Object.entries(reply.getHeaders())) raw.setHeader(name, value as string);
          raw.setHeader('content-type', 'text/event-stream');
          // nginx hands on each piece as it comes.
          raw.setHeader('x-accel-buffering', 'no');
          viewers.begin(raw, { session, endsAt });
        },
      );
      for (const [name, type] of Object.entries(ASSETS)) {
        const text = file(name);
        scope.get(`${DASHBOARD_PATH}/${name}`, (_request, reply) => reply.type(type).send(text));
      }
    });
  };
