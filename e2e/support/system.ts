import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postgresUrl } from '@balados/embedded';
import { createDatabase, waitFor } from '@balados/testing';
import { Client } from 'pg';
import { LONG } from './limits';
import { ServiceProcess } from './service-process';

/** A running system with nothing mocked, and its doors. */
export interface System {
  /** Base of the listener's API, and of the public one. */
  listeners: string;
  public: string;
  /** Base of the feeds. */
  feeds: string;
  /** By name; standalone has one. Further copies that a test adds are stopped with the rest. */
  processes: Record<string, ServiceProcess>;
  /** Connection to the database that the read models are in. */
  database: string;
  /** The event store's connection string. */
  eventStore: string;
  /** Environment of the services, for further copies. */
  env: Record<string, string>;
  stop(): Promise<void>;
}

/** All listeners of a test are at one address and in more of a hurry than people; limits are a test's own to set. */
const UNLIMITED = { RATE_ADDRESS: '0', RATE_LISTENER: '0', RATE_REGISTER: '0' };

/** With this, the systems of tests sign play links. */
export const LINK_KEY = randomBytes(32);

/** The limits that a system has unless told. */
export const DEFAULT_LIMITS = { RATE_ADDRESS: '6000', RATE_LISTENER: '6000', RATE_REGISTER: '100' };

export type Kind = 'services' | 'standalone';

/**
 * What most suites are tried on: the six processes, and in long runs the one process as well, for which there is no time in each. The
 * journey, the listener's API, its limits and its documentation are tried on both every time.
 */
export const KINDS: readonly Kind[] = LONG ? ['services', 'standalone'] : ['services'];

export type ServiceName = 'projections' | 'command-api' | 'public-api' | 'jobs' | 'rss-proxy' | 'play-gateway';

/** `only`: of the services, start these alone; projections must be among them, since they make the tables of site. */
export const startSystem = (
  kind: Kind,
  env: Record<string, string> = {},
  only?: readonly ServiceName[],
): Promise<System> =>
  kind === 'services' ? startServices({ ...UNLIMITED, ...env }, only) : startStandalone({ ...UNLIMITED, ...env });

const waitUntilReady = (url: string): Promise<unknown> =>
  waitFor(async () => (await fetch(`${url}/readyz`)).ok, { what: `${url}/readyz` });

async function startServices(extra: Record<string, string>, only?: readonly ServiceName[]): Promise<System> {
  const database = await createDatabase();
  const folder = mkdtempSync(join(tmpdir(), 'balados-e2e-'));
  const processes: Record<string, ServiceProcess> = {};
  const run = async (name: string, entry: string, env: Record<string, string>): Promise<ServiceProcess> => {
    processes[name] = new ServiceProcess(name, entry, { ...env, ...extra });
    return processes[name].start();
  };
  const stop = async (): Promise<void> => {
    const order = ['command-api', 'play-gateway', 'public-api', 'rss-proxy', 'jobs', 'projections', 'eventstore'];
    const further = Object.keys(processes).filter((name) => !order.includes(name));
    const failures: unknown[] = [];
    // One that does not stop must not keep the others alive.
    for (const name of [...further, ...order])
      await processes[name]?.stop().catch((error: unknown) => failures.push(error));
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
    if (failures.length > 0) throw failures[0];
  };
  try {
    const store = await run('eventstore', 'standalone/eventstore', { DATABASE_URL: database.url });
    const eventStore = `esdb://127.0.0.1:${store.port}?tls=false`;
    const env = { EVENTSTORE_URL: eventStore, USERS_DATABASE_URL: database.url, SITE_DATABASE_URL: database.url };
    await run('projections', 'projections/main', env);
    const reader = (role: string): Promise<string> => createReader(database.url, role);
    const isWanted = (name: string): boolean => !only || only.includes(name as ServiceName);
    const links = { LINK_KEYS: LINK_KEY.toString('base64url') };
    if (isWanted('rss-proxy'))
      await run('rss-proxy', 'rss-proxy/main', {
        ...links,
        FEEDS_PORT: '0',
        USERS_DATABASE_URL: await reader('balados_feed_reader'),
      });
    const feeds = { FEEDS_URL: feedsUrlOf(processes['rss-proxy']) };
    const others: Partial<Record<ServiceName, Record<string, string>>> = {
      'command-api': env,
      'public-api': { SITE_DATABASE_URL: await reader('balados_site_reader') },
      jobs: { ...env, ...feeds },
      'play-gateway': {
        ...feeds,
        EVENTSTORE_URL: eventStore,
        USERS_DATABASE_URL: await reader('balados_token_reader'),
        ...links,
        DATA_DIR: folder,
      },
    };
    await Promise.all(
      Object.entries(others)
        .filter(([name]) => isWanted(name))
        .map(([name, own]) => run(name, `${name}/main`, own)),
    );
    for (const [name, { url }] of Object.entries(processes)) if (name !== 'eventstore') await waitUntilReady(url);
    return {
      listeners: processes['command-api']?.url ?? '',
      public: processes['public-api']?.url ?? '',
      feeds: processes['rss-proxy']?.url ?? '',
      processes,
      database: database.url,
      eventStore,
      env: { ...env, ...extra },
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

/** What an operator does for public-api, rss-proxy and play-gateway: a login of its own that may read some tables and nothing else. */
async function createReader(databaseUrl: string, role: string): Promise<string> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const name = `balados_reader_${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  try {
    await client.query(`CREATE ROLE ${name} LOGIN PASSWORD '${password}' IN ROLE ${role}`);
  } finally {
    await client.end();
  }
  const url = new URL(databaseUrl);
  url.username = name;
  url.password = password;
  return url.toString();
}

async function startStandalone(extra: Record<string, string>): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), 'balados-e2e-'));
  // Started by root, Postgres runs as somebody else, who must come through.
  chmodSync(folder, 0o711);
  const standalone = new ServiceProcess('standalone', 'standalone/main', {
    DATA_DIR: folder,
    LINK_KEYS: LINK_KEY.toString('base64url'),
    ...extra,
  });
  const stop = async (): Promise<void> => {
    await standalone.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await standalone.start();
    await waitUntilReady(standalone.url);
  } catch (error) {
    await standalone.kill();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    listeners: standalone.url,
    public: standalone.url,
    feeds: standalone.url,
    processes: { standalone },
    ...storesOf(standalone, folder),
    env: { ...extra, DATA_DIR: folder },
    stop,
  };
}

/** Where the stores are that standalone has started last, with these files. */
export function storesOf(standalone: ServiceProcess, folder: string): Pick<System, 'database' | 'eventStore'> {
  const portOf = (store: string): number => {
    const line = standalone.lines.findLast((text) => text.includes(`"${store}: listening"`));
    return (JSON.parse(line!) as { port: number }).port;
  };
  const postgres = { dataDirectory: join(folder, 'postgres'), port: portOf('postgres'), database: 'balados' };
  return { database: postgresUrl(postgres), eventStore: `esdb://127.0.0.1:${portOf('eventstore')}?tls=false` };
}
