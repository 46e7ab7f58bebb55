import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import { collect, createDatabase, eventually, query } from './testing';

/** The stand-in as a process of its own: what it says, how it stops, and that `kill -9` loses nothing. */
const root = resolve(__dirname, '../../../..');

/** Bundles the executable as the build does, within the repository: it looks for its packages in node_modules. */
const BUNDLE = `
  import { readFileSync } from 'node:fs';
  import { rolldown } from 'rolldown';
  const { paths } = JSON.parse(readFileSync('tsconfig.base.json', 'utf8')).compilerOptions;
  const ours = (id) => id.startsWith('.') || id.startsWith('/') || id in paths;
  const input = { eventstore: 'apps/standalone/src/eventstore.ts' };
  const bundle = await rolldown({ input, platform: 'node', tsconfig: 'tsconfig.json', external: (id) => !ours(id) });
  await bundle.write({ dir: process.env.OUTPUT, format: 'cjs' });`;

let folder: string;
let database: Awaited<ReturnType<typeof createDatabase>>;
const processes: ChildProcess[] = [];
const clients: EventStoreDBClient[] = [];

beforeAll(async () => {
  await mkdir(join(root, '.tmp'), { recursive: true });
  folder = await mkdtemp(join(root, '.tmp/eventstore-'));
  const env = { ...process.env, OUTPUT: folder };
  await promisify(execFile)(process.execPath, ['--input-type=module', '-e', BUNDLE], { cwd: root, env });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.dispose();
  for (const child of processes.splice(0))
    if (child.exitCode === null && child.signalCode === null) await stop(child, 'SIGKILL');
  await database.drop();
});

interface Line {
  level: string;
  msg: string;
  port?: number;
}

function launch(env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(folder, 'eventstore.js')], {
    env: { ...process.env, DATABASE_URL: database.url, PORT: '0', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  processes.push(child);
  const lines: Line[] = [];
  createInterface(child.stdout).on('line', (line) => lines.push(JSON.parse(line) as Line));
  const port = () => eventually(() => lines.find(({ msg }) => msg === 'listening')?.port);
  const connect = async () => {
    const client = EventStoreDBClient.connectionString(`esdb://127.0.0.1:${await port()}?tls=false`);
    clients.push(client);
    return client;
  };
  const exit = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  return { child, lines, connect, port, exit };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

const event = (n: number) => jsonEvent({ type: 'Counted', data: { n } });

it('loses nothing that it acknowledged, and stores nothing twice, when it is killed under load', async () => {
  const acknowledged: string[] = [];
  const attempted = new Set<string>();
  for (let round = 0; round < 2; round++) {
    const { child, connect } = launch();
    const client = await connect();
    let running = true;
    const writers = Array.from({ length: 16 }, async (_, index) => {
      for (let n = 0; running; n++) {
        const one = event(n);
        attempted.add(one.id);
        await client.appendToStream(`load-${index}`, one).then(
          () => acknowledged.push(one.id),
          () => (running = false),
        );
      }
    });
    const before = acknowledged.length;
    await eventually(() => acknowledged.length > before + 300);
    await stop(child, 'SIGKILL');
    await Promise.all(writers);
  }
  const client = await launch().connect();
  const found = (await collect(client.readAll())).map(({ event }) => event!);
  const ids = found.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(acknowledged.filter((id) => !ids.includes(id))).toEqual([]);
  expect(ids.filter((id) => !attempted.has(id))).toEqual([]);
  const next = new Map<string, bigint>();
  for (const { streamId, revision } of found) {
    expect(revision).toBe(next.get(streamId) ?? 0n);
    next.set(streamId, revision + 1n);
  }
});

it('stops in order on SIGTERM: what it has taken is answered', async () => {
  const { child, connect, exit } = launch();
  const client = await connect();
  await client.appendToStream('s-0', event(0));
  const appends = Array.from({ length: 200 }, (_, n) => client.appendToStream(`s-${n}`, event(n)));
  const settled = Promise.allSettled(appends);
  await appends[0];
  child.kill('SIGTERM');
  const written = (await settled).filter(({ status }) => status === 'fulfilled').length;
  expect(await exit).toBe(0);
  const again = await launch().connect();
  expect((await collect(again.readAll())).length).toBe(written + 1);
});

it('is stopped by its parent alone when supervised', async () => {
  const { child, connect, exit } = launch({ BALADOS_SUPERVISED: '1' });
  const client = await connect();
  child.kill('SIGINT');
  await client.appendToStream('s-1', event(0));
  // The parent is gone.
  child.stdin!.end();
  expect(await exit).toBe(0);
});

it('exits with an error when another one has the lock', async () => {
  await launch().port();
  const { lines, exit } = launch({ LOCK_WAIT_MS: '500' });
  expect(await exit).toBe(1);
  expect(lines.at(-1)).toMatchObject({ level: 'error', msg: expect.stringContaining('another event store') });
});

it('exits with an error when the lock is lost for good', async () => {
  const { lines, port, exit } = launch({ LOCK_WAIT_MS: '500' });
  await port();
  await query(
    database.url,
    `WITH rival AS MATERIALIZED (
       SELECT pg_terminate_backend(pid), (classid::bigint << 32) | objid::bigint AS key FROM pg_locks
       WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
     ) SELECT pg_advisory_lock(key), pg_sleep(3) FROM rival`,
  ).catch(() => undefined);
  expect(await exit).toBe(1);
  expect(lines.at(-1)).toMatchObject({ level: 'error', msg: expect.stringContaining('another event store') });
});

it.each([
  ['no database', { DATABASE_URL: '' }, /DATABASE_URL/],
  ['a port that is none', { PORT: 'x' }, /PORT/],
])('says what is wrong with %s', async (_, env, message) => {
  const { lines, exit } = launch(env);
  expect(await exit).toBe(1);
  expect(lines).toMatchObject([{ level: 'error', msg: expect.stringMatching(message) }]);
});
