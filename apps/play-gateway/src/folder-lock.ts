import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@balados/platform-service';

/** A process waits this long for the one before it to let go of a folder, in milliseconds. */
export const LOCK_PATIENCE_MS = 40_000;
const POLL_MS = 100;

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
  const deadline = Date.now() + patienceMs;
  for (let waited = false; ; waited = true) {
    const server = createServer((socket) => socket.destroy());
    try {
      await once(server.listen(path), 'listening');
      server.unref();
      return { release: async () => void (await new Promise((resolve) => server.close(resolve))) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') {
        // A file system without sockets, or too long a path.
        log.warn({ err: error }, `no other process may use ${folder}, which cannot be locked`);
        return { release: async () => undefined };
      }
    }
    if (!(await answers(path))) await rm(path, { force: true });
    else if (Date.now() >= deadline) throw new Error(`The folder ${folder} is in use by another running play-gateway.`);
    else {
      if (!waited) log.warn(`another process still uses the folder ${folder}; waiting for it to end`);
      await delay(POLL_MS);
    }
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
