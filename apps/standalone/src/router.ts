import { IncomingMessage, ServerResponse } from 'node:http';
import { mergeDocuments, OPENAPI_PATH, readiness, Service } from '@balados/platform-service';
import type { Registry } from 'prom-client';

/** The six services of one process, by name. */
export type Services = Record<
  'command-api' | 'projections' | 'public-api' | 'rss-proxy' | 'play-gateway' | 'jobs',
  Service
>;

/** What podcast apps ask of nobody's podcasts in particular, by gPodder's protocol. */
const DIRECTORY = /^\/(?:search\.[a-z]+(?:\?|$)|toplist\/|api\/2\/(?:tags?|data)\/)/;

/** One port for all: the play host is the gateway's, some paths are the proxy's, the public's and the operators', the rest is the listener's. */
export function serviceFor(services: Services, host: string, path: string, playHost: string): Service {
  if (host.replace(/:\d+$/, '').toLowerCase() === playHost.toLowerCase()) return services['play-gateway'];
  if (path.startsWith('/api/v1/public/') || DIRECTORY.test(path)) return services['public-api'];
  if (path.startsWith('/api/v1/rss/')) return services['rss-proxy'];
  if (/^\/dashboard(?:[/?]|$)/.test(path)) return services.jobs;
  return services['command-api'];
}

/**
 * Answers health and metrics of all six together, and hands everything else to the service that it is for.
 * @param ofProcess figures that the six have in common
 */
export const route = (services: Services, playHost: string, ofProcess: Registry) => {
  let document: string | undefined;
  return (request: IncomingMessage, response: ServerResponse): void => {
    const path = request.url ?? '/';
    const all = Object.values(services);
    const answer = (status: number, type: string, body: string): void => {
      response.writeHead(status, { 'content-type': type }).end(body);
    };
    const failed = (error: unknown): void => answer(500, 'text/plain', String(error));
    if (path === '/healthz') answer(200, 'application/json', JSON.stringify({ status: 'alive' }));
    else if (path === '/readyz') {
      Promise.all(all.map(async ({ name, checks }) => [name, await readiness(checks)] as const))
        .then((states) => {
          const ready = states.every(([, state]) => state.ready);
          answer(
            ready ? 200 : 503,
            'application/json',
            JSON.stringify({ ready, services: Object.fromEntries(states) }),
          );
        })
        .catch(failed);
    } else if (path === '/metrics') {
      Promise.all([ofProcess, ...all.map(({ registry }) => registry)].map((registry) => registry.metrics()))
        .then((texts) => answer(200, 'text/plain; version=0.0.4; charset=utf-8', merged(texts)))
        .catch(failed);
    } else if (path.split('?')[0] === OPENAPI_PATH && request.method === 'GET')
      answer(200, 'application/json', (document ??= documented(services)));
    else serviceFor(services, request.headers.host ?? '', path, playHost).handle(request, response);
  };
};

const documented = (services: Services): string =>
  JSON.stringify(
    mergeDocuments(
      'Balados Sync',
      Object.values(services).flatMap((each) => each.document?.() ?? []),
    ),
  );

/** Several registries have metrics of the same name: the format wants all samples of one together, below one HELP and one TYPE. */
export function merged(texts: readonly string[]): string {
  const metrics = new Map<string, { head: string[]; samples: string[] }>();
  for (const text of texts) {
    let metric = { head: [] as string[], samples: [] as string[] };
    for (const line of text.split('\n')) {
      const [, keyword, name] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? [];
      if (keyword === 'HELP') {
        const known = metrics.get(name!);
        metric = known ?? { head: [line], samples: [] };
        metrics.set(name!, metric);
      } else if (keyword === 'TYPE') {
        if (metric.head.length === 1) metric.head.push(line);
      } else if (line !== '') metric.samples.push(line);
    }
  }
  return [...metrics.values()].map(({ head, samples }) => [...head, ...samples, ''].join('\n')).join('\n');
}
