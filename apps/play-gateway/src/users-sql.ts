import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@balados/platform-service';
import { openPostgres, Sql } from '@balados/platform-stores';
import { tokenReadContext } from '@balados/users-schema';
import { DataSource } from 'typeorm';

/** Pause before Postgres is tried again, in milliseconds, by a service that has not reached it yet. */
export const CONNECT_AGAIN_MS = 500;

/** Links redirect without Postgres: so the service starts without it, and until it is there every query fails. */
export function openUsersSql(url: string, log: Logger): { sql: Sql; close(): Promise<void> } {
  const closing = new AbortController();
  let users: DataSource | undefined;
  const connecting = (async () => {
    for (let tries = 0; !closing.signal.aborted; tries += 1) {
      try {
        users = await openPostgres(url, tokenReadContext, { service: 'play-gateway' });
        return;
      } catch (error) {
        if (tries % 20 === 0) log.warn({ reason: (error as Error).message }, 'waiting for Postgres');
        await delay(CONNECT_AGAIN_MS, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  })();
  return {
    sql: {
      query: async (statement: string, parameters?: unknown[]) => {
        if (!users) throw new Error('Postgres has not been reached yet');
        return users.query(statement, parameters);
      },
    } as Sql,
    async close() {
      closing.abort();
      await connecting;
      await users?.destroy();
    },
  };
}
