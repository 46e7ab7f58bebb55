import { ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '@balados/testing';
import { unpackDebian } from './debian';
import { report } from './limits';
import type { ServiceName } from './logins';

const TEMPLATE = 'deploy/nginx/nginx.conf.template';
/** As in compose: a server that has refused once is left alone for a second. */
const HEALTH = 'max_fails=1 fail_timeout=1s';

/** The services that the proxy passes requests to. */
export const PROXIED = [
  'command-api',
  'public-api',
  'rss-proxy',
  'play-gateway',
  'jobs',
] as const satisfies ServiceName[];

/** There is no nginx, and none could be got. */
export class NoNginx extends Error {}

/**
 * Path of a nginx: the one that is installed, or Debian's, whose package is fetched by apt and unpacked beside our own, without installing
 * anything. @throws NoNginx
 */
export function findNginx(say: (text: string) => void = () => undefined): string {
  const [installed] = [...(process.env.PATH ?? '').split(':'), '/usr/sbin']
    .map((folder) => join(folder, 'nginx'))
    .filter((path) => existsSync(path));
  if (installed) return installed;
  try {
    const unpacked = join(unpackDebian(['nginx'], say), 'usr/sbin/nginx');
    execFileSync(unpacked, ['-v'], { stdio: 'ignore' });
    return unpacked;
  } catch (error) {
    throw new NoNginx(
      `There is no nginx: ${(error as Error).message}. ` +
        'Install it, such as by `apt-get install nginx-light`, or put it on the PATH.',
    );
  }
}

/** Where a nginx is; undefined where there is none, which is said once. For suites that want one. */
export function nginxOrNone(): string | undefined {
  try {
    return findNginx();
  } catch (error) {
    report(`skipped: ${(error as Error).message}`);
    return undefined;
  }
}

/** nginx as a template's variables have it: ports of 127.0.0.1 for each service. */
export interface NginxOptions {
  /** Its own, for its configuration and what it sets aside. */
  folder: string;
  listen: string;
  playHost: string;
  servers: Record<(typeof PROXIED)[number], readonly number[]>;
}

/** Writes the configuration that docker-compose.yml uses, filled in for processes of this machine. @returns its path */
export function renderNginx({ folder, listen, playHost, servers }: NginxOptions): string {
  const values: Record<string, string> = { LISTEN: listen, PLAY_HOST: playHost, RESOLVER: '' };
  for (const name of PROXIED)
    values[`${name.toUpperCase().replace('-', '_')}_SERVERS`] = servers[name]
      .map((port) => `server 127.0.0.1:${port} ${HEALTH};`)
      .join(' ');
  const text = readFileSync(TEMPLATE, 'utf8').replace(/\$\{([A-Z_]+)\}/g, (_, name: string) => {
    if (!(name in values)) throw new Error(`the template wants ${name}`);
    return values[name]!;
  });
  mkdirSync(folder, { recursive: true });
  // Started by root, its workers are somebody else, who must come through.
  chmodSync(folder, 0o711);
  const path = join(folder, 'nginx.conf');
  writeFileSync(path, text);
  return path;
}

/** The reverse proxy as a process. */
export class Nginx {
  private child: ChildProcess | undefined;
  private said = '';

  private constructor(
    private readonly program: string,
    private readonly options: NginxOptions,
  ) {}

  /** @throws NoNginx; Error with what nginx says of the configuration */
  static async start(options: NginxOptions): Promise<Nginx> {
    const nginx = new Nginx(findNginx(), options);
    nginx.check();
    await nginx.run();
    return nginx;
  }

  /** @throws Error with what nginx says of the configuration */
  check(): void {
    const { status, stderr } = spawnSync(this.program, [...this.arguments(), '-t'], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`nginx does not take its configuration:\n${stderr}`);
  }

  private arguments(): string[] {
    const path = renderNginx(this.options);
    const user = userInfo().uid === 0 && !hasUser('www-data') ? ' user root;' : '';
    return ['-p', this.options.folder, '-c', path, '-e', 'stderr', '-g', `daemon off;${user}`];
  }

  private async run(): Promise<void> {
    const [host, port] = this.options.listen.split(':') as [string, string];
    const child = spawn(this.program, this.arguments(), {
      stdio: ['ignore', 'ignore', 'pipe'],
      // Ctrl-C is for whoever started it.
      detached: true,
    });
    this.child = child;
    child.stderr.on('data', (text) => (this.said += text));
    await waitFor(
      async () => {
        if (child.exitCode !== null) throw new Error(`nginx ended: ${this.said}`);
        return isListening(Number(port), host);
      },
      { what: `nginx to listen on ${this.options.listen}`, timeoutMs: 20_000 },
    );
  }

  /** Finishes what is under way. */
  async stop(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // Connections that clients keep open would hold a graceful end for as long as they like.
    child.kill('SIGTERM');
    await ended;
  }
}

const hasUser = (name: string): boolean =>
  existsSync('/etc/passwd') && readFileSync('/etc/passwd', 'utf8').includes(`\n${name}:`);

const isListening = (port: number, host: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
