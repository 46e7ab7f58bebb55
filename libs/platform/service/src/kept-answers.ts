import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { namesTag } from './etag';
import { ANSWERS_STALE_MS, Outage, Reducible, Told, told } from './stale-answers';

/** An answer to everybody is given again for this long, in milliseconds. What browsers and proxies may keep (`max-age`) comes on top. */
export const ANSWERS_KEPT_MS = 250;
/** Memory for them, in bytes. */
export const ANSWERS_MAX_BYTES = 8 * 1_048_576;
/** Answers to longer addresses than this many characters are not kept. */
export const KEPT_URL_MAX_LENGTH = 2_048;
/** Who waits for longer than this, in milliseconds, is given an older answer. */
export const ANSWER_PATIENCE_MS = 2_000;

/** Of one request alone, or said of the body when one is sent. */
const OF_ONE_REQUEST = new Set([
  'x-correlation-id',
  'date',
  'connection',
  'keep-alive',
  'content-length',
  'content-type',
]);

interface Kept extends Reducible {
  /** When it was asked for, which is before anything was read for it, and when it was there, by `performance.now`. */
  askedAt: number;
  foundAt: number;
}

export interface KeepOptions {
  /** Counts the request for its sender; when it throws, the request goes on to be refused like any other. */
  admit: (request: FastifyRequest) => void;
  /** How an answer is given while no new one can be had; without it none is. */
  outage?: Outage;
}

/** How often what was wanted was here, and how often it was not. */
export interface Lookups {
  readonly hits: number;
  readonly misses: number;
}

/**
 * Keeps answers of 200 that say `Cache-Control: public`, and gives them again before anything else is done for a request; who asks for
 * what is just being found out waits for it. Where that fails (503), or takes too long, an older answer is given as `outage` has it.
 * Answers must not depend on anything but the address, and have been tagged (`tagReads`) before.
 * @returns how often an answer was given again, also after waiting for it, and how often one was found out
 */
export function keepAnswers(server: FastifyInstance, { admit, outage }: KeepOptions): Lookups {
  const lookups = { hits: 0, misses: 0 };
  const kept = new LRUCache<string, Kept>({
    maxSize: ANSWERS_MAX_BYTES,
    sizeCalculation: ({ bytes, headers }, url) => bytes + url.length + headers.join('').length,
    ttl: outage ? ANSWERS_STALE_MS : ANSWERS_KEPT_MS,
  });
  const underWay = new Map<string, { request: FastifyRequest; found: Promise<void>; end: () => void }>();
  /** Whether what was found out last could not be, or not in time. */
  let isOut = false;
  // Once it is found out, and not once it has been read: nobody waits for somebody else's slow connection.
  const endWaiting = (request: FastifyRequest): void => {
    const first = underWay.get(request.url);
    if (first?.request !== request) return;
    underWay.delete(request.url);
    first.end();
  };

  const answeredAgain = (request: FastifyRequest, reply: FastifyReply): boolean => {
    const answer = kept.get(request.url);
    if (!answer || answer.isReduced || performance.now() > answer.foundAt + ANSWERS_KEPT_MS) return false;
    return admitted(request) && answerAgain(answer, request, reply);
  };
  const older = ({ url }: FastifyRequest): Told | undefined => {
    const answer = outage && kept.get(url);
    return answer && told(answer, performance.now() - answer.askedAt, outage);
  };
  const answeredOlder = (request: FastifyRequest, reply: FastifyReply): boolean => {
    const answer = older(request);
    return answer !== undefined && admitted(request) && answerAgain(answer, request, reply);
  };
  const admitted = (request: FastifyRequest): boolean => {
    try {
      admit(request);
      lookups.hits += 1;
      return true;
    } catch {
      return false;
    }
  };

  server.addHook('onRequest', (request, reply, done) => {
    const { url } = request;
    if (!isPlain(request)) return done();
    if (answeredAgain(request, reply)) return;
    const first = underWay.get(url);
    if (first) {
      // One is enough to find out that it is over.
      if (isOut && answeredOlder(request, reply)) return;
      void first.found.then(() => {
        if (answeredAgain(request, reply) || (isOut && answeredOlder(request, reply))) return;
        done();
      });
      return;
    }
    let end!: () => void;
    const found = new Promise<void>((resolve) => (end = resolve));
    underWay.set(url, { request, found, end });
    lookups.misses += 1;
    const patience = setTimeout(() => {
      const answer = reply.sent ? undefined : older(request);
      if (!answer) return;
      isOut = true;
      // It was admitted when it came.
      answerAgain(answer, request, reply);
      endWaiting(request);
    }, ANSWER_PATIENCE_MS);
    reply.raw.once('close', () => {
      clearTimeout(patience);
      endWaiting(request);
    });
    done();
  });

  server.addHook('onSend', (request, reply, payload, done) => {
    if (!isPlain(request)) return done(null, payload);
    const { url } = request;
    const { statusCode } = reply;
    const isPublic = String(reply.getHeader('cache-control')).startsWith('public');
    if (isPublic && statusCode < 400) isOut = false;
    if (statusCode === 200 && isPublic && typeof payload === 'string') {
      kept.set(url, keptOf(reply, payload));
    } else if (isFoundOut(statusCode)) {
      // Of what stands instead, the body was not sent, or there is none any more.
      const known = kept.get(url);
      if (known && statusCode === 304 && known.etag === reply.getHeader('etag')) Object.assign(known, timesOf(reply));
      else if (known) kept.delete(url);
    }
    const answer = statusCode === 503 ? older(request) : undefined;
    if (answer) isOut = true;
    endWaiting(request);
    done(null, answer ? answerInstead(answer, request, reply) : payload);
  });
  return lookups;
}

/** What is said to have a body, or not to say how long it is, is looked at more closely. */
const isPlain = ({ method, url, headers }: FastifyRequest): boolean =>
  method === 'GET' &&
  url.length <= KEPT_URL_MAX_LENGTH &&
  headers['transfer-encoding'] === undefined &&
  headers['content-length'] === undefined;

const headersOf = (reply: FastifyReply): string[] =>
  Object.entries(reply.getHeaders()).flatMap(([name, value]) =>
    OF_ONE_REQUEST.has(name) ? [] : [name, String(value)],
  );

/** Whether such an answer says how things stand: not that nobody could tell, or that it was one question too many. */
const isFoundOut = (status: number): boolean => status < 500 && status !== 429;

function timesOf(reply: FastifyReply): Pick<Kept, 'askedAt' | 'foundAt'> {
  const foundAt = performance.now();
  return { askedAt: foundAt - reply.elapsedTime, foundAt };
}

function keptOf(reply: FastifyReply, body: string): Kept {
  return {
    type: String(reply.getHeader('content-type')),
    body,
    bytes: Buffer.byteLength(body),
    etag: String(reply.getHeader('etag')),
    headers: headersOf(reply),
    ...timesOf(reply),
  };
}

/** Past the framework: what it would do was done for the first of these requests. */
function answerAgain({ type, body, bytes, etag, headers }: Told, request: FastifyRequest, reply: FastifyReply): true {
  const isHeld = namesTag(request.headers['if-none-match'], etag);
  reply.hijack();
  const ofBody = isHeld ? [] : ['content-type', type, 'content-length', String(bytes)];
  reply.raw.writeHead(isHeld ? 304 : 200, [...headers, ...ofBody, 'x-correlation-id', request.id]);
  reply.raw.end(isHeld ? undefined : body);
  return true;
}

/** In the place of a problem that is about to be sent. */
function answerInstead(
  { type, body, etag, headers }: Told,
  request: FastifyRequest,
  reply: FastifyReply,
): string | null {
  const isHeld = namesTag(request.headers['if-none-match'], etag);
  reply.removeHeader('retry-after').removeHeader('content-type').removeHeader('content-length');
  for (let index = 0; index < headers.length; index += 2) reply.header(headers[index]!, headers[index + 1]!);
  reply.code(isHeld ? 304 : 200);
  if (!isHeld) reply.header('content-type', type);
  return isHeld ? null : body;
}
