import { FastifyInstance } from 'fastify';
import { Gauge, Histogram, Registry } from 'prom-client';

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

/** What `/readyz` says, asked anew whenever Prometheus asks. */
function exposeReadiness(registry: Registry, checks: Readonly<Record<string, Check>>): void {
  const registers = [registry];
  let asked: Promise<Readiness> | undefined;
  const ask = (): Promise<Readiness> => (asked ??= readiness(checks).finally(() => (asked = undefined)));
  const ready: Gauge = new Gauge({
    name: 'service_ready',
    help: 'Whether all that the service needs is usable: 1, or 0.',
    registers,
    collect: async () => ready.set((await ask()).ready ? 1 : 0),
  });
  if (Object.keys(checks).length === 0) return;
  const each: Gauge = new Gauge({
    name: 'readiness_check',
    help: 'Whether one of the things that the service needs is usable: 1, or 0.',
    labelNames: ['check'],
    registers,
    collect: async () => {
      for (const [check, result] of Object.entries((await ask()).checks)) each.set({ check }, result === 'ok' ? 1 : 0);
    },
  });
}

/** `/healthz` says alive, `/readyz` says it serves, `/metrics` is Prometheus' text format; and every request is timed. */
export function serveHealth(
  server: FastifyInstance,
  registry: Registry,
  checks: Readonly<Record<string, Check>>,
): void {
  exposeReadiness(registry, checks);
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
