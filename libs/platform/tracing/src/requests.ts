import { context, propagation, ROOT_CONTEXT, Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { FastifyInstance } from 'fastify';
import { isTracing } from './tracing';

/** Of a request no more is told than which route it was for and what came of it: addresses hold tokens, and headers what is somebody's. */
export function traceRequests(server: FastifyInstance, service: string, isLeftOut: (url: string) => boolean): void {
  if (!isTracing()) return;
  server.addHook('onRequest', (request, reply, done) => {
    if (isLeftOut(request.url)) return done();
    const { method, id, routeOptions } = request;
    const route = routeOptions.url;
    const span: Span = trace.getTracer('balados-sync').startSpan(
      route === undefined ? method : `${method} ${route}`,
      {
        kind: SpanKind.SERVER,
        attributes: {
          'http.request.method': method,
          ...(route !== undefined && { 'http.route': route }),
          'balados.service': service,
          'balados.correlation_id': id,
        },
      },
      propagation.extract(ROOT_CONTEXT, request.headers),
    );
    reply.raw.once('close', () => {
      const { statusCode } = reply.raw;
      span.setAttribute('http.response.status_code', statusCode);
      if (statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    });
    context.with(trace.setSpan(ROOT_CONTEXT, span), done);
  });
}
