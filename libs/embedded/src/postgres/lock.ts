import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../keep-running';
import { processIdentity } from './processes';

/** How long we wait for a holder that may just be ending, such as the one of a crashed predecessor. */
export const LOCK_PATIENCE_MS = 10_000;
const POLL_MS = 50;

/**
 * Takes the folder for this process. The lock of a process that is gone (also when its pid was given to another one)
 * is taken over. One machine only: processes of another container on the same volume are not seen.
 * @throws Error when a live process holds it and goes on to hold it for `patienceMs`
 */
export async function lockFolder(
  folder: string,
  { patienceMs = LOCK_PATIENCE_MS, log }: { patienceMs?: number; log: Log },
): Promise<{ release: () => void }> {
  const lock = join(folder, 'supervisor.lock');
  const mine = JSON.stringify({ pid: process.pid, identity: processIdentity(process.pid) });
  const deadline = Date.now() + patienceMs;
  for (let waited = false; ;) {
    if (created(lock, mine)) return { release: () => rmSync(lock, { force: true }) };
    const content = read(lock);
    if (content === undefined) continue;
    const holder = livePid(content);
    if (holder === undefined) {
      removeStale(lock, content);
      continue;
    }
    if (holder === process.pid || Date.now() > deadline) {
      throw new Error(`The data directory ${folder} is in use by another running Balados Sync (process ${holder}).`);
    }
    if (!waited) log('warn', `process ${holder} still uses the data directory ${folder}; waiting for it to end`);
    waited = true;
    await delay(POLL_MS);
  }
}

/** A lock appears whole or not at all: written aside, then linked. */
function created(lock: string, content: string): boolean {
  const aside = `${lock}.${process.pid}`;
  writeFileSync(aside, content, { mode: 0o644 });
  try {
    linkSync(aside, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(aside, { force: true });
  }
}

function read(lock: string): string | undefined {
  try {
    return readFileSync(lock, 'utf8');
  } catch {
    return undefined;
  }
}

function livePid(content: string): number | undefined {
  try {
    const { pid, identity } = JSON.parse(content) as { pid: number; identity: string };
    return processIdentity(pid) === identity ? pid : undefined;
  } catch {
    return undefined; // torn by a power cut
  }
}

function removeStale(lock: string, seen: string): void {
  const aside = `${lock}.${process.pid}.stale`;
  try {
    renameSync(lock, aside);
    // Another starter may have been quicker, and this is its new lock: give it back.
    if (readFileSync(aside, 'utf8') !== seen) linkSync(aside, lock);
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}
