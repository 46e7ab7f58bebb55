import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { createServer, IncomingMessage, Server, ServerResponse, STATUS_CODES } from 'node:http';
import { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { startTracing, traceRequests } from '@balados/platform-tracing';
import { DynamicModule, Module, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, NestFastifyApplication } from '@nestjs/platform-fastify';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Registry } from 'prom-client';
import { z } from 'zod';
import { acceptAnyBody } from './any-body';
import { allowOrigins, securityHeaders } from './browsers';
import { ConfigError, readConfig, ServiceConfig } from './config';
import { tagReads } from './etag';
import { Check, serveHealth } from './health';
import { acceptJson } from './json-body';
import { keepAnswers } from './kept-answers';
import { createLogger, Logger, nestLogger } from './logging';
import { collectProcessMetrics, countRefusals, exposeLookups } from './metrics';
import { DOCS_PATH, serveDocs, ServiceDocs } from './openapi';
import {
  codeOf,
  noAnswerInTime,
  Problem,
  problemBody,
  ProblemFilter,
  ProblemMapping,
  validationPipe,
} from './problems';
import { createRateLimits } from './rate-limits';
import type { Outage } from './stale-answers';
import { acceptXml } from './xml-body';

/** Largest body, in bytes. */
export const BODY_MAX_BYTES = 1_048_576;
/**
 * Longest path parameter, in characters: ids of real episodes come near 400, the longest feed in letters of three bytes has 8,192, and
 * what has to be escaped is longer.
 */
export const PATH_PARAMETER_MAX_LENGTH = 12_288;
/** A whole request must have arrived within this time, in milliseconds. */
export const REQUEST_TIMEOUT_MS = 30_000;
/** An idle connection is kept this long, in milliseconds. */
export const KEEP_ALIVE_MS = 65_000;
/** What has no answer after this time is answered 503, in milliseconds: a store may accept a question and never say a word. */
export const ANSWER_TIMEOUT_MS = 25_000;
/**
 * At a stop, connections that are idle stay open for this long, in milliseconds: on the way to us there may be a request, which a proxy
 * that kept the connection could not send to anybody else. Its answer says that the connection ends.
 */
export const KEPT_OPEN_MS = 250;
/** A connection with a request or an answer under way on which nothing has moved for this long is cut, in milliseconds. */
export const STANDSTILL_MS = 60_000;
/** Longest orderly stop, in milliseconds, so that every request under way has its answer; what is not done by then is cut off. */
export const STOP_TIMEOUT_MS = ANSWER_TIMEOUT_MS + 3_000;

/** A service that is up but has no port of its own yet. */
export interface Service {
  name: string;
  registry: Registry;
  checks: Readonly<Record<string, Check>>;
  /** Its part of the system's documentation; undefined when it has no routes. */
  document?: () => OpenAPIObject;
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Finishes what is under way and lets go of all that the service holds. */
  close(): Promise<void>;
}

/** What a service that answers beforehand, or has routes of its own, needs of its edge. */
export interface Edge {
  /** Counts a request for its address. @throws Problem 429 */
  admit(request: FastifyRequest): void;
  /** Answers an error as everywhere else. */
  refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): void;
}

/** What a service is made of. */
export interface ServiceParts {
  name: string;
  module: Type | DynamicModule;
  config: ServiceConfig;
  log: Logger;
  registry: Registry;
  checks: Readonly<Record<string, Check>>;
  /** From this context's errors to answers. */
  mappings?: readonly ProblemMapping[];
  /** Said by a service with routes: it is documented at /api/openapi.json and /api/docs. */
  docs?: ServiceDocs;
  /** What it answers is everybody's: any site may read it, and it has ETags. */
  publicReads?: boolean;
  /** The path by which a request is known here, where some clients write it otherwise. */
  rewriteUrl?: (url: string) => string;
  /** Answers some requests itself, before anything else is done for them, CORS included. */
  beforehand?: (server: FastifyInstance, edge: Edge) => void;
  /** Its public answers depend on nothing but the address, and are given again for a moment; with `outage`, longer while there are no new ones. */
  keepsAnswers?: { outage?: Outage };
  /** Adds routes that are no part of the API: they are not documented, and say themselves who may read them. */
  addRoutes?: (server: FastifyInstance, edge: Edge) => void;
  /** Called after the last request, newest holdings first. */
  onClose: () => Promise<void>;
}

const CORRELATION_ID = /^[\w.:-]{1,64}$/;
/** Asked by probes and collectors, which are not limited. */
const HEALTH = ['/healthz', '/readyz', '/metrics'];

@Module({})
class ServiceModule {}

/** A Nest application on Fastify with our answers to errors, health, metrics and limits; each in a container of its own. */
export async function createService(parts: ServiceParts): Promise<Service> {
  const { name, config, log, registry, checks } = parts;
  const limits = createRateLimits(config, countRefusals(registry));
  const filter = new ProblemFilter(log, parts.mappings ?? []);
  const security = await securityHeaders(DOCS_PATH);
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_MAX_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    trustProxy: config.TRUSTED_PROXIES ?? false,
    routerOptions: { maxParamLength: PATH_PARAMETER_MAX_LENGTH },
    ...(parts.rewriteUrl && { rewriteUrl: ({ url = '/' }: IncomingMessage) => parts.rewriteUrl!(url) }),
    // What Fastify refuses before it has found a route.
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      filter.answer(error, request, reply.headers(security(request.url))),
    genReqId: (request: IncomingMessage) => {
      const given = request.headers['x-correlation-id'];
      return typeof given === 'string' && CORRELATION_ID.test(given) ? given : randomUUID();
    },
  });
  const server = adapter.getInstance();
  const ofAnswer = (request: FastifyRequest, reply: FastifyReply): FastifyReply =>
    reply.headers(security(request.url)).header('x-correlation-id', request.id);
  traceRequests(server as never, name, (url) => HEALTH.includes(url));
  // Before Nest adds its own: what is kept needs none of it.
  if (parts.publicReads) tagReads(server as never);
  if (parts.keepsAnswers) {
    const lookups = keepAnswers(server as never, { ...parts.keepsAnswers, admit: limits.address });
    exposeLookups(registry, 'kept_answers_total', 'Public reads: given again, or found out.', lookups);
  }
  const edge: Edge = {
    admit: limits.address,
    refuse: (error, request, reply) => filter.answer(error, request, ofAnswer(request, reply)),
  };
  parts.beforehand?.(server as never, edge);
  const root = { module: ServiceModule, imports: [parts.module, limits.module] };
  const app = await NestFactory.create<NestFastifyApplication>(root, adapter, {
    bodyParser: false,
    logger: nestLogger(log),
    abortOnError: false,
  });
  app.useGlobalFilters(filter);
  app.useGlobalPipes(validationPipe());
  acceptJson(server as never);
  acceptAnyBody(server as never);
  acceptXml(server as never);
  server.addHook('onRequest', (request, reply, done) => {
    ofAnswer(request as never, reply as never);
    const timer = setTimeout(() => {
      if (!reply.sent && !reply.raw.headersSent) filter.answer(noAnswerInTime(), request as never, reply as never);
    }, ANSWER_TIMEOUT_MS);
    reply.raw.once('close', () => clearTimeout(timer));
    // Before the body is read: who asks too much costs as little as may be.
    try {
      if (!HEALTH.includes(request.url)) limits.address(request);
    } catch (error) {
      return filter.answer(error, request as never, reply as never);
    }
    done();
  });
  // What is answered beforehand says itself who may read it.
  if (!parts.beforehand) allowOrigins(app, parts.publicReads ? ['*'] : config.CORS_ORIGINS);
  serveHealth(server as never, registry, checks);
  parts.addRoutes?.(server as never, edge);
  const document = parts.docs && serveDocs(app, parts.docs, parts.publicReads ?? false);
  await app.init();
  await server.ready();
  return {
    name,
    registry,
    checks,
    document,
    handle: (request, response) => server.routing(request, response),
    close: async () => {
      await app.close();
      await parts.onClose();
    },
  };
}

/** A server that answers with `handle`. */
export interface Listener {
  port: number;
  /** Takes no new connection, waits for the answers under way. */
  close(): Promise<void>;
}

const notHttp = (
  status: number,
  detail = 'This is not a request of HTTP.',
): { status: number; headers: string[]; body: string } => {
  const body = JSON.stringify(problemBody(new Problem(status, codeOf(status), detail)));
  const headers = [
    'content-type',
    'application/problem+json',
    'content-length',
    String(Buffer.byteLength(body)),
    'connection',
    'close',
  ];
  return { status, headers, body };
};

const stops = new WeakMap<ServerResponse, AbortSignal>();
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

/** Aborts when the server stops that this answer is of: what would go on for as long as the client likes must end. */
export const stopOf = (response: ServerResponse): AbortSignal => stops.get(response) ?? NEVER;

/** What is no request at all has no reply either: the answer is written as it stands. */
function refuseSocket(code: string | undefined, socket: Socket): void {
  if (!socket.writable || code === 'ECONNRESET') return void socket.destroy();
  const { status, headers, body } = notHttp(
    code === 'HPE_HEADER_OVERFLOW' ? 431 : code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400,
  );
  const lines = headers.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines}\r\n${body}`);
}

/** The host decides which service answers: HTTP/1.1 has it once, so that a proxy before us reads the same. */
function namesOneHost({ httpVersion, rawHeaders }: IncomingMessage): boolean {
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  return hosts === 1 || (hosts === 0 && httpVersion === '1.0');
}

/** Listens; rejects when the port is taken. */
export async function listen(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  { port, host, standstillMs = STANDSTILL_MS }: { port: number; host: string; standstillMs?: number },
): Promise<Listener> {
  let closing = false;
  let closingIdle = false;
  const stop = new AbortController();
  // Each answer that goes on listens to it.
  setMaxListeners(0, stop.signal);
  const underWay = new Set<ServerResponse>();
  // A connection that stays open would keep sending us work.
  const announceEnd = (response: ServerResponse): void => {
    if (!response.headersSent) response.setHeader('connection', 'close');
  };
  const server: Server = createServer(
    { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_TIMEOUT_MS, requireHostHeader: false },
    (request, response) => {
      underWay.add(response);
      stops.set(response, stop.signal);
      response.once('close', () => {
        underWay.delete(response);
        // Those whose answer had begun before the stop are kept alive by their clients.
        if (closingIdle) setImmediate(() => server.closeIdleConnections());
      });
      // Node reads no further request rightly after one that asks for another protocol and does not get it.
      if (closing || request.headers.upgrade) announceEnd(response);
      if (namesOneHost(request)) return handle(request, response);
      const { status, headers, body } = notHttp(400, 'A request names its host once.');
      response.writeHead(status, headers).end(body);
    },
  );
  server.timeout = standstillMs;
  // Browsers connect before they have anything to ask; Node does not take such a connection for an idle one.
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  const endSilent = (): void => {
    for (const socket of connections) if (socket.bytesRead === 0) socket.destroy();
  };
  // An expectation that we do not know is none: HTTP lets us leave it unheard, and Node's own answer to it has no body.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  // Nobody is connected through to anywhere.
  server.on('connect', (_request, socket) => refuseSocket(undefined, socket as Socket));
  server.on('clientError', (error: Error & { code?: string }, socket) => refuseSocket(error.code, socket as Socket));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      closing = true;
      underWay.forEach(announceEnd);
      stop.abort();
      return new Promise((resolve) => {
        const endIdle = setTimeout(() => {
          closingIdle = true;
          server.closeIdleConnections();
          endSilent();
        }, KEPT_OPEN_MS);
        const end = (): void => {
          // Not that of the server of HTTP, which would end idle connections at once.
          NetServer.prototype.close.call(server, () => {
            clearTimeout(endIdle);
            resolve();
          });
        };
        // In the turn after this one those are accepted that wait for it; then nobody waits, for a moment.
        setImmediate(() => setImmediate(end));
      });
    },
  };
}

/** Stops on SIGTERM and SIGINT, once, within STOP_TIMEOUT_MS. */
export function stopOnSignals(log: Logger, stop: () => Promise<void>): void {
  let stopping = false;
  const onSignal = (signal: string): void => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      log.error(`not stopped after ${STOP_TIMEOUT_MS} ms; leaving what is under way`);
      process.exit(1);
    }, STOP_TIMEOUT_MS).unref();
    stop().then(
      () => {
        log.info('stopped');
        process.exit(0);
      },
      (error: unknown) => {
        log.error({ err: error }, 'the stop failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** The `main` of a service in a process of its own: configuration, start, port, signals. */
export async function runService<Schema extends z.ZodObject>(
  name: string,
  schema: Schema,
  start: (config: z.infer<Schema>, log: Logger) => Promise<Service>,
): Promise<void> {
  const config = configOrExit(schema);
  const { PORT, HOST, LOG_LEVEL, OTEL_EXPORTER_OTLP_ENDPOINT } = config as unknown as ServiceConfig;
  const log = createLogger(name, LOG_LEVEL);
  failLoudly(log);
  try {
    const tellTraces = await startTracing(name, OTEL_EXPORTER_OTLP_ENDPOINT);
    const service = await start(config, log);
    collectProcessMetrics(service.registry);
    const listener = await listen(service.handle, { port: PORT, host: HOST });
    stopOnSignals(log, async () => {
      await listener.close();
      await service.close();
      await tellTraces();
    });
    log.info({ port: listener.port }, 'listening');
  } catch (error) {
    log.fatal({ err: error }, `${name} could not start`);
    process.exit(1);
  }
}

/** Reads the environment, or says what is wrong with it and exits with 1. */
export function configOrExit<Schema extends z.ZodObject>(schema: Schema): z.infer<Schema> {
  try {
    return readConfig(schema, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}

/** An error that nobody caught ends the process: what it left behind cannot be trusted, and a supervisor starts it anew. */
export function failLoudly(log: Logger): void {
  const fail = (error: unknown): void => {
    log.fatal({ err: error }, 'uncaught error');
    process.exit(1);
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
}
