import { NotAFeed } from '@balados/feeds-content';
import { FetchFailed, FetchFailedCode } from '@balados/feeds-fetch';
import { Problem, ProblemCodes } from '@balados/platform-service';

/** Of each reason why there is no document; its code is the reason's with `feed_` before it. */
const STATUSES: Record<FetchFailedCode, number> = {
  // What is asked for is not what we reach out to.
  scheme_not_allowed: 403,
  port_not_allowed: 403,
  address_not_allowed: 403,
  gone: 410,
  name_not_found: 502,
  not_reachable: 502,
  bad_certificate: 502,
  too_many_redirects: 502,
  bad_redirect: 502,
  not_found: 502,
  access_denied: 502,
  rate_limited: 502,
  origin_failed: 502,
  other_status: 502,
  bad_response: 502,
  truncated: 502,
  bad_encoding: 502,
  too_large: 502,
  empty: 502,
  busy: 503,
  timeout: 504,
};

const codeOf = (code: FetchFailedCode): string => `feed_${code}`;
const byStatus = Object.entries(STATUSES).map(([code, status]) => ({ code: codeOf(code as FetchFailedCode), status }));
const codesOf = (wanted: number): string[] => byStatus.flatMap(({ code, status }) => (status === wanted ? [code] : []));

/** What any route that needs a feed may answer. */
export const FEED_PROBLEMS: ProblemCodes = {
  403: codesOf(403),
  410: codesOf(410),
  502: ['not_a_feed', ...codesOf(502)],
  503: codesOf(503),
  504: codesOf(504),
};

/**
 * Of `feed` the host alone is logged: addresses may hold secrets. `retryAfterMs`: before that the answer is the same. Undefined for what is no
 * failure of a feed.
 */
export function feedProblem(error: unknown, feed: string, retryAfterMs: number | null = null): Problem | undefined {
  const retry = retryAfterMs === null ? {} : { retryAfter: Math.ceil(retryAfterMs / 1_000) };
  const extra = { ...retry, logged: { host: new URL(feed).host } };
  if (error instanceof NotAFeed)
    return new Problem(502, 'not_a_feed', `This is no feed that can be served: ${error.message}.`, {
      ...extra,
      reason: error.code,
    });
  if (error instanceof FetchFailed) return new Problem(STATUSES[error.code], codeOf(error.code), error.message, extra);
  return undefined;
}
