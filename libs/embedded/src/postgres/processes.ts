import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join, sep } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** How long a fast shutdown may take: it rolls back what is open and writes a checkpoint. */
export const FAST_SHUTDOWN_MS = 30_000;
const IMMEDIATE_SHUTDOWN_MS = 5_000;
const KILL_MS = 5_000;
const POLL_MS = 20;

const PROGRAMS = new Set(['postgres', 'initdb']);

/** Identifies a live process: a string that another process with the same pid does not share; else undefined. */
export function processIdentity(pid: number): string | undefined {
  if (process.platform !== 'linux') {
    return spawnSync('ps', ['-o', 'lstart=', '-p', `${pid}`], { encoding: 'utf8' }).stdout?.trim() || undefined;
  }
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    // The name in brackets may itself hold blanks and brackets; the state is the first field after it, the start the 20th.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(')').at(-1)!.trim().split(' ');
    return fields[0] === 'Z' ? undefined : `${boot} ${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** The processes of Postgres that work in `folder` (a real path) or below it, whoever started them. */
export function postgresProcessesIn(folder: string): number[] {
  if (process.platform !== 'linux') return fromPidFile(folder);
  const inside = (path: string) => path === folder || path.startsWith(folder + sep);
  return readdirSync('/proc')
    .filter((name) => {
      try {
        return (
          /^\d+$/.test(name) &&
          PROGRAMS.has(readFileSync(`/proc/${name}/comm`, 'utf8').trim()) &&
          inside(readlinkSync(`/proc/${name}/cwd`))
        );
      } catch {
        return false; // it has ended, or it is somebody else's
      }
    })
    .map(Number);
}

/** Without /proc: the postmaster that the pid file names, if the process of that number is one of this folder. */
function fromPidFile(folder: string): number[] {
  const pid = postmasterPid(join(folder, 'cluster'));
  if (!pid) return [];
  const command = spawnSync('ps', ['-ww', '-o', 'command=', '-p', `${pid}`], { encoding: 'utf8' }).stdout ?? '';
  return command.includes('postgres') && command.includes(folder) ? [pid] : [];
}

/** The pid that the cluster's postmaster.pid names; it may long be another process's. */
export function postmasterPid(cluster: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(join(cluster, 'postmaster.pid'), 'utf8'), 10) || undefined;
  } catch {
    return undefined;
  }
}

/**
 * Ends every process of Postgres in `folder`: in order where a postmaster leads them, else at once.
 * Resolves when none is left; rejects when even SIGKILL did not help.
 */
export async function stopPostgresIn(folder: string): Promise<void> {
  const postmaster = postmasterPid(join(folder, 'cluster'));
  const led = postgresProcessesIn(folder).filter((pid) => pid === postmaster);
  send(led, 'SIGINT');
  if (led.length > 0 && (await gone(folder, FAST_SHUTDOWN_MS))) return;
  send(postgresProcessesIn(folder), 'SIGQUIT');
  if (await gone(folder, IMMEDIATE_SHUTDOWN_MS)) return;
  send(postgresProcessesIn(folder), 'SIGKILL');
  if (await gone(folder, KILL_MS)) return;
  throw new Error(`Processes of Postgres in ${folder} do not end: ${postgresProcessesIn(folder).join(', ')}`);
}

function send(pids: number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

async function gone(folder: string, limitMs: number): Promise<boolean> {
  const deadline = Date.now() + limitMs;
  while (postgresProcessesIn(folder).length > 0) {
    if (Date.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}
