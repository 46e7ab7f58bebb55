import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabase, waitFor } from '@balados/testing';
import { Client } from 'pg';
import { ServiceProcess } from './service-process';

/** A running system with nothing mocked, and its doors. */
export interface System {
  /** Base of the listener's API, and of the public one. */
  listeners: string;
  public: string;
  /** By name; standalone has one. */
  processes: Record<string, ServiceProcess>;
  /** Connection to the database that the read models are in. */
  database: string;
  /** The event store's connection string. */
  eventStore: string;
  /** Environment of the services, for further copies. */
  env: Record<string, string>;
  stop(): Promise<void>;
}

export type Kind = 'services' | 'standalone';

export const startSystem = (kind: Kind, env: Record<string, string> = {}): Promise<System> =>
  kind === 'services' ? startServices(env) : startStandalone(env);

const waitUntilReady = (url: string): Promise<unknown> =>
  waitFor(async () => (await fetch(`${url}/readyz`)).ok, { what: `${url}/readyz` });

async function startServices(extra: Record<string, string>): Promise<System> {
  const database = await createDatabase();
  const processes: Record<string, ServiceProcess> = {};
  const run = async (name: string, entry: string, env: Record<string, string>): Promise<ServiceProcess> => {
    processes[name] = new ServiceProcess(name, entry, { ...env, ...extra });
    return processes[name].start();
  };
  const stop = async (): Promise<void> => {
    const order = ['command-api', 'play-gateway', 'public-api', 'rss-proxy', 'jobs', 'projections', 'eventstore'];
    for (const name of order) await processes[name]?.stop();
    await database.drop();
  };
  try {
    const store = await run('eventstore', 'standalone/eventstore', { DATABASE_URL: database.url });
    const eventStore = `esdb://127.0.0.1:${store.port}?tls=false`;
    const env = { EVENTSTORE_URL: eventStore, USERS_DATABASE_URL: database.url, SITE_DATABASE_URL: database.url };
    await run('projections', 'projections/main', env);
    const reader = await createSiteReader(database.url);
    await Promise.all([
      run('command-api', 'command-api/main', env),
      run('public-api', 'public-api/main', { SITE_DATABASE_URL: reader }),
      run('jobs', 'jobs/main', env),
      run('rss-proxy', 'rss-proxy/main', {}),
      run('play-gateway', 'play-gateway/main', {}),
    ]);
    for (const [name, { url }] of Object.entries(processes)) if (name !== 'eventstore') await waitUntilReady(url);
    return {
      listeners: processes['command-api']!.url,
      public: processes['public-api']!.url,
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

/** What an operator does for public-api: a login of its own that may read the public tables and nothing else. */
async function createSiteReader(databaseUrl: string): Promise<string> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const name = `balados_reader_${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  try {
    await client.query(`CREATE ROLE ${name} LOGIN PASSWORD '${password}' IN ROLE balados_site_reader`);
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
  const standalone = new ServiceProcess('standalone', 'standalone/main', { DATA_DIR: folder, ...extra });
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
    processes: { standalone },
    database: '',
    eventStore: '',
    env: extra,
    stop,
  };
}
