import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from './logging';

/** A service that starts waits this long for what it needs, in milliseconds, and then gives up. */
export const START_PATIENCE_MS = 60_000;
const RETRY_MS = 500;

/** Tries until it succeeds; says what it waits for, and rejects with the last error after START_PATIENCE_MS. */
export async function patiently<Result>(log: Logger, what: string, attempt: () => Promise<Result>): Promise<Result> {
  const deadline = Date.now() + START_PATIENCE_MS;
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() >= deadline) throw error;
      if (tries % 10 === 0) log.warn({ reason: (error as Error).message }, `waiting for ${what}`);
      await delay(RETRY_MS);
    }
  }
}
