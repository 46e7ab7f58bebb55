import { ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

/** A process must listen within this time, in milliseconds. */
const LISTEN_LIMIT_MS = 60_000;
/** The last lines of a process's log that are kept: some are shown when a test fails, and a test may read what was done in a minute or two. */
const LINES_KEPT = 5_000;

/** One of our programs as its own process, as an operator runs it: environment in, JSON lines out. */
export class ServiceProcess {
  private child: ChildProcess | undefined;
  private exited: Promise<number | null> = Promise.resolve(null);
  readonly lines: string[] = [];
  port = 0;

  constructor(
    readonly name: string,
    private readonly entry: string,
    private readonly env: Record<string, string>,
    /**
     * `ownGroup`: leads a process group, as what a terminal starts does. `root`: the folder that has dist/apps, where it runs; ours unless
     * said, in which all our commands run.
     */
    private readonly options: { ownGroup?: boolean; root?: string } = {},
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.child!.pid!;
  }

  /** Resolves when the process is gone: its exit code, null when a signal ended it. */
  get ended(): Promise<number | null> {
    return this.exited;
  }

  /** Started again it listens where it did. */
  async start(): Promise<this> {
    const { root = resolve('.') } = this.options;
    const child = spawn(process.execPath, ['--enable-source-maps', `${root}/dist/apps/${this.entry}.js`], {
      cwd: root,
      env: { PATH: process.env.PATH, HOST: '127.0.0.1', LOG_LEVEL: 'info', ...this.env, PORT: String(this.port) },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: this.options.ownGroup ?? false,
    });
    this.child = child;
    this.exited = new Promise((resolve) => child.on('close', (code) => resolve(code)));
    createInterface({ input: child.stderr! }).on('line', (line) => this.keep(line));
    const listening = new Promise<number>((resolve) => {
      createInterface({ input: child.stdout! }).on('line', (line) => {
        this.keep(line);
        const { msg, port } = parse(line);
        if (msg === 'listening' && port) resolve(port);
      });
    });
    const port = await Promise.race([listening, this.exited.then(() => 0), after(LISTEN_LIMIT_MS)]);
    if (!port) {
      child.kill('SIGKILL');
      throw new Error(`${this.name} does not listen:\n${this.lines.join('\n')}`);
    }
    this.port = port;
    return this;
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /** To the process and all of its group, as Ctrl-C on a terminal; needs `ownGroup`. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  /** As a power cut would. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** In order, after which it does not live on for longer than LISTEN_LIMIT_MS; answers the exit code. */
  async stop(): Promise<number | null> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    return this.waitUntilEnded();
  }

  /** @throws Error when it lives on after LISTEN_LIMIT_MS; it is killed then */
  async waitUntilEnded(): Promise<number | null> {
    const code = await Promise.race([this.exited, after(LISTEN_LIMIT_MS).then(() => -1)]);
    if (code === -1) {
      await this.kill();
      throw new Error(`${this.name} does not stop:\n${this.lines.join('\n')}`);
    }
    return code;
  }

  private keep(line: string): void {
    this.lines.push(line);
    if (this.lines.length > LINES_KEPT) this.lines.shift();
  }
}

function parse(line: string): { msg?: string; port?: number } {
  try {
    return JSON.parse(line) as { msg?: string; port?: number };
  } catch {
    return {};
  }
}

const after = (milliseconds: number): Promise<0> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(0), milliseconds).unref();
  });
