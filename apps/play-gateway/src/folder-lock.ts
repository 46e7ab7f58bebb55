import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { link, mkdir, rm, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@balados/platform-service';

/** A process waits this long for the one before it to let go of a folder, in milliseconds. */
export const LOCK_PATIENCE_MS = 40_000;
const POLL_MS = 100;
/** Who saw the lock of a process that is gone removes it within this time, in milliseconds: by then it may be ours. */
const SETTLED_AFTER_MS = 150;

/**
 * Takes a folder for this process: one that another still writes to would be worked off and removed under its hands. The lock is a socket
 * in the folder, which answers for as long as its process lives, in whatever container of the machine.
 * @throws Error when a live process goes on to hold it
 */
export async function lockFolder(
  folder: string,
  { log, patienceMs = LOCK_PATIENCE_MS }: { log: Logger; patienceMs?: number },
): Promise<{ release(): Promise<void> }> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, 'lock');
  const own = `${path}.${randomBytes(4).toString('hex')}`;
  const deadline = Date.now() + patienceMs;
  const server = createServer((socket) => socket.destroy());
  try {
    await once(server.listen(own), 'listening');
    server.unref();
    const { ino } = await stat(own);
    const isOurs = async (): Promise<boolean> => (await stat(path).catch(() => undefined))?.ino === ino;
    for (let waited = false; ;) {
      if (await taken(own, path)) {
        await delay(SETTLED_AFTER_MS);
        if (await isOurs()) break;
      } else if (!(await answers(path))) await rm(path, { force: true });
      else if (Date.now() >= deadline) throw new InUse(folder);
      else {
        if (!waited) log.warn(`another process still uses the folder ${folder}; waiting for it to end`);
        waited = true;
        await delay(POLL_MS);
      }
    }
    await rm(own, { force: true });
    return {
      release: async () => {
        if (await isOurs()) await rm(path, { force: true });
        await new Promise((resolve) => server.close(resolve));
      },
    };
  } catch (error) {
    server.close();
    if (error instanceof InUse) throw error;
    // A file system without sockets or links, or too long a path.
    log.warn({ err: error }, `no other process may use ${folder}, which cannot be locked`);
    return { release: async () => undefined };
  }
}

class InUse extends Error {
  constructor(folder: string) {
    super(`The folder ${folder} is in use by another running play-gateway.`);
  }
}

/** Of all who give it this name one succeeds. */
async function taken(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Whether somebody listens: nobody does at the socket of a process that is gone. */
async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
