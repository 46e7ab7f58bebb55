import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

/** Of a tick of /proc, in milliseconds: USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

/** Milliseconds of processor time that each kind of process below this one has used so far; empty where there is no /proc. */
export function processorTimes(): Map<string, number> {
  const times = new Map<string, number>();
  const processes = new Map<number, { parent: number; ticks: number }>();
  for (const pid of pids()) {
    const fields = read(`/proc/${pid}/stat`)
      ?.replace(/^.*\) /s, '')
      .split(' ');
    if (fields) processes.set(pid, { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) });
  }
  const isOurs = (pid: number): boolean => {
    const parent = processes.get(pid)?.parent;
    return parent !== undefined && (parent === process.pid || isOurs(parent));
  };
  for (const [pid, { ticks }] of processes) {
    if (!isOurs(pid)) continue;
    const name = nameOf(pid);
    times.set(name, (times.get(name) ?? 0) + ticks * TICK_MS);
  }
  return times;
}

/** `command-api 0.71, postgres 0.35 ms`: of each request, the dearest first. */
export function timePerRequest(before: Map<string, number>, after: Map<string, number>, requests: number): string {
  const shares = [...after]
    .map(([name, time]) => [name, (time - (before.get(name) ?? 0)) / requests] as const)
    .filter(([, time]) => time >= 0.01)
    .sort(([, one], [, two]) => two - one);
  return shares.map(([name, time]) => `${name} ${time.toFixed(2)}`).join(', ');
}

function pids(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/** The program that Node runs, or the command itself. */
function nameOf(pid: number): string {
  const [command = '', ...args] = (read(`/proc/${pid}/cmdline`) ?? '').split('\0');
  const program = args.find((argument) => argument.endsWith('.js'));
  return program
    ? program.replace(/^.*\/dist\/(apps|tools)\//, '').replace(/(\/main)?\.js$/, '')
    : basename(command.split(' ')[0]!).replace(/:$/, '');
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
