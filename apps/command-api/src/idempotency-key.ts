import { createParamDecorator, ExecutionContext } from '@nestjs/common';
import { Problem } from '@balados/platform-service';
import { IDEMPOTENCY_KEY_MAX_LENGTH, isIdempotencyKey } from '@balados/users-accounts';
import type { FastifyRequest } from 'fastify';

/** The `Idempotency-Key` of a request, undefined without one. @throws Problem 422 for one that is empty, too long or not of visible ASCII */
export const IdempotencyKey = createParamDecorator((_data: unknown, context: ExecutionContext): string | undefined => {
  const { headers } = context.switchToHttp().getRequest<FastifyRequest>();
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && isIdempotencyKey(key)) return key;
  const message = `is not of 1 to ${IDEMPOTENCY_KEY_MAX_LENGTH} visible ASCII characters`;
  throw new Problem(422, 'invalid', `The Idempotency-Key ${message}.`, {
    errors: [{ path: 'Idempotency-Key', code: 'invalid', message }],
  });
});
