import type { FastifyReply } from 'fastify';

/** What a write answers: the thing as it now stands. */
export const success = <Data>(data: Data) => ({ status: 'success' as const, data });

/** The event store is away: what is answered may lack the newest writes. A listener's own data is nobody else's to keep. */
export function markStale(reply: FastifyReply, stale: boolean): void {
  reply.header('cache-control', 'private, no-store');
  if (stale) reply.header('balados-stale', 'true');
}
