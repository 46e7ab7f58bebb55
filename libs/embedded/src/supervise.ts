import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { keepRunning, type Log, type Running } from './keep-running';

/** How long a child may take until it listens; a database replays its log after a crash. */
export const LISTEN_LIMIT_MS = 180_000;
/** How long a child may take to stop in order before it is killed; longer than Postgres's own fast shutdown. */
export const STOP_LIMIT_MS = 45_000;

export interface SuperviseOptions {
  /** For the log, as in "postgres". */
  name: string;
  command: string;
  args: string[];
  /** The child's whole environment. */
  env: NodeJS.ProcessEnv;
  /** The variable that tells the child its port: a restarted child gets the one it had, so that clients reconnect. */
  portVariable: string;
  log: Log;
  /** Called at the first start and after each restart with what the child said. */
  onListening?: (line: { port: number }) => void;
  listenLimitMs?: number;
  stopLimitMs?: number;
}

export interface SupervisedChild {
  readonly port: number;
  /** Pid of the process that runs now. */
  readonly pid: number;
  /** SIGTERM, and after the limit SIGKILL. Resolves when the child is gone. */
  close(): Promise<void>;
}

interface Child extends Running {
  port: number;
  pid: number;
}

/**
 * Runs a child process that prints JSON lines {level, msg, …} and says {msg: "listening", port} once it serves.
 * The child holds the read end of a pipe as its stdin, which ends when we die, however we die. It is restarted on its
 * port when it dies.
 * @throws Error with the child's last error when its first start fails or exceeds the limit
 */
export async function superviseChild(options: SuperviseOptions): Promise<SupervisedChild> {
  const { name, env, portVariable, log } = options;
  const children = await keepRunning({
    name,
    start: () => startChild(options, env),
    restart: (previous) => startChild(options, { ...env, [portVariable]: `${previous.port}` }),
    log,
  });
  return {
    get port() {
      return children.current().port;
    },
    get pid() {
      return children.current().pid;
    },
    close: children.close,
  };
}

async function startChild(options: SuperviseOptions, env: NodeJS.ProcessEnv): Promise<Child> {
  const { name, command, args, log, listenLimitMs = LISTEN_LIMIT_MS, stopLimitMs = STOP_LIMIT_MS } = options;
  const child = spawn(command, args, { env: { ...env, BALADOS_SUPERVISED: '1' }, stdio: 'pipe' });
  child.stdin.on('error', () => undefined); // it ended first; `exited` tells
  let lastError = '';
  const exited = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    // Not "exit": by "close" its last words have been read.
    child.on('close', (code, signal) => resolve(`ended with ${signal ?? code}`));
  });
  const stop = async () => {
    child.kill('SIGTERM');
    const limit = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
    await exited;
    clearTimeout(limit);
  };

  createInterface({ input: child.stderr }).on('line', (line) => log('warn', `${name}: ${line}`));
  let limit: NodeJS.Timeout | undefined;
  const outcome = await new Promise<{ port: number } | string>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = parseLine(text);
      if (line.level === 'error') lastError = line.msg;
      log(line.level, `${name}: ${line.msg}`, line.fields);
      if (line.msg === 'listening') resolve({ port: Number(line.fields.port) });
    });
    void exited.then(resolve);
    limit = setTimeout(() => resolve(`not listening within ${listenLimitMs / 1000} s`), listenLimitMs);
  });
  clearTimeout(limit);
  if (typeof outcome === 'string') {
    await stop();
    throw new Error(`${name} did not start: ${lastError || outcome}`);
  }
  options.onListening?.(outcome);
  return { port: outcome.port, pid: child.pid!, exited, stop };
}

function parseLine(text: string): { level: 'info' | 'warn' | 'error'; msg: string; fields: Record<string, unknown> } {
  try {
    const { level, msg, ...fields } = JSON.parse(text) as Record<string, unknown>;
    return { level: level === 'error' || level === 'warn' ? level : 'info', msg: String(msg), fields };
  } catch {
    return { level: 'info', msg: text, fields: {} };
  }
}

/**
 * The other side: the whole life of a child process. Starts the service, says where it listens, and closes it on
 * SIGTERM or, supervised, when the parent is gone. Supervised, it leaves Ctrl-C to the parent. A service that resolves `failed`
 * cannot go on: it is closed, and the process ends with 1.
 */
export async function runAsChild(
  start: (log: Log) => Promise<{ port: number; failed?: Promise<Error>; close(): Promise<void> }>,
): Promise<void> {
  const log: Log = (level, msg, fields) => process.stdout.write(`${JSON.stringify({ level, msg, ...fields })}\n`);
  // Nobody may be there to read our last lines; that must not keep us from stopping in order.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  const supervised = process.env.BALADOS_SUPERVISED === '1';
  const toldToStop = new Promise<string>((resolve) => {
    process.on('SIGTERM', () => resolve('SIGTERM'));
    for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => supervised || resolve(signal));
    if (supervised)
      process.stdin
        .on('error', () => undefined)
        .on('close', () => resolve('the parent is gone'))
        .resume();
  });
  try {
    const service = await start(log);
    log('info', 'listening', { port: service.port });
    const reason = await Promise.race(service.failed ? [toldToStop, service.failed] : [toldToStop]);
    log('info', `stopping (${reason instanceof Error ? reason.message : reason})`);
    await service.close();
    if (reason instanceof Error) throw reason;
    process.exit(0);
  } catch (error) {
    log('error', (error as Error).message);
    process.exit(1);
  }
}
