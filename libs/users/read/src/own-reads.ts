import { setTimeout as delay } from 'node:timers/promises';
import { EventStore, StoreUnavailable, streamOf } from '@balados/event-sourcing';
import { Sql } from '@balados/platform-stores';

/** An own read waits this long for the projections, in milliseconds, before it answers from the folded state. */
export const PROJECTION_WAIT_MS = 250;
const FIRST_PAUSE_MS = 2;

/** Where an own read may be answered from. `stale`: the store is away, and Postgres may be behind. */
export type Source = 'postgres' | 'state' | 'stale';

/**
 * A listener's reads show all that was acknowledged: Postgres when it holds the stream's head, perhaps after a short wait;
 * otherwise the folded state; and when the event store is away, Postgres with a warning.
 */
export async function sourceOf(store: EventStore, sql: Sql, category: string, userId: string): Promise<Source> {
  let head: number;
  try {
    head = await store.head(streamOf(category, userId));
  } catch (error) {
    if (error instanceof StoreUnavailable) return 'stale';
    throw error;
  }
  if (head < 0) return 'postgres';
  const deadline = performance.now() + PROJECTION_WAIT_MS;
  for (let pause = FIRST_PAUSE_MS; ; pause *= 2) {
    const [row] = await sql.query<{ revision: string }[]>(
      'SELECT revision FROM users.listener_revisions WHERE user_id = $1 AND category = $2',
      [userId, category],
    );
    if (row && Number(row.revision) >= head) return 'postgres';
    const left = deadline - performance.now();
    if (left <= 0) return 'state';
    await delay(Math.min(pause, left));
  }
}
