import { findCheckpoint, streamOf, takeCheckpoint, TooContended } from '@balados/event-sourcing';
import { compaction, usersEvents } from '@balados/users-contracts';
import type { ListenerStreams } from '@balados/users-write';
import type { DataSource } from 'typeorm';
import { isProjected, unlessGone } from './erasures';

/** Streams that get a checkpoint in one run, and that are cut in one; the others wait for the next. */
export const CHECKPOINTS_MAX = 2_000;
export const CUTS_MAX = 5_000;
/** No checkpoint is begun later than this in a run, and nothing is cut later than this after it, in milliseconds. */
export const TRIMMING_RUN_MS = 100_000;

export interface TrimmingParts {
  streams: ListenerStreams;
  users: DataSource;
  site: DataSource;
  /** Epoch milliseconds. */
  now: () => number;
  /** A stream with an event that was recorded so long ago gets a checkpoint, in milliseconds. */
  checkpointAfterMs: number;
  /** Nothing more is begun when it is aborted. */
  signal: AbortSignal;
}

export interface Trimmed {
  checkpoints: number;
  cut: number;
}

interface Row {
  user_id: string;
  category: string;
}

/**
 * Keeps streams short: those with old events, or with many since their last checkpoint, get one, and what precedes a checkpoint that
 * every projector has passed is cut away. How far each has come is seen in the log and in what projectors made of it.
 */
export async function trim(parts: TrimmingParts): Promise<Trimmed> {
  return { checkpoints: await takeDue(parts), cut: await cut(parts) };
}

async function takeDue({ streams, users, now, checkpointAfterMs, signal }: TrimmingParts): Promise<number> {
  const due = await users.query<Row[]>(
    `(SELECT user_id, category FROM users.listener_revisions WHERE oldest_at < $1 ORDER BY oldest_at LIMIT $2)
     UNION (SELECT user_id, category FROM users.listener_revisions WHERE is_long LIMIT $2) LIMIT $2`,
    [new Date(now() - checkpointAfterMs), CHECKPOINTS_MAX],
  );
  const startedAt = now();
  let taken = 0;
  for (const { user_id: userId, category } of due) {
    if (signal.aborted || now() - startedAt > TRIMMING_RUN_MS) break;
    const metadata = { recordedAt: new Date(now()).toISOString(), correlationId: 'checkpoint' };
    const take = takeCheckpoint(streams.store, streamOf(category, userId), {
      codec: usersEvents,
      compaction: compaction(),
      metadata,
    });
    try {
      if (await unlessGone(() => take)) taken += 1;
    } catch (error) {
      // Its listener is busy with it: the next run comes soon enough.
      if (!(error instanceof TooContended)) throw error;
    }
  }
  return taken;
}

async function cut({ streams: { store }, users, site, now, signal }: TrimmingParts): Promise<number> {
  const rows = await users.query<Row[]>(
    'SELECT user_id, category FROM users.listener_revisions WHERE checkpointed > cut LIMIT $1',
    [CUTS_MAX],
  );
  const startedAt = now();
  let done = 0;
  for (const { user_id: userId, category } of rows) {
    if (signal.aborted || now() - startedAt > TRIMMING_RUN_MS) break;
    const stream = streamOf(category, userId);
    const checkpoint = await unlessGone(() => findCheckpoint(store, stream));
    if (!checkpoint) continue;
    // What a projector has not passed would be gone without it.
    if (!(await isProjected(checkpoint.position, { users, site }))) continue;
    await unlessGone(() => store.truncateBefore(stream, checkpoint.first));
    await users.query(
      'UPDATE users.listener_revisions SET cut = $3 WHERE user_id = $1 AND category = $2 AND cut < $3',
      [userId, category, checkpoint.last],
    );
    done += 1;
  }
  return done;
}
