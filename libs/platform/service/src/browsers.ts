import helmet, { FastifyHelmetOptions } from '@fastify/helmet';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import Fastify from 'fastify';

/** A browser may remember for this long what a site may ask of us, in seconds. */
export const PREFLIGHT_MAX_AGE_S = 7_200;

/**
 * Answers are data: nothing in them is to be run, framed or guessed at, and any site may show them, as far as CORS lets it read them.
 * TLS, and with it Strict-Transport-Security, is the business of the proxy that ends it.
 */
const forData: FastifyHelmetOptions = {
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  crossOriginResourcePolicy: { policy: 'cross-origin' },
  frameguard: { action: 'deny' },
  hsts: false,
  // These speak of documents, and answers are none.
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  dnsPrefetchControl: false,
  ieNoOpen: false,
  permittedCrossDomainPolicies: false,
  xssFilter: false,
};

/** The pages of the documentation bring scripts and styles of their own, and ask this server alone. */
const forPages: FastifyHelmetOptions = {
  ...forData,
  crossOriginOpenerPolicy: { policy: 'same-origin' },
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      connectSrc: ["'self'"],
      fontSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'", "'unsafe-inline'"],
      baseUri: ["'none'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
    },
  },
};

export type Headers = Readonly<Record<string, string>>;

/** What helmet sets is the same at each request, and takes it 30 µs: it is asked once. */
async function headersOf(options: FastifyHelmetOptions): Promise<Headers> {
  const server = Fastify();
  await server.register(helmet, options);
  server.get('/', (_request, reply) => reply.send(reply.raw.getHeaders()));
  try {
    return (await server.inject('/')).json<Headers>();
  } finally {
    await server.close();
  }
}

/** Once a process, however many services it has. */
let known: Promise<[data: Headers, ofPages: Headers]> | undefined;

/** The security headers of each answer, by its path. */
export async function securityHeaders(pages: string): Promise<(path: string) => Headers> {
  const [data, ofPages] = await (known ??= Promise.all([headersOf(forData), headersOf(forPages)]));
  return (path) => (path.startsWith(pages) ? ofPages : data);
}

/**
 * Which sites' pages may read our answers. Who asks is said by a header that a page must set itself, never by a cookie: so any site may
 * be let in without lending it a visitor's name.
 */
export function allowOrigins(app: NestFastifyApplication, origins: readonly string[]): void {
  app.enableCors({
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: [
      'Authorization',
      'Content-Type',
      'Idempotency-Key',
      'If-None-Match',
      'Last-Event-ID',
      'X-Correlation-Id',
    ],
    exposedHeaders: [
      'Age',
      'Balados-Stale',
      'Balados-Withheld',
      'ETag',
      'Retry-After',
      'WWW-Authenticate',
      'X-Correlation-Id',
    ],
    maxAge: PREFLIGHT_MAX_AGE_S,
    strictPreflight: false,
  });
}
