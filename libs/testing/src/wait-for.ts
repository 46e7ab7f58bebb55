import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;
const DEFAULT_LIMIT_MS = 60_000;

/**
 * Asks again and again until `condition` gives something truthy, and returns that. A condition that throws is not met
 * yet. Rejects after `timeoutMs`, naming `what` it waited for and why it was not met.
 */
export async function waitFor<Result>(
  condition: () => Result | Promise<Result>,
  { what, timeoutMs = DEFAULT_LIMIT_MS }: { what: string; timeoutMs?: number },
): Promise<NonNullable<Result>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let unmet: unknown;
    let seen: string;
    try {
      const result = await condition();
      if (result) return result;
      seen = `it gave ${String(result)}`;
    } catch (error) {
      unmet = error;
      seen = `it threw ${String(error)}`;
    }
    if (Date.now() >= deadline) {
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}: ${seen}`, { cause: unmet });
    }
    await delay(POLL_MS);
  }
}
