import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Account } from './account';
import type { Binaries } from './binaries';

const PASSWORD_BYTES = 32;
export const SUPERUSER = 'postgres';

/** What Postgres and initdb get of our environment: no PG* variables, and none of our secrets. */
export const environment = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };

/**
 * The connection URL of the superuser, with the password that the first start wrote into `dataDirectory`.
 * @throws Error when there is no password yet
 */
export function postgresUrl(where: { dataDirectory: string; port: number; database: string }): string {
  const password = readFileSync(join(where.dataDirectory, 'password'), 'utf8').trim();
  return `postgres://${SUPERUSER}:${password}@127.0.0.1:${where.port}/${encodeURIComponent(where.database)}`;
}

/**
 * Makes the cluster `<folder>/cluster` unless it is there. It is made aside and renamed when whole, so a start that
 * was killed in the middle leaves nothing but what the next one clears away.
 * @throws Error when what is there was made by another major version, or lacks its password
 */
export async function ensureCluster(folder: string, binaries: Binaries, account: Account): Promise<void> {
  const cluster = join(folder, 'cluster');
  const password = join(folder, 'password');
  for (const name of readdirSync(folder).filter((name) => name.startsWith('cluster.new'))) {
    rmSync(join(folder, name), { recursive: true, force: true });
  }
  if (existsSync(cluster)) return check(cluster, password, binaries);

  if (!existsSync(password)) {
    writeFileSync(`${password}.new`, `${randomBytes(PASSWORD_BYTES).toString('hex')}\n`, { mode: 0o600, flush: true });
    renameSync(`${password}.new`, password);
  }
  const unfinished = join(folder, `cluster.new-${process.pid}`);
  // initdb reads the password as the account, which may not read ours.
  const handedOver = `${unfinished}.password`;
  writeFileSync(handedOver, readFileSync(password), { mode: 0o600 });
  mkdirSync(unfinished, { mode: 0o700 });
  if (account.uid !== undefined) {
    chownSync(handedOver, account.uid, account.gid!);
    chownSync(unfinished, account.uid, account.gid!);
  }
  await initialise({ cluster: unfinished, passwordFile: handedOver, folder, binaries, account });
  rmSync(handedOver);
  renameSync(unfinished, cluster);
  const descriptor = openSync(folder, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}

function check(cluster: string, password: string, binaries: Binaries): void {
  const version = join(cluster, 'PG_VERSION');
  if (!existsSync(version)) throw new Error(`${cluster} is in the way: it is no data directory of PostgreSQL.`);
  const major = readFileSync(version, 'utf8').trim();
  if (major !== binaries.major) {
    throw new Error(
      `The data directory ${cluster} was made by PostgreSQL ${major}, and this is PostgreSQL ${binaries.version}. ` +
        'Start the release of Balados Sync that made it, dump the data there, and load it into a new data directory.',
    );
  }
  if (!existsSync(password)) {
    throw new Error(`The password of the data directory ${cluster} is missing: put the file ${password} back.`);
  }
}

interface Initialisation {
  cluster: string;
  passwordFile: string;
  folder: string;
  binaries: Binaries;
  account: Account;
}

async function initialise({ cluster, passwordFile, folder, binaries, account }: Initialisation): Promise<void> {
  const flags = ['--auth=scram-sha-256', `--username=${SUPERUSER}`, `--pwfile=${passwordFile}`, '--encoding=UTF8'];
  // Postgres's own collation: an upgrade of the system's C library cannot break an index.
  flags.push('--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8');
  const child = spawn(binaries.initdb, [`--pgdata=${cluster}`, ...flags], {
    ...account,
    cwd: folder,
    env: environment,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
  const ended = await new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) =>
      resolve(code === 0 ? '' : `ended with ${signal ?? code}: ${complaints.trim()}`),
    );
  });
  if (ended) throw new Error(`Postgres could not make its data directory ${cluster}: initdb ${ended}`);
}
