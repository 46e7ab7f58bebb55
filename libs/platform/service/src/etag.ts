import { hash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** A strong ETag: other bytes have another one. */
export const etagOf = (body: string | Buffer): string => `"${hash('sha256', body, 'base64url')}"`;

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
  reply: Pick<FastifyReply, 'code' | 'header' | 'getHeader' | 'removeHeader'>,
  body: Body,
): Body | null {
  const known = reply.getHeader('etag');
  const etag = typeof known === 'string' ? known : etagOf(body);
  if (known === undefined) reply.header('etag', etag);
  if (!namesTag(request.headers['if-none-match'], etag)) return body;
  reply.code(304).removeHeader('content-type').removeHeader('content-encoding');
  return null;
}

/** Every read that is answered with 200 has an ETag: the one that its route has set, or that of its bytes. */
export function tagReads(server: FastifyInstance): void {
  server.addHook('onSend', (request, reply, payload, done) => {
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const isBody = typeof payload === 'string' || Buffer.isBuffer(payload);
    done(null, isRead && isBody && reply.statusCode === 200 ? unlessHeld(request, reply, payload) : payload);
  });
}
