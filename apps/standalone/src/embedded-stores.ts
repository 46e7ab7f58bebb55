import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { postgresUrl, superviseChild } from '@balados/embedded';
import { Logger } from '@balados/platform-service';
import { Client } from 'pg';
import { Config } from './config';

const DATABASE = 'balados';

export interface Stores {
  EVENTSTORE_URL: string;
  USERS_DATABASE_URL: string;
  SITE_DATABASE_URL: string;
  close(): Promise<void>;
}

/** In DATA_DIR: the ports of the embedded stores that were started last, for tools that reach past the services. */
const PORTS_FILE = 'ports.json';

/** Starts the stores that the environment does not name, as supervised children: Postgres, and on it the event store. */
export async function openStores(config: Config, log: Logger): Promise<Stores> {
  const { EVENTSTORE_URL, USERS_DATABASE_URL, SITE_DATABASE_URL } = config;
  const closing: (() => Promise<void>)[] = [];
  const ports: Record<string, number> = {};
  const childLog = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>): void =>
    log[level](fields ?? {}, message);
  const child = async (name: string, portVariable: string, env: NodeJS.ProcessEnv): Promise<number> => {
    const { port, close } = await superviseChild({
      name,
      command: process.execPath,
      args: [resolve(__dirname, `${name}.js`)],
      env: { ...process.env, ...env },
      portVariable,
      log: childLog,
    });
    closing.unshift(close);
    ports[name] = port;
    return port;
  };
  const close = async (): Promise<void> => {
    for (const step of closing) await step();
  };

  try {
    let embedded: string | undefined;
    if (!EVENTSTORE_URL || !USERS_DATABASE_URL || !SITE_DATABASE_URL) {
      const port = await child('postgres', 'POSTGRES_PORT', { DATA_DIR: resolve(config.DATA_DIR), POSTGRES_PORT: '0' });
      const dataDirectory = resolve(config.DATA_DIR, 'postgres');
      await createDatabase(postgresUrl({ dataDirectory, port, database: 'postgres' }));
      embedded = postgresUrl({ dataDirectory, port, database: DATABASE });
    }
    let eventStore = EVENTSTORE_URL;
    if (!eventStore) {
      const port = await child('eventstore', 'PORT', { DATABASE_URL: embedded, PORT: '0', HOST: '127.0.0.1' });
      eventStore = `esdb://127.0.0.1:${port}?tls=false`;
    }
    // Postgres is started first, so that the folder is there.
    if (embedded) writeFileSync(resolve(config.DATA_DIR, PORTS_FILE), JSON.stringify(ports));
    return {
      EVENTSTORE_URL: eventStore,
      USERS_DATABASE_URL: USERS_DATABASE_URL ?? embedded!,
      SITE_DATABASE_URL: SITE_DATABASE_URL ?? embedded!,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function createDatabase(adminUrl: string): Promise<void> {
  const client = new Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
    if (!rowCount) await client.query(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await client.end();
  }
}
