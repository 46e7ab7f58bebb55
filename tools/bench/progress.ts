import { setTimeout as delay } from 'node:timers/promises';
import { streamOf } from '@balados/event-sourcing';
import { Pool } from 'pg';
import { Listener } from './listeners';
import { connect, disconnect, lengthOf } from './raw-client';
import { Running } from './systems';

const POLL_MS = 50;
/** Nothing more may come for this long. */
const LIMIT_MS = 120_000;

/** How far a stream is to have come into the read models. */
export interface Mark {
  userId: string;
  category: string;
  revision: number;
}

/**
 * Waits until the read models of a context hold these streams up to their marks.
 * @returns when the first of them had come in, and when the last one had (times of `performance.now()`)
 */
export async function projected(
  database: string,
  context: 'users' | 'site_private',
  marks: readonly Mark[],
): Promise<{ first: number; last: number }> {
  const pool = new Pool({ connectionString: database, max: 1 });
  const columns = [
    marks.map(({ userId }) => userId),
    marks.map(({ category }) => category),
    marks.map(({ revision }) => revision),
  ];
  let limit = performance.now() + LIMIT_MS;
  let first: number | undefined;
  let most = 0;
  try {
    for (;;) {
      const { rows } = await pool.query<{ begun: number; done: number; failed: string | null }>(
        `SELECT count(held.revision)::int AS begun, (count(*) FILTER (WHERE held.revision >= mark.revision))::int AS done,
           (SELECT max(failed_reason) FROM ${context}.projector_segments) AS failed
         FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS mark (user_id, category, revision)
         LEFT JOIN ${context}.listener_revisions AS held USING (user_id, category)`,
        columns,
      );
      const now = performance.now();
      const { begun, done, failed } = rows[0]!;
      if (failed) throw new Error(`a projector has stopped: ${failed}`);
      if (begun > 0) first ??= now;
      if (done === marks.length) return { first: first ?? now, last: now };
      if (done > most) [most, limit] = [done, now + LIMIT_MS];
      if (now > limit) throw new Error(`${context} holds ${done} of ${marks.length} streams after ${LIMIT_MS} ms`);
      await delay(POLL_MS);
    }
  } finally {
    await pool.end();
  }
}

/** Waits until what these listeners have played is in the read models, so that the next figure starts on a quiet system. */
export async function settled({ database, eventStore }: Running, listeners: readonly Listener[]): Promise<number> {
  const store = connect(eventStore);
  try {
    const lengths = await Promise.all(listeners.map(({ userId }) => lengthOf(store, streamOf('listening', userId))));
    const marks = listeners.map(({ userId }, index) => ({
      userId,
      category: 'listening',
      revision: lengths[index]! - 1,
    }));
    await projected(
      database,
      'users',
      marks.filter(({ revision }) => revision >= 0),
    );
    return lengths.reduce((sum, length) => sum + length, 0);
  } finally {
    await disconnect(store);
  }
}
