import { createServer } from 'node:net';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '@balados/testing';
import { createLogins, ServiceName } from './logins';
import { Nginx, PROXIED } from './nginx';
import { ServiceProcess } from './service-process';
import type { System } from './system';

/** Which processes to run, and on what. */
export interface ServicesOptions {
  /** Connection to the database for all of it, as an administrator. */
  database: string;
  /** For journals, and for the proxy. */
  folder: string;
  linkKey: Buffer;
  /** Environment of every service, beside its own. */
  extra?: Record<string, string>;
  /** Start these alone; projections must be among them, since they make the tables. */
  only?: readonly ServiceName[];
  /** Of each service, 1 unless said. */
  copies?: Partial<Record<ServiceName, number>>;
  /** Names of the logins end in this; those of an earlier run are replaced. */
  logins?: string;
  /** nginx before them: its address, `127.0.0.1:4000`, port 0 for any free one, and the host of play links. */
  proxy?: { listen: string; playHost: string };
  /** Each process leads a group of its own, so that Ctrl-C does not reach it. */
  ownGroup?: boolean;
  /** Where the services are built and run. */
  root?: string;
}

const FRONT = ['command-api', 'public-api', 'play-gateway', 'jobs'] as const;

/** A copy's name: `jobs`, `jobs-2`. */
export const copyOf = (service: ServiceName, copy: number): string => (copy === 1 ? service : `${service}-${copy}`);

export const waitUntilReady = (url: string): Promise<unknown> =>
  waitFor(async () => (await fetch(`${url}/readyz`)).ok, { what: `${url}/readyz` });

/** The stand-in for the event store, and the services on it, each copy a process of its own and each service as its role. */
export async function runServices(options: ServicesOptions): Promise<System> {
  const { database, folder, extra = {}, only, copies = {}, proxy } = options;
  const processes: Record<string, ServiceProcess> = {};
  let nginx: Nginx | undefined;
  const run = async (name: string, entry: string, env: Record<string, string>): Promise<ServiceProcess> => {
    processes[name] = new ServiceProcess(name, entry, env, {
      ownGroup: options.ownGroup,
      // The stand-in for the event store is no part of what is deployed.
      root: name === 'eventstore' ? undefined : options.root,
    });
    return processes[name].start();
  };
  const stop = async (): Promise<void> => {
    const failures: unknown[] = [];
    // One that does not stop must not keep the others alive.
    const stopAll = (names: readonly string[]): Promise<unknown> =>
      Promise.all(names.map((name) => processes[name]?.stop().catch((error: unknown) => void failures.push(error))));
    const last = ['projections', 'eventstore'];
    await nginx?.stop();
    // In the order of the flow: what takes work in stops before what works it off.
    await stopAll(Object.keys(processes).filter((name) => !last.includes(name)));
    for (const name of last) await stopAll([name]);
    if (failures.length > 0) throw failures[0];
  };
  try {
    const { DATABASE_URL: _own, ADMIN_TOKEN, ...shared } = extra;
    const store = await run('eventstore', 'standalone/eventstore', { ...shared, DATABASE_URL: database });
    const log = { EVENTSTORE_URL: `esdb://127.0.0.1:${store.port}?tls=false` };
    const { USERS_DATABASE_URL: users = database, SITE_DATABASE_URL: site = database } = extra;
    const logins = await createLogins({ users, site }, options.logins);
    const listen = proxy && (await withPort(proxy.listen));
    const edge = { LINK_KEYS: options.linkKey.toString('base64url') };
    const playUrl = proxy && { PLAY_URL: `http://${proxy.playHost}:${listen!.split(':')[1]}` };
    const own: Record<ServiceName, Record<string, string>> = {
      projections: log,
      'command-api': log,
      'public-api': {},
      jobs: log,
      'rss-proxy': { ...edge, ...playUrl, FEEDS_PORT: '0' },
      'play-gateway': { ...log, ...edge },
    };
    const asking: ServiceName[] = ['jobs', 'play-gateway'];
    /** The dashboard asks all that run before it. */
    const dashboard = (): Record<string, string> => ({
      ADMIN_TOKEN: ADMIN_TOKEN!,
      DASHBOARD_SERVICES: Object.entries(processes)
        .filter(([name]) => !/^(?:eventstore|jobs)/.test(name))
        .map(([name, { url }]) => `${name}=${url}`)
        .join(),
    });
    const countOf = (service: ServiceName): number => (only && !only.includes(service) ? 0 : (copies[service] ?? 1));
    const envOf = (service: ServiceName, copy = 1): Record<string, string> => {
      // Of several copies of rss-proxy each is asked by others.
      const asked = processes[copyOf('rss-proxy', 1 + ((copy - 1) % Math.max(countOf('rss-proxy'), 1)))];
      const journal = join(folder, copyOf(service, copy));
      if (service === 'play-gateway') mkdirSync(journal, { recursive: true });
      return {
        ...own[service],
        ...(asking.includes(service) && { FEEDS_URL: feedsUrlOf(asked) }),
        ...(service === 'play-gateway' && { DATA_DIR: journal }),
        ...(proxy && { TRUSTED_PROXIES: '127.0.0.1' }),
        ...(ADMIN_TOKEN && service === 'jobs' && dashboard()),
        ...shared,
        // Always as the roles that an operator gives them: so every suite proves that their rights suffice.
        ...logins[service],
      };
    };
    const runCopies = async (service: ServiceName): Promise<void> => {
      const numbers = Array.from({ length: countOf(service) }, (_, index) => index + 1);
      await Promise.all(numbers.map((copy) => run(copyOf(service, copy), `${service}/main`, envOf(service, copy))));
    };
    // Projections make the tables.
    await runCopies('projections');
    await runCopies('rss-proxy');
    await Promise.all(FRONT.filter((name) => name !== 'jobs' || !ADMIN_TOKEN).map(runCopies));
    if (ADMIN_TOKEN) await runCopies('jobs');
    for (const [name, { url }] of Object.entries(processes)) if (name !== 'eventstore') await waitUntilReady(url);
    if (proxy) {
      const ports = (service: ServiceName): number[] =>
        Object.entries(processes)
          .filter(([name]) => name === service || name.startsWith(`${service}-`))
          .map(([, { port }]) => port);
      const servers = Object.fromEntries(PROXIED.map((name) => [name, ports(name)])) as Record<
        (typeof PROXIED)[number],
        number[]
      >;
      nginx = await Nginx.start({ folder: join(folder, 'nginx'), listen: listen!, playHost: proxy.playHost, servers });
    }
    const front = listen && `http://${listen}`;
    return {
      listeners: front ?? processes['command-api']?.url ?? '',
      public: front ?? processes['public-api']?.url ?? '',
      feeds: front ?? processes['rss-proxy']?.url ?? '',
      processes,
      database,
      ...{ eventStore: log.EVENTSTORE_URL },
      env: { ...log, USERS_DATABASE_URL: users, SITE_DATABASE_URL: site },
      envOf,
      stop,
    };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

/** Where a running rss-proxy answers other services; nobody listens there without one. */
export function feedsUrlOf(proxy: ServiceProcess | undefined): string {
  const line = proxy?.lines.findLast((text) => text.includes('"feedsPort"'));
  return `tcp://127.0.0.1:${line ? (JSON.parse(line) as { feedsPort: number }).feedsPort : 1}`;
}

/** An address whose port 0 is one that is free at this moment. */
async function withPort(listen: string): Promise<string> {
  const [host, port] = listen.split(':') as [string, string];
  return port === '0' ? `${host}:${await freePort(host)}` : listen;
}

/** A port on which nobody listens at this moment. */
export async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
