import { applyDecorators } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiBody, ApiConsumes } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { Problem } from './problems';

/** Largest body of a route that takes XML, in bytes. */
export const XML_BODY_MAX_BYTES = 4_194_304;

const XML = /^(?:application|text)\/(?:xml|x-opml|[\w.-]+\+xml)(?:\s*;|$)/i;

/** The route's body is XML, handed over as the bytes that came; only a Buffer is one. The types are those that the document names. */
export const TakesXml = (...types: string[]) =>
  applyDecorators(
    RouteConfig({ takesXml: true }),
    ApiConsumes(...types),
    ApiBody({ required: true, schema: { type: 'string' } }),
  );

/** XML is taken by those routes alone that say so. */
export function acceptXml(server: FastifyInstance): void {
  const options = { parseAs: 'buffer', bodyLimit: XML_BODY_MAX_BYTES } as const;
  server.addContentTypeParser(XML, options, (request, body, done) => {
    const { takesXml } = (request.routeOptions.config ?? {}) as { takesXml?: boolean };
    if (takesXml || request.is404) done(null, body);
    else done(new Problem(415, 'unsupported_media_type', 'XML is not taken here; send JSON.'));
  });
}
