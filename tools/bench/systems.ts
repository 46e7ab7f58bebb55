import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { postgresUrl, superviseChild } from '@balados/embedded';
import { createDatabase, waitFor } from '@balados/testing';
import { ServiceName, ServiceProcess, startSystem, storesOf, System } from '@balados/e2e-support';
import { signingKey } from './listeners';

const ROOT = process.cwd();

/** No limits that a single machine's load would meet, and our own key. */
const ENVIRONMENT = {
  LOG_LEVEL: 'info',
  JWT_PRIVATE_KEY: signingKey,
  RATE_LISTENER: '0',
  RATE_ADDRESS: '0',
  RATE_REGISTER: '0',
};

export type Kind = 'standalone' | 'six processes' | 'cluster';
export type Running = System & { kind: Kind };

const running = new Set<{ stop(): Promise<void> }>();

/** Remembers what runs until it is stopped. */
function remembered<Stoppable extends { stop(): Promise<void> }>(started: Stoppable): Stoppable {
  const stop = async (): Promise<void> => {
    running.delete(kept);
    await started.stop();
  };
  const kept = { ...started, stop };
  running.add(kept);
  return kept;
}

/** For an end that nobody planned: the newest first, since it may stand on the others. */
export async function stopEverything(): Promise<void> {
  for (const each of [...running].reverse()) await each.stop().catch(() => undefined);
}

/** Bundles every app, as `npm run build` does. */
export function buildApps(): void {
  for (const app of readdirSync(resolve(ROOT, 'apps'))) {
    const { status, stderr } = spawnSync(process.execPath, [resolve(ROOT, 'tools/build.mjs'), app], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`the app ${app} does not build:\n${stderr}`);
  }
}

/** The run's Postgres, with the settings of the embedded one: each commit reaches the disk. */
export async function startPostgres(): Promise<{ stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'balados-bench-'));
  chmodSync(folder, 0o711); // started by root, Postgres runs as another user
  const child = await superviseChild({
    name: 'postgres',
    command: process.execPath,
    args: [resolve(ROOT, 'dist/apps/standalone/postgres.js')],
    env: { ...process.env, DATA_DIR: folder, POSTGRES_PORT: '0' },
    portVariable: 'POSTGRES_PORT',
    log: () => undefined,
  });
  process.env.TEST_RUN_ID = randomBytes(4).toString('hex');
  process.env.TEST_POSTGRES_URL = postgresUrl({
    dataDirectory: join(folder, 'postgres'),
    port: child.port,
    database: 'postgres',
  });
  return remembered({
    async stop() {
      await child.close();
      rmSync(folder, { recursive: true, force: true });
    },
  });
}

/** The event store alone, on a new database. */
export async function startStores(): Promise<Pick<System, 'database' | 'eventStore' | 'stop'>> {
  const database = await createDatabase();
  const store = new ServiceProcess('eventstore', 'standalone/eventstore', { DATABASE_URL: database.url });
  await store.start();
  return remembered({
    database: database.url,
    eventStore: `esdb://127.0.0.1:${store.port}?tls=false`,
    async stop() {
      await store.stop();
      await database.drop();
    },
  });
}

export const startServices = async (extra: Record<string, string> = {}): Promise<Running> =>
  remembered<Running>({ ...(await startSystem('services', { ...ENVIRONMENT, ...extra })), kind: 'six processes' });

/** Two processes of each service behind nginx, but for `copies`. */
export const startCluster = async (copies: Partial<Record<ServiceName, number>> = {}): Promise<Running> =>
  remembered<Running>({ ...(await startSystem('cluster', ENVIRONMENT, undefined, copies)), kind: 'cluster' });

export const startStandalone = async (): Promise<Running> =>
  remembered<Running>({ ...(await startSystem('standalone', ENVIRONMENT)), kind: 'standalone' });

/** Starts standalone again, after it was stopped, on the data that it had; where its stores are has changed. */
export async function startAgain(system: Running): Promise<Running> {
  const standalone = system.processes['standalone']!;
  await standalone.start();
  await waitFor(async () => (await fetch(`${standalone.url}/readyz`)).ok, { what: 'standalone to be ready again' });
  return { ...system, ...storesOf(standalone, system.env['DATA_DIR']!) };
}
