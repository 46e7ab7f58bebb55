import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Limits } from './limits';
import type { Log } from './model';
import { migrate, WRITER_LOCK } from './schema';

/** Milliseconds between two attempts to reach Postgres. */
const RETRY_MS = 200;
/** Postgres' code for a lock that was not granted within `lock_timeout`. */
const LOCK_NOT_AVAILABLE = '55P03';

/** Planner settings of every connection: our statements all walk an index, and plans must not rest on an empty table's. */
export const SESSION =
  '-c jit=off -c enable_seqscan=off -c enable_sort=off -c enable_bitmapscan=off -c plan_cache_mode=force_generic_plan';

/**
 * The one connection that may write: it holds the lock, and the lock ends with it. So whatever was under way on an
 * earlier connection is decided once this one is open. Migrates the schema.
 * Rejects when it is not wanted any more, when Postgres stays away for `connectMs`, or another server keeps the lock for `lockMs`.
 */
export async function openWriterConnection(
  databaseUrl: string,
  limits: Pick<Limits, 'connectMs' | 'lockMs'>,
  log: Log,
  wanted: () => boolean = () => true,
): Promise<Client> {
  const until = Date.now() + limits.connectMs;
  for (;;) {
    const client = new Client({
      connectionString: databaseUrl,
      application_name: 'eventstore writer',
      connectionTimeoutMillis: limits.connectMs,
      keepAlive: true,
      options: `${SESSION} -c synchronous_commit=on -c lock_timeout=${limits.lockMs}`,
    });
    // Without a listener a lost connection would end the process; whoever uses the client notices by its queries.
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query(`SELECT pg_advisory_lock(${WRITER_LOCK})`);
      await client.query('SET lock_timeout = 0');
      await migrate(client);
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      const { code, message } = error as { code?: string; message: string };
      if (code === LOCK_NOT_AVAILABLE)
        throw new Error(`another event store writes to this database and kept its lock for ${limits.lockMs} ms`, {
          cause: error,
        });
      if (Date.now() >= until || !wanted())
        throw new Error(`Postgres was not usable for ${limits.connectMs} ms: ${message}`, { cause: error });
      log('warn', 'Postgres is not usable, trying again', { error: message });
      await sleep(RETRY_MS);
    }
  }
}
