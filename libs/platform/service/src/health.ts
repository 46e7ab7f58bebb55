import { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';

/** A readiness check answers at most this late, in milliseconds. */
export const CHECK_TIMEOUT_MS = 2_000;

/** Resolves when what it checks is usable; rejects with what is wrong. */
export type Check = () => Promise<unknown>;

export interface Readiness {
  ready: boolean;
  /** By name of the check: `ok`, or what is wrong. */
  checks: Record<string, string>;
}

/** Runs all checks side by side, each bounded by CHECK_TIMEOUT_MS. */
export async function readiness(checks: Readonly<Record<string, Check>>): Promise<Readiness> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS);
      });
      try {
        await Promise.race([check(), late]);
        return [name, 'ok'] as const;
      } catch (error) {
        return [name, error instanceof Error ? error.message : String(error)] as const;
      } finally {
        clearTimeout(timer);
      }
    }),
  );
  return { ready: results.every(([, result]) => result === 'ok'), checks: Object.fromEntries(results) };
}

/** A registry of the service's own: several services may live in one process. */
export function createRegistry(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  return registry;
}

/** Process-wide figures (memory, event loop, garbage collection); once a process. */
export const collectProcessMetrics = (registry: Registry): void => collectDefaultMetrics({ register: registry });

/** `/healthz` says alive, `/readyz` says it serves, `/metrics` is Prometheus' text format; and every request is timed. */
export function serveHealth(
  server: FastifyInstance,
  registry: Registry,
  checks: Readonly<Record<string, Check>>,
): void {
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from request to answer, by route and status.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [registry],
  });
  server.addHook('onResponse', (request, reply, done) => {
    // How long somebody looked is no time to an answer.
    if ((request.routeOptions.config as { isStream?: boolean } | undefined)?.isStream) return done();
    duration.observe(
      { method: request.method, route: request.routeOptions.url ?? 'none', status: reply.statusCode },
      reply.elapsedTime / 1_000,
    );
    done();
  });
  server.get('/healthz', (_request, reply) => void reply.send({ status: 'alive' }));
  server.get('/readyz', async (_request, reply) => {
    const state = await readiness(checks);
    return reply.code(state.ready ? 200 : 503).send(state);
  });
  server.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
}
