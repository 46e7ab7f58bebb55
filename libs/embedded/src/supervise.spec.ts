import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Log } from './keep-running';
import { superviseChild } from './supervise';

/** A child that listens, says where, dies when somebody connects, and stops as a child should. */
const SCRIPT = `
  const say = (level, msg, more) => console.log(JSON.stringify({ level, msg, ...more }));
  const server = require('node:net').createServer((socket) => socket.on('error', () => undefined).once('data', () => process.exit(3)));
  server.listen(Number(process.env.CHILD_PORT), '127.0.0.1', () => say('info', 'listening', { port: server.address().port }));
  server.on('error', (error) => { say('error', error.message); process.exit(1); });
  process.on('SIGTERM', () => { say('warn', 'told to stop'); process.exit(0); });
  process.stdin.on('close', () => process.exit(0)).resume();
`;
const IGNORES_SIGTERM = `${SCRIPT} process.removeAllListeners('SIGTERM'); process.on('SIGTERM', () => undefined);`;

interface Line {
  level: string;
  message: string;
}

function logbook(): { log: Log; lines: Line[]; next: (text: string) => Promise<Line> } {
  const lines: Line[] = [];
  const waiting: { text: string; resolve: (line: Line) => void }[] = [];
  const log: Log = (level, message) => {
    lines.push({ level, message });
    for (const { text, resolve } of waiting) if (message.includes(text)) resolve({ level, message });
  };
  return { log, lines, next: (text) => new Promise((resolve) => waiting.push({ text, resolve })) };
}

const options = (script: string, log: Log) => ({
  name: 'child',
  command: process.execPath,
  args: ['-e', script],
  env: { PATH: process.env.PATH, CHILD_PORT: '0' },
  portVariable: 'CHILD_PORT',
  log,
});

async function reach(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('superviseChild', () => {
  it('resolves once the child listens, forwards its log, and stops it in order', async () => {
    const { log, lines } = logbook();
    const listening: number[] = [];
    const child = await superviseChild({ ...options(SCRIPT, log), onListening: ({ port }) => listening.push(port) });
    (await reach(child.port)).destroy();
    expect(listening).toEqual([child.port]);
    const { pid } = child;
    await child.close();
    expect(isAlive(pid)).toBe(false);
    expect(lines).toEqual([
      { level: 'info', message: 'child: listening' },
      { level: 'warn', message: 'child: told to stop' },
    ]);
  });

  it('starts a child that dies again on the port it had, each time', async () => {
    const { log, lines } = logbook();
    const ports: number[] = [];
    let restarted: () => void = () => undefined;
    const onListening = ({ port }: { port: number }) => {
      ports.push(port);
      restarted();
    };
    const child = await superviseChild({ ...options(SCRIPT, log), onListening });
    const pids = [child.pid];
    for (let death = 0; death < 2; death++) {
      const again = new Promise<void>((resolve) => (restarted = resolve));
      (await reach(child.port)).write('die');
      await again;
      (await reach(child.port)).destroy();
      pids.push(child.pid);
    }
    await child.close();
    expect(new Set(ports)).toEqual(new Set([child.port]));
    expect(new Set(pids).size).toBe(3);
    expect(lines.filter(({ level }) => level === 'error')).toEqual(
      Array(2).fill({ level: 'error', message: 'child ended by itself (ended with 3); it is started again' }),
    );
  });

  it('goes on trying when the restart fails, until it is closed', async () => {
    const { log, next } = logbook();
    const script = `if (process.env.CHILD_PORT === '0') { ${SCRIPT} } else { console.log(JSON.stringify({ level: 'error', msg: 'disk full' })); process.exit(1); }`;
    const child = await superviseChild(options(script, log));
    const failed = next('could not be started again');
    (await reach(child.port)).write('die');
    expect((await failed).message).toBe('child could not be started again: child did not start: disk full');
    await next('could not be started again');
    await child.close();
  });

  it('rejects with the last error of a child that does not start', async () => {
    const { log } = logbook();
    const script = `console.log(JSON.stringify({ level: 'error', msg: 'no such directory' })); process.exitCode = 1;`;
    await expect(superviseChild(options(script, log))).rejects.toThrow('child did not start: no such directory');
    const missing = { ...options(SCRIPT, log), command: '/nonexistent' };
    await expect(superviseChild(missing)).rejects.toThrow('child did not start: spawn /nonexistent ENOENT');
  });

  it('kills a child that does not listen in time', async () => {
    const { log } = logbook();
    const silent = { ...options(`console.log(process.pid); setInterval(() => 0, 1000);`, log), listenLimitMs: 300 };
    await expect(superviseChild(silent)).rejects.toThrow('child did not start: not listening within 0.3 s');
  });

  it('kills a child that does not stop in time', async () => {
    const { log } = logbook();
    const child = await superviseChild({ ...options(IGNORES_SIGTERM, log), stopLimitMs: 200 });
    const { pid } = child;
    await child.close();
    expect(isAlive(pid)).toBe(false);
  });

  it('gives the child a stdin that ends when we are killed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'supervise-'));
    const bundle = join(folder, 'supervise.cjs');
    const rolldown = join(dirname(require.resolve('rolldown/package.json')), 'bin/cli.mjs');
    const source = join(__dirname, 'supervise.ts');
    execFileSync(process.execPath, [rolldown, source, '--platform', 'node', '--format', 'cjs', '--file', bundle]);
    const { log: _log, ...toChild } = options(SCRIPT, () => undefined);
    const script = `require(${JSON.stringify(bundle)})
      .superviseChild({ ...${JSON.stringify(toChild)}, log: () => undefined })
      .then(({ port }) => console.log(port));`;
    const parent = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [port] = (await once(parent.stdout, 'data')) as [Buffer];
    const socket = await reach(Number(port));
    const childGone = once(socket.resume(), 'close');
    parent.kill('SIGKILL');
    await childGone;
    rmSync(folder, { recursive: true });
  });
});
