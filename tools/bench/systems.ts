import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { postgresUrl, superviseChild } from '@balados/embedded';
import { createDatabase } from '@balados/testing';
import { ServiceProcess, startSystem, System } from '@balados/e2e-support';
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

/** Where the stores of a system are. */
export interface Stores {
  database: string;
  eventStore: string;
}

export type Kind = 'standalone' | 'six processes';
export type Running = System & Stores & { kind: Kind };

/** Bundles every app, as `npm run build` does. */
export function buildApps(): void {
  for (const app of readdirSync(resolve(ROOT, 'apps'))) {
    const { status, stderr } = spawnSync(process.execPath, [resolve(ROOT, 'tools/build.mjs'), app], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`the app ${app} does not build:\n${stderr}`);
  }
}

/** A folder that Postgres may enter, too, when root starts it. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'balados-bench-'));
  chmodSync(folder, 0o711);
  return folder;
}

/** The run's Postgres, with the settings of the embedded one: each commit reaches the disk. */
export async function startPostgres(): Promise<{ stop(): Promise<void> }> {
  const folder = temporaryFolder();
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
  return {
    async stop() {
      await child.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The event store alone, on a new database. */
export async function startStores(): Promise<Stores & { stop(): Promise<void> }> {
  const database = await createDatabase();
  const store = new ServiceProcess('eventstore', 'standalone/eventstore', { DATABASE_URL: database.url });
  await store.start();
  return {
    database: database.url,
    eventStore: `esdb://127.0.0.1:${store.port}?tls=false`,
    async stop() {
      await store.stop();
      await database.drop();
    },
  };
}

export async function startServices(): Promise<Running> {
  return { ...(await startSystem('services', ENVIRONMENT)), kind: 'six processes' };
}

/** Standalone on a data directory, new or not; it stays when the system stops. */
export async function startStandalone(folder: string): Promise<Running> {
  const system = await startSystem('standalone', { ...ENVIRONMENT, DATA_DIR: folder });
  const { lines } = system.processes['standalone']!;
  return {
    ...system,
    kind: 'standalone',
    database: postgresUrl({
      dataDirectory: join(folder, 'postgres'),
      port: portOf(lines, 'postgres'),
      database: 'balados',
    }),
    eventStore: `esdb://127.0.0.1:${portOf(lines, 'eventstore')}?tls=false`,
  };
}

/** A supervised store says where it listens in standalone's log. */
function portOf(lines: readonly string[], store: string): number {
  const said = lines.findLast((line) => line.includes(`"${store}: listening"`));
  if (!said) throw new Error(`standalone does not say where its ${store} listens`);
  return (JSON.parse(said) as { port: number }).port;
}
