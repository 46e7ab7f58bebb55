export type FetchFailedCode =
  /** Of what we do not reach out to: not http(s), another port, an address that is not public. */
  | 'scheme_not_allowed'
  | 'port_not_allowed'
  | 'address_not_allowed'
  | 'name_not_found'
  | 'not_reachable'
  | 'bad_certificate'
  | 'timeout'
  /** More than five redirects; one that leads nowhere. */
  | 'too_many_redirects'
  | 'bad_redirect'
  /** The origin's own answers: 404, 410, 401 or 403, 429, 5xx, anything else that is no document. */
  | 'not_found'
  | 'gone'
  | 'access_denied'
  | 'rate_limited'
  | 'origin_failed'
  | 'other_status'
  /** What came is not HTTP, ended before its end, or is not in the coding that it says. */
  | 'bad_response'
  | 'truncated'
  | 'bad_encoding'
  | 'too_large'
  | 'empty'
  /** Too much is under way here: it says nothing of the origin. */
  | 'busy';

/** Why there is no document. The message names no URL, for some are secret. */
export class FetchFailed extends Error {
  constructor(
    readonly code: FetchFailedCode,
    message: string,
    /** As the origin's Retry-After asks, in milliseconds, at most RETRY_AFTER_MAX_MS. */
    readonly retryAfterMs: number | null = null,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'FetchFailed';
  }
}

export const busy = (): FetchFailed =>
  new FetchFailed('busy', 'Too many feeds are being fetched at this moment; try again shortly.');
