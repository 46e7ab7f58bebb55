import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { findNginx, NoNginx, runServices, ServiceName, ServiceProcess, SERVICES } from '@balados/e2e-support';
import { postgresUrl, superviseChild } from '@balados/embedded';
import { Client } from 'pg';

const USAGE = `npm run cluster [-- --copies command-api=3 --copies jobs=1]

What docker-compose.yml describes, as processes of this machine: two copies of each service, unless --copies says otherwise, behind
nginx, on the embedded Postgres and the stand-in for the event store. nginx is the one that is installed; where there is none, apt fetches
Debian's package, which is unpacked into node_modules/.cache and not installed. Ctrl-C stops all in order. What is killed is started again.

From the environment: PORT (4000) and HOST (127.0.0.1), the public address; PLAY_HOST (play.localhost); DATA_DIR (.data/cluster); and what
the services take, such as RATE_ADDRESS.
`;
const COPIES = 2;
const COPIES_MAX = 8;
/** Killed copies are started again after this pause, in milliseconds. */
const RESTART_MS = 1_000;
/** The cluster's own to set. */
const OURS = /^(?:PORT|HOST|PLAY_HOST|DATA_DIR|EVENTSTORE_URL|FEEDS_(?:URL|HOST|PORT)|\w+_DATABASE_URL)$/;
const DATABASE = 'balados';

const say = (text: string): void => console.log(text);

class BadUsage extends Error {}

function readCopies(given: readonly string[]): Record<ServiceName, number> {
  const copies = Object.fromEntries(SERVICES.map((name) => [name, COPIES])) as Record<ServiceName, number>;
  for (const text of given) {
    const [name, count] = text.split('=') as [ServiceName, string];
    if (!SERVICES.includes(name) || !/^\d+$/.test(count ?? '') || Number(count) < 1 || Number(count) > COPIES_MAX)
      throw new BadUsage(`--copies ${text}: it is <service>=<1 to ${COPIES_MAX}>, of ${SERVICES.join(', ')}`);
    copies[name] = Number(count);
  }
  return copies;
}

/** The database's URL as an administrator, and what ends its server. */
async function openDatabase(folder: string): Promise<{ url: string; close(): Promise<void> }> {
  const { port, close } = await superviseChild({
    name: 'postgres',
    command: process.execPath,
    args: [resolve('dist/apps/standalone/postgres.js')],
    env: { ...process.env, DATA_DIR: folder, POSTGRES_PORT: '0' },
    portVariable: 'POSTGRES_PORT',
    log: () => undefined,
  });
  const at = (database: string): string => postgresUrl({ dataDirectory: join(folder, 'postgres'), port, database });
  const client = new Client({ connectionString: at('postgres') });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
    if (!rowCount) await client.query(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await client.end();
  }
  return { url: at(DATABASE), close };
}

/** Play links hold as long as their key is the same. */
function linkKeyIn(folder: string): Buffer {
  const path = join(folder, 'link-key');
  if (!existsSync(path)) writeFileSync(path, randomBytes(32).toString('base64url'), { mode: 0o600 });
  return Buffer.from(readFileSync(path, 'utf8'), 'base64url');
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { copies: { type: 'string', multiple: true, default: [] }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const copies = readCopies(values.copies);
  const { PORT = '4000', HOST = '127.0.0.1', PLAY_HOST = 'play.localhost', DATA_DIR = '.data/cluster' } = process.env;
  findNginx(say);
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const folder = resolve(DATA_DIR);
  mkdirSync(folder, { recursive: true });
  // Started by root, Postgres and nginx run as somebody else, who must come through.
  chmodSync(folder, 0o711);

  const stopping = new AbortController();
  const told = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'])
      process.on(signal, () => {
        stopping.abort();
        resolve();
      });
  });
  const database = await openDatabase(folder);
  try {
    const system = await runServices({
      database: database.url,
      folder,
      linkKey: linkKeyIn(folder),
      copies,
      logins: 'cluster',
      proxy: { listen: `${HOST}:${PORT}`, playHost: PLAY_HOST },
      extra: Object.fromEntries(
        Object.entries(process.env).filter((entry): entry is [string, string] => !OURS.test(entry[0]) && !!entry[1]),
      ),
      ownGroup: true,
    });
    for (const service of Object.values(system.processes)) void keepRunning(service, stopping.signal);
    for (const { name, pid, url } of Object.values(system.processes)) say(`${name.padEnd(16)} ${url}  process ${pid}`);
    if (process.env['ADMIN_TOKEN']) say(`\nThe dashboard is at ${system.listeners}/dashboard.`);
    say(`\nThe API is at ${system.listeners}, play links at http://${PLAY_HOST}:${PORT}. Ctrl-C stops all of it.`);
    await told;
    say('\nstopping');
    await system.stop();
  } finally {
    await database.close();
  }
  return 0;
}

/** As a container's `restart: unless-stopped`. */
async function keepRunning(service: ServiceProcess, signal: AbortSignal): Promise<void> {
  for (;;) {
    const code = await service.ended;
    if (signal.aborted) return;
    say(`${service.name} ended (${code ?? 'killed'}) and is started again`);
    await delay(RESTART_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    await service.start().catch((error: Error) => say(error.message));
  }
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    const isPlain = error instanceof BadUsage || error instanceof NoNginx;
    console.error(isPlain ? error.message : error);
    process.exit(isPlain ? 2 : 1);
  },
);
