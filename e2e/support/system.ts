import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postgresUrl } from '@balados/embedded';
import { createDatabase } from '@balados/testing';
import { LONG } from './limits';
import { ServiceName, SERVICES } from './logins';
import { ServiceProcess } from './service-process';
import { runServices, ServicesOptions, waitUntilReady } from './services';

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
  /** For tools that reach past the services: where the stores are. */
  env: Record<string, string>;
  /** Environment of a service, for further copies. */
  envOf(service: ServiceName, copy?: number): Record<string, string>;
  stop(): Promise<void>;
}

/** All listeners of a test are at one address and in more of a hurry than people; limits are a test's own to set. */
const UNLIMITED = { RATE_ADDRESS: '0', RATE_LISTENER: '0', RATE_REGISTER: '0' };

/** With this, the systems of tests sign play links. */
export const LINK_KEY = randomBytes(32);

/** The limits that a system has unless told. */
export const DEFAULT_LIMITS = { RATE_ADDRESS: '6000', RATE_LISTENER: '6000', RATE_REGISTER: '100' };

/** `cluster`: two processes of each service, behind nginx. */
export type Kind = 'services' | 'standalone' | 'cluster';

/**
 * What most suites are tried on: the six processes, and in long runs the one process as well, for which there is no time in each. The
 * journey, the documentation and Debian's podcast apps are tried on both every time.
 */
export const KINDS: readonly Kind[] = LONG ? ['services', 'standalone'] : ['services'];

const TWO_OF_EACH = Object.fromEntries(SERVICES.map((name) => [name, 2]));

/**
 * `only`: of the services, start these alone; projections must be among them, since they make the tables of site. `copies`: of the cluster's
 * services, where it is not two.
 */
export const startSystem = (
  kind: Kind,
  env: Record<string, string> = {},
  only?: readonly ServiceName[],
  copies: Partial<Record<ServiceName, number>> = {},
): Promise<System> =>
  kind === 'standalone'
    ? startStandalone({ ...UNLIMITED, ...env })
    : startServices(kind, { ...UNLIMITED, ...env }, { only, copies });

async function startServices(
  kind: 'services' | 'cluster',
  extra: Record<string, string>,
  { only, copies }: Pick<ServicesOptions, 'only' | 'copies'>,
): Promise<System> {
  const database = await createDatabase();
  const folder = mkdtempSync(join(tmpdir(), 'balados-e2e-'));
  chmodSync(folder, 0o711);
  const clear = async (): Promise<void> => {
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  };
  const cluster = {
    copies: { ...TWO_OF_EACH, ...copies },
    proxy: { listen: '127.0.0.1:0', playHost: 'play.localhost' },
  };
  try {
    const system = await runServices({
      database: database.url,
      folder,
      linkKey: LINK_KEY,
      extra,
      only,
      ...(kind === 'cluster' && cluster),
    });
    return { ...system, stop: () => system.stop().finally(clear) };
  } catch (error) {
    await clear();
    throw error;
  }
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
    envOf: () => ({ ...extra }),
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
