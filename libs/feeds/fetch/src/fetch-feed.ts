import { canonicalFeed } from '@balados/feeds-ids';
import { Agent, Dispatcher, errors, request } from 'undici';
import { connector, hostAndPort, Lookup } from './addresses';
import { busy, FetchFailed, FetchFailedCode } from './fetch-failed';
import {
  BODY_MAX_BYTES,
  FETCH_TIMEOUT_MS,
  FetchLimits,
  FETCHES_BYTES,
  FETCHES_MAX,
  FETCHES_PER_CLIENT,
  FETCHES_PER_HOST,
  FETCHES_WAITING_MAX,
  FETCHES_WAITING_PER_CLIENT,
  HEADER_MAX_BYTES,
  INTERIM_MAX,
  PORTS,
  REDIRECTS_MAX,
  USER_AGENT,
} from './limits';
import { ACCEPT_ENCODING, readBody } from './read-body';
import { retryAfterMs } from './retry-after';
import { Slots } from './slots';

/** What a copy that is held is known by to its origin. */
export interface Validators {
  etag: string | null;
  lastModified: string | null;
}

interface Answered extends Validators {
  /** The canonical URL that the feed has moved to for good: each hop was a 301 or 308. */
  movedTo: string | null;
}

export type Fetched =
  /** `bytes` after decompression. */
  | (Answered & { kind: 'document'; bytes: Buffer; contentType: string | undefined })
  /** What is held stands. */
  | (Answered & { kind: 'unchanged' });

export interface FeedFetcher {
  /** `client`: for whom, who has no more than a share of all. @throws FetchFailed, and nothing else; as soon as `signal` says so, too */
  fetch(url: string, held?: Validators, signal?: AbortSignal, client?: string): Promise<Fetched>;
  /** Cuts off what is under way. */
  close(): Promise<void>;
}

export interface FetcherOptions {
  /** `host:port`s that may be private and on any port: FEEDS_ALLOW_PRIVATE. */
  allowPrivate?: readonly string[];
  lookup?: Lookup;
  limits?: Partial<FetchLimits>;
  now?: () => number;
}

const ACCEPT =
  'application/rss+xml, application/atom+xml, application/rdf+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1';
const PERMANENT = [301, 308];
const REDIRECTS = [...PERMANENT, 302, 303, 307];

/** Fetches documents that strangers name: http(s) from public addresses only, within FetchLimits. */
export function createFetcher({
  allowPrivate = [],
  lookup,
  limits = {},
  now = Date.now,
}: FetcherOptions = {}): FeedFetcher {
  const { timeoutMs = FETCH_TIMEOUT_MS, maxBytes = BODY_MAX_BYTES, ports = PORTS, allBytes = FETCHES_BYTES } = limits;
  const budget = { bytes: allBytes };
  const allowed = new Set(allowPrivate.map((each) => hostAndPort(new URL(`http://${each}`))));
  const slots = new Slots({
    perHost: FETCHES_PER_HOST,
    perClient: FETCHES_PER_CLIENT,
    total: FETCHES_MAX,
    waiting: FETCHES_WAITING_MAX,
    waitingPerClient: FETCHES_WAITING_PER_CLIENT,
  });
  const agent = new Agent({
    connect: connector(allowed, lookup),
    maxHeaderSize: HEADER_MAX_BYTES,
    // The time of all together is what counts.
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  function check(url: URL): void {
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw new FetchFailed('scheme_not_allowed', 'Only http and https are fetched.');
    const target = hostAndPort(url);
    if (!allowed.has(target) && !ports.includes(Number(/\d+$/.exec(target)![0])))
      throw new FetchFailed('port_not_allowed', 'Only the ports 80 and 443 are fetched from.');
  }

  /** One request, read to its end unless it redirects. */
  async function ask(url: URL, headers: Record<string, string>, signal: AbortSignal, client: string): Promise<Hop> {
    const askedAt = performance.now();
    const release = await slots.take({ host: url.host, client }, signal);
    const waitedMs = performance.now() - askedAt;
    let answer: Dispatcher.ResponseData | undefined;
    try {
      let interim = 0;
      const onInfo = (): void => {
        interim += 1;
        if (interim > INTERIM_MAX) throw new FetchFailed('bad_response', 'The origin does not come to its answer.');
      };
      answer = await request(url, { dispatcher: agent, headers, signal, onInfo });
      const { statusCode: status } = answer;
      const header = (name: string): string | undefined => [answer!.headers[name]].flat()[0];
      if (status === 200) {
        if (Number(header('content-length')) > maxBytes)
          throw new FetchFailed('too_large', `The document has more than ${maxBytes} bytes.`);
        const encoding = [answer.headers['content-encoding'] ?? ''].flat().join(',');
        return { status, header, bytes: await readBody(answer.body, encoding, { maxBytes, budget }) };
      }
      return { status, header };
    } catch (error) {
      const failure = asFailure(error, signal, answer !== undefined);
      // What had its turn late was not given the time that it should have.
      throw failure.code === 'timeout' && waitedMs > timeoutMs / 2 ? busy() : failure;
    } finally {
      answer?.body.on('error', () => undefined).destroy();
      release();
    }
  }

  async function follow(
    start: URL,
    held: Validators | undefined,
    signal: AbortSignal,
    client: string,
  ): Promise<Fetched> {
    const authorization = basicOf(start);
    let url = start;
    let isAtHome = true;
    let isPermanent = true;
    for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
      check(url);
      const hop = await ask(
        url,
        {
          accept: ACCEPT,
          'accept-encoding': ACCEPT_ENCODING,
          'user-agent': USER_AGENT,
          ...(held?.etag && { 'if-none-match': held.etag }),
          ...(held?.lastModified && { 'if-modified-since': held.lastModified }),
          ...(authorization && isAtHome && { authorization }),
        },
        signal,
        client,
      );
      if (!REDIRECTS.includes(hop.status)) {
        const moved = redirects > 0 && isPermanent && !authorization;
        return conclude(hop, held, moved ? canonicalOf(url) : null, now());
      }
      isPermanent &&= PERMANENT.includes(hop.status);
      url = targetOf(hop, url);
      // A stranger's redirect back does not choose what is asked for in the listener's name.
      isAtHome &&= url.origin === start.origin;
    }
    throw new FetchFailed('too_many_redirects', `There are more than ${REDIRECTS_MAX} redirects.`);
  }

  return {
    async fetch(text, held, signal, client = '') {
      const deadline = new AbortController();
      const stop = (): void => deadline.abort();
      const timer = setTimeout(stop, timeoutMs);
      signal?.addEventListener('abort', stop, { once: true });
      try {
        if (signal?.aborted) stop();
        return await follow(new URL(text), held, deadline.signal, client);
      } catch (error) {
        throw asFailure(error, deadline.signal, false);
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
      }
    },
    close: () => agent.destroy(),
  };
}

interface Hop {
  status: number;
  header: (name: string) => string | undefined;
  bytes?: Buffer;
}

/** Userinfo of the URL itself is meant for its own origin alone. */
const basicOf = ({ username, password }: URL): string | undefined =>
  username === '' && password === ''
    ? undefined
    : `Basic ${Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')}`;

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function targetOf({ header }: Hop, from: URL): URL {
  const location = header('location');
  let url: URL;
  try {
    // Without one it is no URL either.
    url = location === undefined ? new URL('') : new URL(location, from);
  } catch {
    throw new FetchFailed('bad_redirect', 'A redirect leads nowhere.');
  }
  // What an origin writes there is not ours to send.
  if (url.protocol === 'http:' || url.protocol === 'https:') url.username = url.password = '';
  return url;
}

function canonicalOf(url: URL): string | null {
  try {
    return canonicalFeed(url.href);
  } catch {
    return null;
  }
}

function conclude(
  { status, header, bytes }: Hop,
  held: Validators | undefined,
  movedTo: string | null,
  now: number,
): Fetched {
  const validators = { etag: header('etag') ?? null, lastModified: header('last-modified') ?? null };
  if (bytes) return { kind: 'document', bytes, contentType: header('content-type'), ...validators, movedTo };
  if (status === 304 && (held?.etag || held?.lastModified))
    return {
      kind: 'unchanged',
      etag: validators.etag ?? held.etag,
      lastModified: validators.lastModified ?? held.lastModified,
      movedTo,
    };
  const wait = retryAfterMs(header('retry-after'), now);
  throw new FetchFailed(codeOf(status), `The origin answers ${status}.`, wait);
}

function codeOf(status: number): FetchFailedCode {
  if (status === 404) return 'not_found';
  if (status === 410) return 'gone';
  if (status === 401 || status === 403) return 'access_denied';
  if (status === 429) return 'rate_limited';
  return status >= 500 ? 'origin_failed' : 'other_status';
}

const NOT_HTTP = ['UND_ERR_HEADERS_OVERFLOW', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'];

/** What undici, the sockets and the decompressors throw → what it means. */
function asFailure(error: unknown, signal: AbortSignal, hasBegun: boolean): FetchFailed {
  if (error instanceof FetchFailed) return error;
  const { code = '', cause } = error as { code?: string; cause?: unknown };
  if (cause instanceof FetchFailed) return cause;
  const failed = (code: FetchFailedCode, message: string): FetchFailed =>
    new FetchFailed(code, message, null, { cause: error });
  if (signal.aborted || code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT')
    return failed('timeout', 'The origin did not answer in time.');
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'ENODATA')
    return failed('name_not_found', 'The host is not known.');
  if (/^(?:CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_TLS_|ERR_SSL_|EPROTO$)/.test(code))
    return failed('bad_certificate', 'The origin does not prove who it is: its TLS or its certificate is not valid.');
  if (code === 'Z_BUF_ERROR') return failed('truncated', 'The document ends before its end.');
  if (code.startsWith('Z_') || code.startsWith('ERR__ERROR_') || code.startsWith('ERR_BROTLI'))
    return failed('bad_encoding', 'The document is not in the coding that its origin says.');
  if (error instanceof errors.HTTPParserError || NOT_HTTP.includes(code))
    return failed('bad_response', 'The origin does not answer in HTTP.');
  if (hasBegun) return failed('truncated', 'The document ends before its end.');
  return failed('not_reachable', 'The origin cannot be reached.');
}
