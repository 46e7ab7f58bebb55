import { ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '@balados/testing';
import { Client } from 'pg';
import { freePort } from './services';

const INSTALLED = '/usr/lib/postgresql';
const NEEDED = ['initdb', 'postgres', 'pg_dump', 'pg_restore'];

/** Where this machine has a PostgreSQL with all its programs, the newest; the embedded one has no pg_dump. */
export function installedPostgres(): string | undefined {
  const versions = existsSync(INSTALLED)
    ? readdirSync(INSTALLED).sort((one, other) => Number(other) - Number(one))
    : [];
  return versions
    .map((version) => join(INSTALLED, version, 'bin'))
    .find((folder) => NEEDED.every((program) => existsSync(join(folder, program))));
}

/** A server of that PostgreSQL, on files of its own. */
export class DebianPostgres {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    /** Of the database `postgres`, as an administrator. */
    readonly url: string,
  ) {}

  static async start(programs: string): Promise<DebianPostgres> {
    const folder = mkdtempSync(join(tmpdir(), 'balados-postgres-'));
    const user = unprivileged();
    if (user) chownSync(folder, user.uid, user.gid);
    chmodSync(folder, 0o700);
    const data = join(folder, 'data');
    const made = spawnSync(join(programs, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8'], {
      ...user,
      cwd: folder,
      encoding: 'utf8',
    });
    if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
    const port = await freePort('127.0.0.1');
    const settings = ['listen_addresses=127.0.0.1', 'max_connections=300', 'fsync=off'].flatMap((each) => ['-c', each]);
    const child = spawn(join(programs, 'postgres'), ['-D', data, '-p', String(port), '-k', folder, ...settings], {
      ...user,
      cwd: folder,
      stdio: 'ignore',
    });
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    const server = new DebianPostgres(child, folder, url);
    try {
      await waitFor(() => server.query('SELECT 1').then(() => true), { what: 'Postgres to listen' });
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** An empty database. @returns its URL */
  async createDatabase(name: string): Promise<string> {
    await this.query(`CREATE DATABASE ${name}`);
    const url = new URL(this.url);
    url.pathname = `/${name}`;
    return url.href;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    // At once, whoever is connected.
    if (this.child.exitCode === null && this.child.kill('SIGINT')) await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async query(statement: string): Promise<void> {
    const client = new Client({ connectionString: this.url });
    try {
      await client.connect();
      await client.query(statement);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

/** Postgres refuses to be root: then it is the user that its package made. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (userInfo().uid !== 0) return undefined;
  const of = (flag: string): number => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  return { uid: of('-u'), gid: of('-g') };
}
