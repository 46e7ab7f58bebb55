import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from './problems';

/** What the body of such a route is called inside, whatever its client called it. */
const ANY = 'application/vnd.balados.any';

const takesAnyBody = ({ routeOptions }: FastifyRequest): boolean =>
  (routeOptions.config as { takesAnyBody?: boolean } | undefined)?.takesAnyBody === true;

/** The route's body is handed over as the bytes that came, whatever they are called: its clients name their JSON a form, or nothing. */
export const TakesAnyBody = () => RouteConfig({ takesAnyBody: true });

/** What the client called its body; '' for nothing. */
export function contentTypeSent({ raw: { rawHeaders } }: FastifyRequest): string {
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'content-type');
  return at < 0 ? '' : rawHeaders[at + 1]!;
}

/** A route that takes any body reads it itself. */
export function acceptAnyBody(server: FastifyInstance): void {
  server.addContentTypeParser(ANY, { parseAs: 'buffer' }, (request, body, done) => {
    if (takesAnyBody(request)) done(null, body);
    else done(new Problem(415, 'unsupported_media_type', 'This is not taken here; send JSON.'));
  });
  server.addHook('onRequest', (request, _reply, done) => {
    if (takesAnyBody(request)) request.headers['content-type'] = ANY;
    done();
  });
}
