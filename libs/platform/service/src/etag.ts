import { hash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** A strong ETag: other bytes have another one. */
const etagOf = (body: string | Buffer): string => `"${hash('sha256', body, 'base64url')}"`;

/** Whether `If-None-Match` names this ETag; a weak one does too, since it is only compared. */
export function namesTag(ifNoneMatch: string | undefined, etag: string): boolean {
  return (ifNoneMatch ?? '').split(',').some((each) => ['*', etag].includes(each.trim().replace(/^W\//, '')));
}

/**
 * Marks an answer of 200 with its ETag, and turns it into a 304 when the client holds these bytes already.
 * @returns what is to be sent: the body, or nothing
 */
function unlessHeld<Body extends string | Buffer>(
  request: Pick<FastifyRequest, 'headers'>,
  reply: Pick<FastifyReply, 'code' | 'header' | 'removeHeader'>,
  body: Body,
): Body | null {
  const etag = etagOf(body);
  reply.header('etag', etag);
  if (!namesTag(request.headers['if-none-match'], etag)) return body;
  reply.code(304).removeHeader('content-type');
  return null;
}

/** Every read that is answered with 200 has an ETag. */
export function tagReads(server: FastifyInstance): void {
  server.addHook('onSend', (request, reply, payload, done) => {
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const isBody = typeof payload === 'string' || Buffer.isBuffer(payload);
    done(null, isRead && isBody && reply.statusCode === 200 ? unlessHeld(request, reply, payload) : payload);
  });
}
