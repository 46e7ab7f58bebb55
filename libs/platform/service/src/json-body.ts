import { isUtf8 } from 'node:buffer';
import { FastifyInstance } from 'fastify';
import { Problem } from './problems';

/** Deepest nesting of a JSON body, in levels. */
export const JSON_MAX_DEPTH = 32;

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const key in value) if (isDeeperThan((value as Record<string, unknown>)[key], levels - 1)) return true;
  return false;
}

/**
 * An empty body is none, whatever its type: some clients name one with every request.
 * @throws Problem 400 for what is not UTF-8, not JSON or nested deeper than JSON_MAX_DEPTH
 */
export function parseJson(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  if (!isUtf8(body)) throw new Problem(400, 'malformed', 'The body is not UTF-8.');
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new Problem(400, 'malformed', `The body is not JSON: ${(error as Error).message}`);
  }
  if (isDeeperThan(value, JSON_MAX_DEPTH))
    throw new Problem(400, 'malformed', `The body is nested deeper than ${JSON_MAX_DEPTH} levels.`);
  return value;
}

/** JSON is the only kind of body that a service takes, but where a route says otherwise. */
export function acceptJson(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    /^application\/(?:json|[\w.-]+\+json)(?:\s*;|$)/i,
    { parseAs: 'buffer' },
    (_request, body, done) => {
      try {
        done(null, parseJson(body as Buffer));
      } catch (error) {
        done(error as Error);
      }
    },
  );
}
