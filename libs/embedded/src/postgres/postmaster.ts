import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import type { Log, Running } from '../keep-running';
import type { Account } from './account';
import type { Binaries } from './binaries';
import { environment } from './cluster';
import { FAST_SHUTDOWN_MS, stopPostgresIn } from './processes';

/** How long a start may take; it replays the log after a crash. */
const START_LIMIT_MS = 120_000;
/** A port that was free a moment ago may be taken: how many others are tried. */
const PORT_ATTEMPTS = 5;
const READY = 'database system is ready to accept connections';
const PORT_TAKEN = 'could not create any TCP/IP sockets';
/** What precedes a line until our log_line_prefix is read: time and process. */
const EARLY_PREFIX = /^\d{4}-\S+ \S+ \w+ \[\d+\] /;

const SETTINGS: Record<string, string> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '128MB',
  wal_compression: 'on',
  jit: 'off', // its compile time exceeds what our short queries take
  // What a client does wrong is answered to that client: statements and values have no place in our log.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_checkpoints: 'off',
  log_line_prefix: '',
};

export interface Postmaster extends Running {
  readonly port: number;
  readonly pid: number;
}

interface Options {
  folder: string;
  cluster: string;
  binaries: Binaries;
  account: Account;
  settings: Record<string, string>;
  log: Log;
}

/**
 * Starts Postgres on the loopback interface, in a process group of its own (Ctrl-C in the terminal is ours, not its),
 * and resolves once it accepts connections. Port 0 means any free port.
 */
export async function startPostmaster(port: number, options: Options): Promise<Postmaster> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run(port || (await freePort()), options);
    } catch (error) {
      if (port || attempt === PORT_ATTEMPTS || !(error instanceof PortTaken)) throw error;
    }
  }
}

class PortTaken extends Error {}

async function run(port: number, { folder, cluster, binaries, account, settings, log }: Options): Promise<Postmaster> {
  const flags = Object.entries({ ...SETTINGS, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(binaries.postgres, ['-D', cluster, '-p', `${port}`, ...flags], {
    ...account,
    cwd: folder,
    env: environment,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let lastWords = '';
  let portTaken = false;
  let ready = false;
  const exited = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(`ended with ${signal ?? code}`));
  });

  const lines = createInterface({ input: child.stderr });
  const allRead = once(lines, 'close');
  let timer: NodeJS.Timeout | undefined;
  const problem = await new Promise<string | undefined>((resolve) => {
    lines.on('line', (text) => {
      const line = text.replace(EARLY_PREFIX, '');
      portTaken ||= line.includes(PORT_TAKEN);
      ready ||= line.includes(READY);
      // Once it serves, FATAL is the end of one client's connection, not Postgres's.
      const fatal = line.startsWith('PANIC:') || (!ready && /^(FATAL|postgres):/.test(line));
      if (fatal) lastWords = line;
      log(fatal ? 'error' : /^(FATAL|WARNING):/.test(line) ? 'warn' : 'info', line.replace(/^LOG: +/, ''));
      if (ready) resolve(undefined);
    });
    void exited.then(resolve);
    timer = setTimeout(() => resolve(`not ready within ${START_LIMIT_MS / 1000} s`), START_LIMIT_MS);
  });
  clearTimeout(timer);
  if (problem !== undefined) {
    await stopPostgresIn(folder);
    await allRead;
    if (portTaken) throw new PortTaken(`Port ${port} on 127.0.0.1 is taken by another program.`);
    throw new Error(`Postgres did not start in ${cluster}: ${lastWords || problem}`);
  }

  return {
    port,
    pid: child.pid!,
    exited,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT');
      const harder = () => stopPostgresIn(folder).catch((error: Error) => log('error', error.message));
      const limit = setTimeout(() => void harder(), FAST_SHUTDOWN_MS);
      await exited;
      clearTimeout(limit);
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
