import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { statSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Log } from '../keep-running';
import { lockFolder } from './lock';
import { postgresProcessesIn } from './processes';
import { type EmbeddedPostgres, startPostgres } from './start';

const isRoot = process.getuid?.() === 0;
const silent: Log = () => undefined;
let parent: string;
let dataDirectory: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'postgres-'));
  chmodSync(parent, 0o755);
  dataDirectory = join(parent, 'data/postgres');
});

afterEach(() => {
  expect(postgresProcessesIn(parent)).toEqual([]);
  rmSync(parent, { recursive: true, force: true });
});

async function query<Row>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows as Row[];
  } finally {
    await client.end();
  }
}

/** Starts, works, and closes whatever happens. */
async function withPostgres(
  work: (postgres: EmbeddedPostgres) => Promise<void>,
  options: { port?: number; settings?: Record<string, string>; log?: Log } = {},
): Promise<void> {
  const postgres = await startPostgres({ dataDirectory, log: silent, ...options });
  try {
    await work(postgres);
  } finally {
    await postgres.close();
  }
}

/** What is in the data directory, but for the copy of the programs that a closed checkout makes necessary. */
const files = () =>
  readdirSync(dataDirectory)
    .filter((name) => !name.startsWith('programs-'))
    .sort();

const start = () => withPostgres(async () => undefined);

describe('startPostgres', () => {
  it('makes a cluster that is durable, on the loopback only, behind a random password', async () => {
    const lines: string[] = [];
    const log: Log = (_level, message, fields) => lines.push(message + JSON.stringify(fields));
    await withPostgres(
      async (postgres) => {
        const settings = await query<{ name: string; setting: string }>(
          postgres.url('postgres'),
          `SELECT name, setting FROM pg_settings WHERE name IN
             ('fsync', 'full_page_writes', 'synchronous_commit', 'data_checksums', 'listen_addresses', 'server_encoding')`,
        );
        expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({
          fsync: 'on',
          full_page_writes: 'on',
          synchronous_commit: 'on',
          data_checksums: 'on',
          listen_addresses: '127.0.0.1',
          server_encoding: 'UTF8',
        });
        expect(await query(postgres.url('postgres'), `SELECT lower('ÉTÉ')`)).toEqual([{ lower: 'été' }]);

        const url = new URL(postgres.url('postgres'));
        const passwordFile = join(dataDirectory, 'password');
        expect(readFileSync(passwordFile, 'utf8').trim()).toBe(url.password);
        expect(url.password).toMatch(/^[0-9a-f]{64}$/);
        expect(statSync(passwordFile).mode & 0o777).toBe(0o600);
        expect(lines.join('\n')).not.toContain(url.password);
        url.password = 'wrong';
        await expect(query(url.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
      },
      { log },
    );
    expect(files()).toEqual(['cluster', 'password']);
  });

  it('keeps data and password over a restart, on a port of the choice of the caller', async () => {
    let port = 0;
    await withPostgres(async (postgres) => {
      await query(postgres.url('postgres'), 'CREATE TABLE kept AS SELECT 7 AS id');
      port = postgres.port;
    });
    await withPostgres(
      async (postgres) => {
        expect(postgres.port).toBe(port);
        expect(await query(postgres.url('postgres'), 'SELECT id FROM kept')).toEqual([{ id: 7 }]);
        await expect(startPostgres({ dataDirectory, log: silent })).rejects.toThrow(
          `The data directory ${dataDirectory} is in use by another running Balados Sync (process ${process.pid}).`,
        );
      },
      { port },
    );
  });

  it('closes while clients are connected and a transaction is open, which is rolled back', async () => {
    const postgres = await startPostgres({ dataDirectory, log: silent });
    const client = new Client({ connectionString: postgres.url('postgres') });
    const cutOff = new Promise((resolve) => client.on('error', resolve));
    await client.connect();
    await client.query('CREATE TABLE things (id int)');
    await client.query('BEGIN');
    await client.query('INSERT INTO things VALUES (1)');
    await postgres.close();
    expect(await cutOff).toMatchObject({ code: '57P01' });
    expect(existsSync(join(dataDirectory, 'cluster/postmaster.pid'))).toBe(false);
    await withPostgres(async (again) => {
      expect(await query(again.url('postgres'), 'SELECT * FROM things')).toEqual([]);
    });
  });

  it('says that a port is taken, and starts none the less on any free one', async () => {
    const other: Server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.on('listening', resolve));
    const { port } = other.address() as { port: number };
    await expect(startPostgres({ dataDirectory, port, log: silent })).rejects.toThrow(
      `Port ${port} on 127.0.0.1 is taken by another program.`,
    );
    await start();
    other.close();
  });

  it('clears away a half-made cluster, and a pid file whose number is now another program’s', async () => {
    mkdirSync(join(dataDirectory, 'cluster.new-12345/base'), { recursive: true });
    await start();
    writeFileSync(join(dataDirectory, 'cluster/postmaster.pid'), `${process.pid}\n${dataDirectory}/cluster\n`);
    await start();
    expect(files()).toEqual(['cluster', 'password']);
  });

  it('refuses a cluster of another major version, one without its password, and what is no cluster', async () => {
    await start();
    const version = join(dataDirectory, 'cluster/PG_VERSION');
    writeFileSync(version, '17\n');
    await expect(start()).rejects.toThrow(/was made by PostgreSQL 17, and this is PostgreSQL 18\.\d+/);
    writeFileSync(version, '18\n');
    rmSync(join(dataDirectory, 'password'));
    await expect(start()).rejects.toThrow('The password of the data directory');
    rmSync(version);
    await expect(start()).rejects.toThrow('is no data directory of PostgreSQL');
  });

  it('says what Postgres said when it does not start, and gives the directory free', async () => {
    await start();
    await expect(withPostgres(async () => undefined, { settings: { max_connections: 'many' } })).rejects.toThrow(
      /Postgres did not start in .*: FATAL: +invalid value for parameter "max_connections"/,
    );
    await start();
  });

  it('refuses a directory that it cannot make', async () => {
    writeFileSync(join(parent, 'data'), 'a file');
    await expect(start()).rejects.toThrow(`The data directory ${dataDirectory} is not writable: ENOTDIR`);
  });

  (isRoot ? it : it.skip)('as root, names the folder that keeps the user of Postgres out', async () => {
    chmodSync(parent, 0o700);
    await expect(start()).rejects.toThrow(`may not enter ${parent} (mode 700)`);
  });

  (isRoot ? it : it.skip)(
    'as root, makes folders that the user of Postgres can enter, whatever the umask',
    async () => {
      const before = process.umask(0o077);
      try {
        await start();
      } finally {
        process.umask(before);
      }
    },
  );
});

describe('lockFolder', () => {
  it('is given to one at a time, and taken over from who is gone', async () => {
    const options = { log: silent, patienceMs: 100 };
    const first = await lockFolder(parent, options);
    await expect(lockFolder(parent, options)).rejects.toThrow('is in use by another running Balados Sync');
    first.ending();
    const waiting = lockFolder(parent, { log: () => first.release(), patienceMs: 0 });
    (await waiting).release();
    const holder = { pid: process.ppid, identity: 'of an earlier process with this number' };
    writeFileSync(join(parent, 'supervisor.lock'), JSON.stringify(holder));
    (await lockFolder(parent, options)).release();
    writeFileSync(join(parent, 'supervisor.lock'), '');
    (await lockFolder(parent, options)).release();
    expect(readdirSync(parent)).toEqual([]);
  });
});
