import { setTimeout as delay } from 'node:timers/promises';

export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;

/** A process that runs. `exited` resolves, never rejects, with a few words on how it ended. */
export interface Running {
  readonly exited: Promise<string>;
  stop(): Promise<void>;
}

const FIRST_RESTART_DELAY_MS = 100;
const LONGEST_RESTART_DELAY_MS = 10_000;
/** What has run this long was healthy: its next death is restarted without the backoff of earlier ones. */
const HEALTHY_AFTER_MS = 60_000;

/**
 * Starts something once, and again with a growing delay whenever it ends by itself.
 * The first start must succeed, its error is the caller's. `restart` is given what ran before.
 */
export async function keepRunning<Process extends Running>(options: {
  name: string;
  start: () => Promise<Process>;
  restart: (previous: Process) => Promise<Process>;
  log: Log;
}): Promise<{ current: () => Process; close: () => Promise<void> }> {
  const { name, log } = options;
  const closing = new AbortController();
  let current = await options.start();

  const watch = async () => {
    let failures = 0;
    for (;;) {
      const startedAt = Date.now();
      const reason = await current.exited;
      if (closing.signal.aborted) return;
      if (Date.now() - startedAt > HEALTHY_AFTER_MS) failures = 0;
      log('error', `${name} ended by itself (${reason}); it is started again`);
      for (;;) {
        const delayMs = Math.min(FIRST_RESTART_DELAY_MS * 2 ** failures, LONGEST_RESTART_DELAY_MS);
        await delay(delayMs, undefined, { signal: closing.signal }).catch(() => undefined);
        if (closing.signal.aborted) return;
        failures += 1;
        try {
          current = await options.restart(current);
          if (closing.signal.aborted) return await current.stop();
          break;
        } catch (error) {
          log('error', `${name} could not be started again: ${(error as Error).message}`);
        }
      }
    }
  };
  const watching = watch();

  return {
    current: () => current,
    async close() {
      closing.abort();
      await current.stop();
      await watching; // a restart that is under way ends first, and stops what it brought up
    },
  };
}
