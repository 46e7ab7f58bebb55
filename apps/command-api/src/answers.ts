import type { FastifyReply } from 'fastify';
import type { Erasure } from '@balados/users-accounts';
import { ERASURE_SCOPES } from '@balados/users-contracts';
import { z } from 'zod';

/** What a write answers: the thing as it now stands. */
export const success = <Data>(data: Data) => ({ status: 'success' as const, data });
/** The same as the documentation shows it. */
export const successAnswer = (data: z.ZodType) => z.object({ status: z.literal('success'), data });

/** What an erasure answers: it is noted, and will be carried out. */
export const accepted = ({ id, scope, requestedAt }: Erasure) => ({
  status: 'accepted' as const,
  data: { id, scope, requested_at: requestedAt.toISOString() },
});
export const erasureAnswer = z.object({
  status: z.literal('accepted'),
  data: z
    .object({ id: z.guid(), scope: z.enum(ERASURE_SCOPES), requested_at: z.iso.datetime() })
    .meta({ id: 'Erasure' }),
});

/** How a list that is read in pages is answered. */
export const pageAnswer = z.object({ limit: z.int(), offset: z.int(), total: z.int() });

/** The event store is away: what is answered may lack the newest writes. A listener's own data is nobody else's to keep. */
export function markStale(reply: FastifyReply, stale: boolean): void {
  reply.header('cache-control', 'private, no-store');
  if (stale) reply.header('balados-stale', 'true');
}
