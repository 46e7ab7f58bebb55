import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { postgresUrl } from '@balados/embedded';
import { waitFor } from '@balados/testing';
import { Client } from 'pg';

// The built entry as real processes, killed in every way that there is.
const ENTRY = resolve(__dirname, '../../../dist/apps/standalone/postgres.js');

interface Line {
  level: string;
  msg: string;
  port?: number;
}

interface Entry {
  process: ChildProcess;
  lines: Line[];
  said: (words: RegExp) => Promise<Line>;
  exited: Promise<unknown>;
}

let dataDir: string;
let started: ChildProcess[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'standalone-postgres-'));
  chmodSync(dataDir, 0o755);
  started = [];
});

afterEach(async () => {
  for (const child of started) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  }
  await waitFor(() => processes().length === 0, { what: 'the end of every process in the data directory' });
  rmSync(dataDir, { recursive: true });
});

/** Watches a process that prints the entry's lines. */
function watch(child: ChildProcess): Entry {
  const lines: Line[] = [];
  started.push(child);
  createInterface({ input: child.stdout! }).on('line', (text) => lines.push(JSON.parse(text) as Line));
  const said = (words: RegExp) =>
    waitFor(() => lines.find(({ msg }) => words.test(msg)), { what: `a line like ${words}` });
  return { process: child, lines, said, exited: once(child, 'exit') };
}

const environment = (port = 0) => ({
  PATH: process.env.PATH,
  DATA_DIR: dataDir,
  POSTGRES_PORT: `${port}`,
  BALADOS_SUPERVISED: '1',
});

const run = (port?: number) =>
  watch(spawn(process.execPath, [ENTRY], { env: environment(port), stdio: ['pipe', 'pipe', 'inherit'] }));

async function running(): Promise<Entry & { port: number }> {
  const entry = run();
  return { ...entry, port: (await entry.said(/^listening$/)).port! };
}

async function query(port: number, sql: string): Promise<unknown[]> {
  const url = postgresUrl({ dataDirectory: join(dataDir, 'postgres'), port, database: 'postgres' });
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Every process whose working directory is in the data directory: Postgres, and initdb. */
function processes(): number[] {
  return readdirSync('/proc')
    .filter((name) => {
      try {
        return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/cwd`).startsWith(dataDir);
      } catch {
        return false;
      }
    })
    .map(Number);
}

const postmaster = () => Number.parseInt(readFileSync(join(dataDir, 'postgres/cluster/postmaster.pid'), 'utf8'), 10);
/** Postgres removes its pid file as the last act of a shutdown in order. */
const shutDownInOrder = () => !existsSync(join(dataDir, 'postgres/cluster/postmaster.pid'));

it('says where it listens, leaves Ctrl-C to its parent, and stops in order on SIGTERM', async () => {
  const entry = await running();
  entry.process.kill('SIGINT');
  entry.process.kill('SIGHUP');
  expect(await query(entry.port, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  entry.process.kill('SIGTERM');
  expect(await entry.exited).toEqual([0, null]);
  await entry.said(/^stopping \(SIGTERM\)$/);
  expect(shutDownInOrder()).toBe(true);
  const password = readFileSync(join(dataDir, 'postgres/password'), 'utf8').trim();
  expect(JSON.stringify(entry.lines)).not.toContain(password);
});

it('keeps Postgres out of the process group that the terminal interrupts', async () => {
  await running();
  const group = (pid: number | string) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[2];
  expect(group(postmaster())).toBe(`${postmaster()}`);
  expect(group(postmaster())).not.toBe(group('self'));
});

it('starts a killed Postgres again on its port, with what was committed', async () => {
  const entry = await running();
  for (const round of [1, 2]) {
    await query(entry.port, `CREATE TABLE round_${round} ()`);
    const killed = postmaster();
    process.kill(killed, 'SIGKILL');
    const back = () => query(entry.port, `SELECT count(*)::int AS tables FROM pg_tables WHERE tablename LIKE 'round%'`);
    expect(await waitFor(back, { what: 'Postgres on its port' })).toEqual([{ tables: round }]);
    expect(postmaster()).not.toBe(killed);
  }
  expect(entry.lines.filter(({ msg }) => msg.startsWith('Postgres ended by itself'))).toMatchObject([
    { level: 'error', msg: 'Postgres ended by itself (ended with SIGKILL); it is started again' },
    { level: 'error' },
  ]);
});

it('closes in order while Postgres is being restarted', async () => {
  const entry = await running();
  process.kill(postmaster(), 'SIGKILL');
  await entry.said(/^Postgres ended by itself/);
  entry.process.kill('SIGTERM');
  expect(await entry.exited).toEqual([0, null]);
  expect(processes()).toEqual([]);
});

it('stops an orphaned Postgres of a killed predecessor and starts anew', async () => {
  const first = await running();
  const supervisor = first.process;
  await query(first.port, 'CREATE TABLE kept AS SELECT 7 AS id');
  const orphan = postmaster();
  supervisor.kill('SIGKILL');
  await first.exited;
  expect(await query(first.port, 'SELECT id FROM kept')).toEqual([{ id: 7 }]); // it is really still there
  const second = await running();
  await second.said(/killed run left behind/);
  expect(postmaster()).not.toBe(orphan);
  expect(processes()).not.toContain(orphan);
  expect(await query(second.port, 'SELECT id FROM kept')).toEqual([{ id: 7 }]);
});

it('starts after everything was killed at once, backends left running included', async () => {
  const first = await running();
  const url = postgresUrl({ dataDirectory: join(dataDir, 'postgres'), port: first.port, database: 'postgres' });
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('CREATE TABLE kept AS SELECT 7 AS id');
  const { pid } = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!;
  // A backend that is stopped cannot notice that its postmaster is gone.
  process.kill(pid, 'SIGSTOP');
  first.process.kill('SIGKILL');
  process.kill(postmaster(), 'SIGKILL');
  const second = await running();
  expect(processes()).not.toContain(pid);
  expect(await query(second.port, 'SELECT id FROM kept')).toEqual([{ id: 7 }]);
});

it('leaves nothing behind when its parent is killed', async () => {
  const script = `require('node:child_process').spawn(process.execPath, [${JSON.stringify(ENTRY)}], { stdio: 'pipe' })
    .stdout.pipe(process.stdout)`;
  const env = environment();
  const parent = watch(spawn(process.execPath, ['-e', script], { env, stdio: ['ignore', 'pipe', 'inherit'] }));
  await parent.said(/^listening$/);
  expect(processes()).not.toEqual([]);
  parent.process.kill('SIGKILL');
  await waitFor(() => processes().length === 0, { what: 'the end of Postgres' });
  expect(shutDownInOrder()).toBe(true);
  await waitFor(() => !existsSync(join(dataDir, 'postgres/supervisor.lock')), { what: 'the lock to be released' });
});

it('recovers from a first start that was killed in the middle of making the cluster', async () => {
  const first = run();
  const unfinished = () => readdirSync(join(dataDir, 'postgres')).find((name) => /^cluster\.new-\d+$/.test(name));
  const halfMade = () => existsSync(join(dataDir, 'postgres', unfinished()!, 'PG_VERSION'));
  await waitFor(halfMade, { what: 'a half-made cluster' });
  first.process.kill('SIGKILL');
  await first.exited;
  expect(existsSync(join(dataDir, 'postgres/cluster'))).toBe(false);
  const second = await running();
  expect(await query(second.port, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect(unfinished()).toBeUndefined();
});

it('refuses a directory in which another one lives, which goes on', async () => {
  const first = await running();
  const second = run();
  expect(await second.exited).toEqual([1, null]);
  expect(second.lines.at(-1)).toEqual({
    level: 'error',
    msg: `The data directory ${dataDir}/postgres is in use by another running Balados Sync (process ${first.process.pid}).`,
  });
  expect(await query(first.port, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

it('of two that start at the same moment where a killed one left its lock, lets one through', async () => {
  const killed = await running();
  killed.process.kill('SIGKILL');
  await killed.exited;
  const both = [run(), run()];
  const loser = await Promise.race(both.map(async (entry) => (await entry.exited, entry)));
  expect(loser.lines.at(-1)?.msg).toContain('is in use by another running Balados Sync');
  const winner = both.find((entry) => entry !== loser)!;
  expect(await query((await winner.said(/^listening$/)).port!, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});
