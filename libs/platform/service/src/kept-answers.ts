import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { namesTag } from './etag';

/** An answer to everybody is given again for this long, in milliseconds. What browsers and proxies may keep (`max-age`) comes on top. */
export const ANSWERS_KEPT_MS = 250;
/** Memory for them, in bytes. */
export const ANSWERS_MAX_BYTES = 8 * 1_048_576;
/** Answers to longer addresses than this many characters are not kept. */
export const KEPT_URL_MAX_LENGTH = 2_048;

/** Of one request alone, or said of the body when one is sent. */
const OF_ONE_REQUEST = new Set([
  'x-correlation-id',
  'date',
  'connection',
  'keep-alive',
  'content-length',
  'content-type',
]);

interface Kept {
  type: string;
  /** As text, which leaves in one write together with the headers. */
  body: string;
  bytes: number;
  etag: string;
  /** Names and values in turn. */
  headers: string[];
}

/** How often what was wanted was here, and how often it was not. */
export interface Lookups {
  readonly hits: number;
  readonly misses: number;
}

/**
 * Keeps answers of 200 that say `Cache-Control: public`, and gives them again before anything else is done for a request; who asks for
 * what is just being found out waits for it. Answers must not depend on anything but the address, and have been tagged (`tagReads`) before.
 * @param admit counts the request for its sender; when it throws, the request goes on to be refused like any other
 * @returns how often an answer was given again, also after waiting for it, and how often one was found out
 */
export function keepAnswers(server: FastifyInstance, admit: (request: FastifyRequest) => void): Lookups {
  const lookups = { hits: 0, misses: 0 };
  const kept = new LRUCache<string, Kept>({
    maxSize: ANSWERS_MAX_BYTES,
    sizeCalculation: ({ bytes, headers }, url) => bytes + url.length + headers.join('').length,
    ttl: ANSWERS_KEPT_MS,
  });
  const underWay = new Map<string, { request: FastifyRequest; found: Promise<void>; end: () => void }>();
  // Once it is found out, and not once it has been read: nobody waits for somebody else's slow connection.
  const endWaiting = (request: FastifyRequest): void => {
    const first = underWay.get(request.url);
    if (first?.request !== request) return;
    underWay.delete(request.url);
    first.end();
  };

  const answeredAgain = (request: FastifyRequest, reply: FastifyReply): boolean => {
    const answer = kept.get(request.url);
    if (!answer) return false;
    try {
      admit(request);
    } catch {
      return false;
    }
    lookups.hits += 1;
    answerAgain(answer, request, reply);
    return true;
  };

  server.addHook('onRequest', (request, reply, done) => {
    const { url } = request;
    if (!isPlain(request)) return done();
    if (answeredAgain(request, reply)) return;
    const first = underWay.get(url);
    if (!first) {
      let end!: () => void;
      const found = new Promise<void>((resolve) => (end = resolve));
      underWay.set(url, { request, found, end });
      lookups.misses += 1;
      reply.raw.once('close', () => endWaiting(request));
      return done();
    }
    void first.found.then(() => {
      if (!answeredAgain(request, reply)) done();
    });
  });

  server.addHook('onSend', (request, reply, payload, done) => {
    if (
      isPlain(request) &&
      reply.statusCode === 200 &&
      typeof payload === 'string' &&
      String(reply.getHeader('cache-control')).startsWith('public')
    ) {
      const etag = String(reply.getHeader('etag'));
      const type = String(reply.getHeader('content-type'));
      kept.set(request.url, {
        type,
        body: payload,
        bytes: Buffer.byteLength(payload),
        etag,
        headers: headersOf(reply),
      });
    }
    endWaiting(request);
    done(null, payload);
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

/** Past the framework: what it would do was done for the first of these requests. */
function answerAgain({ type, body, bytes, etag, headers }: Kept, request: FastifyRequest, reply: FastifyReply): void {
  const isHeld = namesTag(request.headers['if-none-match'], etag);
  reply.hijack();
  const ofBody = isHeld ? [] : ['content-type', type, 'content-length', String(bytes)];
  reply.raw.writeHead(isHeld ? 304 : 200, [...headers, ...ofBody, 'x-correlation-id', request.id]);
  reply.raw.end(isHeld ? undefined : body);
}
