import { setTimeout as delay } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { Context, openPostgres, poolOf, PoolStatus, Sql } from './postgres';

/** Pause before Postgres is tried again, in milliseconds, by a service that has not reached it yet. */
export const CONNECT_AGAIN_MS = 500;
/** Every so many tries it is said that there is none. */
const SAID_EVERY = 20;

/**
 * For a service that has work to do without Postgres: it starts, and until Postgres is there every query fails. Who waits for `tried`,
 * CONNECT_TIMEOUT_MS at most, has it from the start where it is there.
 */
export function openPostgresWhenReached(
  url: string,
  context: Context,
  { service, onWaiting }: { service: string; onWaiting: (reason: string) => void },
): { sql: Sql; tried: Promise<void>; pool(): PoolStatus | undefined; close(): Promise<void> } {
  let hasTried!: () => void;
  const tried = new Promise<void>((resolve) => (hasTried = resolve));
  const closing = new AbortController();
  let reached: DataSource | undefined;
  const connecting = (async () => {
    for (let tries = 0; !closing.signal.aborted; tries += 1) {
      try {
        reached = await openPostgres(url, context, { service }).finally(hasTried);
        return;
      } catch (error) {
        if (tries % SAID_EVERY === 0) onWaiting((error as Error).message);
        await delay(CONNECT_AGAIN_MS, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  })();
  return {
    sql: {
      query: async (statement: string, parameters?: unknown[]) => {
        if (!reached) throw new Error('Postgres has not been reached yet');
        return reached.query(statement, parameters);
      },
    } as Sql,
    tried,
    pool: () => reached && poolOf(reached),
    async close() {
      closing.abort();
      await connecting;
      await reached?.destroy();
    },
  };
}
