import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'pg';

const POLL_MS = 25;

/**
 * Waits until every projector of both contexts stands at `position` or beyond.
 * @returns the times at which the first of them had moved beyond `from`, and at which the last was there
 */
export async function projectedTo(
  database: string,
  { from, position, limitMs }: { from: bigint; position: bigint; limitMs: number },
): Promise<{ firstMoved: number; done: number }> {
  const pool = new Pool({ connectionString: database, max: 1 });
  const limit = performance.now() + limitMs;
  let firstMoved: number | undefined;
  try {
    for (;;) {
      const { rows } = await pool.query<{ least: string | null; most: string | null; failed: string | null }>(
        `SELECT min(coalesce(position, -1)) AS least, max(position) AS most, max(failed_reason) AS failed
         FROM (SELECT position, failed_reason FROM users.projector_segments
               UNION ALL SELECT position, failed_reason FROM site_private.projector_segments) AS segments`,
      );
      const now = performance.now();
      const { least, most, failed } = rows[0]!;
      if (failed) throw new Error(`a projector has stopped: ${failed}`);
      if (most !== null && BigInt(most) > from) firstMoved ??= now;
      if (least !== null && BigInt(least) >= position) return { firstMoved: firstMoved ?? now, done: now };
      if (now > limit) throw new Error(`the projectors stand at ${least}, not ${position}, after ${limitMs} ms`);
      await delay(POLL_MS);
    }
  } finally {
    await pool.end();
  }
}
