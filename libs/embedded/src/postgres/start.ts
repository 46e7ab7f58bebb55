import { accessSync, chmodSync, constants, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { keepRunning, type Log } from '../keep-running';
import { type Account, accountFor, closedFolder } from './account';
import { findBinaries } from './binaries';
import { ensureCluster, postgresUrl } from './cluster';
import { lockFolder } from './lock';
import { startPostmaster } from './postmaster';
import { postgresProcessesIn, stopPostgresIn } from './processes';

export interface EmbeddedPostgres {
  readonly port: number;
  /** Connection URL of the superuser for a database. It holds the password: never log it. */
  url(database: string): string;
  /** Stops Postgres in order ("fast": open transactions are rolled back) and gives the data directory free. */
  close(): Promise<void>;
}

/**
 * Starts a real PostgreSQL in `dataDirectory` (made when missing) on 127.0.0.1, keeps it running and restarts it on the
 * same port when it dies. What a killed predecessor left running there is stopped first. `port` 0 is any free one;
 * `settings` are Postgres's own and override ours.
 * @throws Error in one clear sentence: directory in use, of another version, not writable, not reachable, port taken
 */
export async function startPostgres(options: {
  dataDirectory: string;
  port?: number;
  settings?: Record<string, string>;
  log: Log;
}): Promise<EmbeddedPostgres> {
  const { port = 0, settings = {}, log } = options;
  const folder = writableFolder(resolve(options.dataDirectory));
  const cluster = join(folder, 'cluster');
  const account = accountFor(cluster);
  refuseClosedFolder(folder, account);

  const lock = await lockFolder(folder, { log });
  try {
    const binaries = findBinaries(folder, account);
    await stopOrphans(folder, log);
    await ensureCluster(folder, binaries, account);
    const start = async (wanted: number) => {
      await stopOrphans(folder, log);
      return startPostmaster(wanted, { folder, cluster, binaries, account, settings, log });
    };
    const postgres = await keepRunning({
      name: 'Postgres',
      start: () => start(port),
      restart: (previous) => start(previous.port),
      log,
    });
    return {
      port: postgres.current().port,
      url: (database) => postgresUrl({ dataDirectory: folder, port: postgres.current().port, database }),
      async close() {
        lock.ending();
        await postgres.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Only the holder of the lock may call this: whatever still runs in the folder has lost its supervisor. */
async function stopOrphans(folder: string, log: Log): Promise<void> {
  const orphans = postgresProcessesIn(folder);
  if (orphans.length > 0) {
    log('warn', `stopping the Postgres that an earlier, killed run left behind (processes ${orphans.join(', ')})`);
    await stopPostgresIn(folder);
  }
  // None of its processes lives. Were its pid another program's by now, Postgres would refuse to start.
  rmSync(join(folder, 'cluster', 'postmaster.pid'), { force: true });
}

function writableFolder(path: string): string {
  try {
    const firstMade = mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK | constants.X_OK);
    // Whatever our umask: started by root, Postgres is another user, who has to enter what we have just made.
    if (firstMade && process.getuid?.() === 0) {
      for (let made = path; made.length >= firstMade.length; made = dirname(made)) chmodSync(made, 0o711);
    }
    return realpathSync(path);
  } catch (error) {
    throw new Error(`The data directory ${path} is not writable: ${(error as Error).message}`, { cause: error });
  }
}

function refuseClosedFolder(folder: string, account: Account): void {
  const closed = closedFolder(folder, account);
  if (!closed) return;
  throw new Error(
    `Postgres does not run as root, and the user (id ${account.uid}) that it runs as may not enter ${closed.folder} ` +
      `(mode ${closed.mode}), on the way to the data directory ${folder}. Set DATA_DIR to a folder that it can reach, ` +
      `such as /var/lib/balados-sync, or open that one (chmod o+x ${closed.folder}), or start as a normal user.`,
  );
}
