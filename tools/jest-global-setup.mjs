// Builds the apps and starts one Postgres for the whole run, from the code that production runs, as a child process
// whose stdin we hold: when Jest dies, however it dies, the child sees the end of its stdin and stops.
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, chmodSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const START_LIMIT_MS = 60_000;
const root = resolve(import.meta.dirname, '..');
const prefix = 'balados-jest-';

export default async function globalSetup() {
  // Names the run's databases, so that those of a killed suite can be told from another run's.
  process.env.TEST_RUN_ID = randomBytes(4).toString('hex');
  if (process.env.TEST_STAGE === 'unit') return;
  if (process.env.TEST_APPS_BUILT !== '1') build();
  if (process.env.TEST_POSTGRES_URL) return;

  removeLeftovers();
  const dataDirectory = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
  chmodSync(dataDirectory, 0o755); // started by root, Postgres runs as another user
  const fsync = process.env.TEST_POSTGRES_FSYNC ?? 'off';
  const child = spawn(process.execPath, [resolve(root, 'dist/apps/standalone/postgres.js')], {
    env: {
      ...process.env,
      DATA_DIR: dataDirectory,
      POSTGRES_PORT: '0',
      POSTGRES_FSYNC: fsync,
      BALADOS_SUPERVISED: '1',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  globalThis.baladosPostgres = { child, dataDirectory };
  const port = await listening(child);
  const password = readFileSync(join(dataDirectory, 'postgres/password'), 'utf8').trim();
  process.env.TEST_POSTGRES_URL = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
}

function build() {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [resolve(root, 'tools/build.mjs'), ...readdirSync(resolve(root, 'apps'))],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`The apps do not build:\n${stdout}${stderr}`);
}

/** Folders of runs that were killed: their number names a process that is gone. */
function removeLeftovers() {
  for (const name of readdirSync(tmpdir()).filter((name) => name.startsWith(prefix))) {
    try {
      process.kill(Number(name.slice(prefix.length).split('-')[0]), 0);
    } catch (error) {
      if (error.code === 'ESRCH') rmSync(join(tmpdir(), name), { recursive: true, force: true });
    }
  }
}

function listening(child) {
  return new Promise((resolve, reject) => {
    let last = '';
    const limit = setTimeout(
      () => reject(new Error(`Postgres for the tests is not ready within ${START_LIMIT_MS / 1000} s`)),
      START_LIMIT_MS,
    );
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text);
      last = line.msg;
      if (line.level === 'error') console.error(`test Postgres: ${line.msg}`);
      if (line.msg === 'listening') resolve(line.port);
    });
    child.on('close', () => reject(new Error(`Postgres for the tests did not start: ${last}`)));
    child.on('close', () => clearTimeout(limit));
  });
}
