import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { postgresUrl } from '@balados/embedded';
import { DemoFailed } from '../demo/api';

/** Where a system keeps what it knows. */
export interface Stores {
  eventStore: string;
  users: string;
  site: string;
}

/**
 * The stores that the environment names as it does for the services, else those that standalone has started on DATA_DIR.
 * @throws DemoFailed when neither tells
 */
export function storesOf(env: NodeJS.ProcessEnv): Stores {
  const { EVENTSTORE_URL, USERS_DATABASE_URL, SITE_DATABASE_URL, DATA_DIR = '.data' } = env;
  const embedded = embeddedIn(resolve(DATA_DIR));
  const eventStore = EVENTSTORE_URL ?? embedded?.eventStore;
  const users = USERS_DATABASE_URL ?? embedded?.postgres;
  const site = SITE_DATABASE_URL ?? embedded?.postgres;
  if (!eventStore || !users || !site)
    throw new DemoFailed(
      `no stores in ${resolve(DATA_DIR)}: is \`npm start\` running here? If not, name them by DATA_DIR, or by ` +
        'EVENTSTORE_URL, USERS_DATABASE_URL and SITE_DATABASE_URL as for the services',
    );
  return { eventStore, users, site };
}

/** The environment of a service on those stores. @throws DemoFailed as `storesOf` does */
export function onStores(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { eventStore, users, site } = storesOf(env);
  return { ...env, EVENTSTORE_URL: eventStore, USERS_DATABASE_URL: users, SITE_DATABASE_URL: site };
}

function embeddedIn(folder: string): { eventStore?: string; postgres?: string } | undefined {
  const file = join(folder, 'ports.json');
  if (!existsSync(file)) return undefined;
  const { eventstore, postgres } = JSON.parse(readFileSync(file, 'utf8')) as { eventstore?: number; postgres?: number };
  const dataDirectory = join(folder, 'postgres');
  return {
    eventStore: eventstore ? `esdb://127.0.0.1:${eventstore}?tls=false` : undefined,
    postgres: postgres ? postgresUrl({ dataDirectory, port: postgres, database: 'balados' }) : undefined,
  };
}
