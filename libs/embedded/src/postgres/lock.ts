import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../keep-running';
import { processIdentity } from './processes';

/** How long we wait for a live holder: that of a predecessor that has just been killed is about to notice. */
const PATIENCE_MS = 3_000;
/** How long for one that says it is ending: a shutdown in order writes a checkpoint. */
const ENDING_PATIENCE_MS = 40_000;
const POLL_MS = 50;

export interface FolderLock {
  /** Tells whoever waits for the folder that it is worth waiting. */
  ending(): void;
  release(): void;
}

interface Holder {
  pid: number;
  /** Of the process, since its number may be given to another one after its death. */
  identity: string | undefined;
  ending: boolean;
}

/**
 * Takes the folder for this process. The lock of a process that is gone (also when its pid was given to another one)
 * is taken over. One machine only: processes of another container on the same volume are not seen.
 * @throws Error when a live process holds it and goes on to hold it for `patienceMs`
 */
export async function lockFolder(
  folder: string,
  { patienceMs = PATIENCE_MS, log }: { patienceMs?: number; log: Log },
): Promise<FolderLock> {
  const lock = join(folder, 'supervisor.lock');
  const mine: Holder = { pid: process.pid, identity: processIdentity(process.pid), ending: false };
  const since = Date.now();
  for (let waited = false; ;) {
    if (created(lock, JSON.stringify(mine))) {
      const ending = () => replace(lock, JSON.stringify({ ...mine, ending: true }));
      return { ending, release: () => rmSync(lock, { force: true }) };
    }
    const content = read(lock);
    if (content === undefined) continue;
    const holder = liveHolder(content);
    if (holder === undefined) {
      removeStale(lock, content);
      continue;
    }
    const { pid, ending } = holder;
    const patience = ending ? ENDING_PATIENCE_MS : pid === process.pid ? 0 : patienceMs;
    if (Date.now() - since >= patience) {
      throw new Error(`The data directory ${folder} is in use by another running Balados Sync (process ${pid}).`);
    }
    if (!waited) log('warn', `process ${pid} still uses the data directory ${folder}; waiting for it to end`);
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

function replace(lock: string, content: string): void {
  const aside = `${lock}.${process.pid}`;
  writeFileSync(aside, content, { mode: 0o644 });
  renameSync(aside, lock);
}

function read(lock: string): string | undefined {
  try {
    return readFileSync(lock, 'utf8');
  } catch {
    return undefined;
  }
}

function liveHolder(content: string): Holder | undefined {
  try {
    const holder = JSON.parse(content) as Holder;
    return processIdentity(holder.pid) === holder.identity ? holder : undefined;
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
