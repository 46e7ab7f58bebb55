import { RevisionConflict, StoreUnavailable } from '@balados/event-sourcing';
import { isPassingDatabaseError } from '@balados/platform-stores';
import { ArgumentsHost, Catch, ExceptionFilter, HttpException, StandardSchemaValidationPipe } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Logger } from './logging';

/** What is wrong with one part of a request; `path` as in `subscriptions[3].rss_source_feed`. */
export interface Flaw {
  path: string;
  code: string;
  message: string;
}

/** An answer of RFC 9457. `code` is for programs, `detail` for people. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly extra: {
      errors?: readonly Flaw[];
      retryAfter?: number;
      headers?: Record<string, string>;
      /** Stands in the log of what failed on another's side, and not in the answer. */
      logged?: Record<string, string>;
      [member: string]: unknown;
    } = {},
  ) {
    super(`${status} ${code}: ${detail}`);
    this.name = 'Problem';
  }
}

/** Turns an error that one context throws into its problem; undefined when it is not one of its errors. */
export type ProblemMapping = (error: unknown) => Problem | undefined;

/** Seconds after which a client may try again when a store is away. */
export const RETRY_AFTER_SECONDS = 2;

const TITLES: Record<number, string> = {
  400: 'Malformed request',
  401: 'Not authenticated',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  408: 'Too slow',
  409: 'Conflict',
  410: 'Gone',
  413: 'Too large',
  414: 'URL too long',
  415: 'Unsupported media type',
  422: 'Invalid request',
  429: 'Too many requests',
  431: 'Headers too large',
  500: 'Internal error',
  502: 'Bad gateway',
  503: 'Unavailable',
  504: 'Gateway timeout',
};

const CODES: Record<number, string> = {
  400: 'malformed',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'too_slow',
  413: 'too_large',
  414: 'url_too_long',
  415: 'unsupported_media_type',
  431: 'headers_too_large',
};

/** The code of a status that no context has given one. */
export const codeOf = (status: number): string => CODES[status] ?? 'refused';

const flaw = z.object({ path: z.string(), code: z.string(), message: z.string() });

/** Every answer from 400 on, as the documentation shows it; some problems have further members. */
export const problemAnswer = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    errors: z.array(flaw),
    correlation_id: z.string().nullable(),
  })
  .meta({ id: 'Problem' });

/** What stands in the answer, but for the headers. */
export function problemBody(
  { status, code, detail, extra }: Problem,
  correlationId: string | null = null,
): z.infer<typeof problemAnswer> {
  const { errors, retryAfter: _retryAfter, headers: _headers, logged: _logged, ...members } = extra;
  return {
    type: 'about:blank',
    title: TITLES[status] ?? 'Error',
    status,
    detail,
    code,
    errors: [...(errors ?? [])],
    correlation_id: correlationId,
    ...members,
  };
}

const unavailable = (detail: string): Problem =>
  new Problem(503, 'unavailable', detail, { retryAfter: RETRY_AFTER_SECONDS });

/** For a request that took too long; what it asked for may yet be done. */
export const noAnswerInTime = (): Problem => unavailable('This took too long; try again shortly.');

function toProblem(error: unknown, mappings: readonly ProblemMapping[]): Problem {
  if (error instanceof Problem) return error;
  for (const mapping of mappings) {
    const problem = mapping(error);
    if (problem) return problem;
  }
  if (error instanceof StoreUnavailable || error instanceof RevisionConflict)
    return unavailable('The event store does not answer; try again shortly.');
  const given =
    error instanceof HttpException ? error.getStatus() : (error as { statusCode?: number } | null)?.statusCode;
  // What Fastify has given a status is no store's: a client that goes away is a lost connection, too.
  if (given === undefined && isPassingDatabaseError(error))
    return unavailable('The database does not answer; try again shortly.');
  const status = given ?? 500;
  if (status >= 500 || !TITLES[status])
    return new Problem(500, 'internal', 'Something is wrong on our side; the correlation id helps to find it.');
  return new Problem(status, codeOf(status), (error as Error).message);
}

/** The one place where errors become answers. What is not known is logged whole and answered without a detail; what others fail at is a line. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly log: Logger,
    private readonly mappings: readonly ProblemMapping[],
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const problem = toProblem(error, this.mappings);
    const { retryAfter, headers, logged } = problem.extra;
    const about = { correlationId: request.id, code: problem.code };
    if (problem.status === 500) this.log.error({ ...about, err: error }, 'request failed');
    // Somebody else's failure: where in our code it was met says nothing.
    else if (problem.status > 500)
      this.log.warn(
        { ...about, ...logged, reason: error instanceof Problem ? error.detail : (error as Error).message },
        'request failed',
      );
    if (retryAfter !== undefined) reply.header('retry-after', String(retryAfter));
    for (const [name, value] of Object.entries(headers ?? {})) reply.header(name, value);
    reply
      .code(problem.status)
      .header('cache-control', 'no-store')
      .type('application/problem+json')
      .send(problemBody(problem, request.id));
  }
}

/** More flaws than these in one request are not listed. */
export const MAX_FLAWS = 100;

const isKeyed = (segment: unknown): segment is { key: PropertyKey } =>
  typeof segment === 'object' && segment !== null && 'key' in segment;

/** `['subscriptions', 3, 'rss_source_feed']` → `subscriptions[3].rss_source_feed` */
export const jsonPath = (segments: readonly unknown[]): string =>
  segments
    .map((segment) => (isKeyed(segment) ? segment.key : segment))
    .map((segment, index) =>
      typeof segment === 'number' ? `[${segment}]` : `${index > 0 ? '.' : ''}${String(segment)}`,
    )
    .join('');

/** Schemas build what they answer from the keys that they name: walking a sync of thousands once more to remove others is for nothing. */
class SchemaValidation extends StandardSchemaValidationPipe {
  protected override stripProtoKeys(): void {}
}

/** Validates what a `schema` stands beside; what does not fit is 422 with every flaw named. */
export const validationPipe = (): StandardSchemaValidationPipe =>
  new SchemaValidation({
    exceptionFactory: (issues) =>
      new Problem(422, 'invalid', 'The request does not have the required form; `errors` says where.', {
        errors: issues.slice(0, MAX_FLAWS).map((issue) => ({
          path: jsonPath(issue.path ?? []),
          code: String((issue as { params?: { code?: string } }).params?.code ?? 'invalid'),
          message: issue.message,
        })),
      }),
  });
