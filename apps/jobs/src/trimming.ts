import { findCheckpoint, streamOf, takeCheckpoint, TooContended } from '@balados/event-sourcing';
import { compaction, usersEvents } from '@balados/users-contracts';
import { dropContent, hasContent } from './dropping';
import { isProjected, unlessGone } from './erasures';
import type { JobParts, Turn } from './jobs';

/** No checkpoint is begun later than this in a run, and nothing is cut later than this after it, in milliseconds. */
export const TRIMMING_RUN_MS = 100_000;

type CheckpointParts = Turn &
  Pick<JobParts, 'streams' | 'users' | 'checkpointAfterMs' | 'dropAfterMs' | 'checkpointBatch'>;
type CutParts = Turn & Pick<JobParts, 'streams' | 'users' | 'site' | 'trimBatch'>;

interface Row {
  user_id: string;
  category: string;
}

/** Streams with old events, with ends that were long ago, or with many events since their last checkpoint. */
export const streamsDue = ({
  users,
  now,
  checkpointAfterMs,
  dropAfterMs,
  checkpointBatch,
}: Pick<JobParts, 'users' | 'now' | 'checkpointAfterMs' | 'dropAfterMs' | 'checkpointBatch'>): Promise<Row[]> =>
  users.query<Row[]>(
    `(SELECT user_id, category FROM users.listener_revisions WHERE oldest_at < $1 ORDER BY oldest_at LIMIT $2)
     UNION (SELECT user_id, category FROM users.listener_revisions WHERE ended_at < $3 ORDER BY ended_at LIMIT $2)
     UNION (SELECT user_id, category FROM users.listener_revisions WHERE is_long LIMIT $2) LIMIT $2`,
    [new Date(now() - checkpointAfterMs), checkpointBatch, new Date(now() - dropAfterMs)],
  );

/** Streams with a checkpoint before which nothing was cut yet, and the revision with which that is whole. */
export const streamsToCut = ({
  users,
  trimBatch,
}: Pick<JobParts, 'users' | 'trimBatch'>): Promise<(Row & { checkpointed: string })[]> =>
  users.query<(Row & { checkpointed: string })[]>(
    'SELECT user_id, category, checkpointed FROM users.listener_revisions WHERE checkpointed > cut LIMIT $1',
    [trimBatch],
  );

/**
 * Keeps streams short: those that are due get a checkpoint, which tells without it what is to be dropped. How far each has come is seen in
 * the log and in what projectors made of it.
 */
export async function takeCheckpoints(parts: CheckpointParts): Promise<{ checkpoints: number }> {
  const { streams, now, dropAfterMs, signal, progress } = parts;
  const due = await streamsDue(parts);
  const startedAt = now();
  let checkpoints = 0;
  progress.begin(due.length);
  for (const { user_id: userId, category } of due) {
    if (signal.aborted || now() - startedAt > TRIMMING_RUN_MS) break;
    const metadata = { recordedAt: new Date(now()).toISOString(), correlationId: 'checkpoint' };
    const take = async (): Promise<boolean> => {
      if (hasContent(category))
        await dropContent(streams, { category, userId }, { endedBefore: now() - dropAfterMs, metadata });
      const how = { codec: usersEvents, compaction: compaction(), metadata };
      return takeCheckpoint(streams.store, streamOf(category, userId), how);
    };
    try {
      if (await unlessGone(take)) checkpoints += 1;
    } catch (error) {
      // Its listener is busy with it: the next run comes soon enough.
      if (!(error instanceof TooContended)) throw error;
    }
    progress.done();
  }
  return { checkpoints };
}

/** Cuts away what precedes a checkpoint that every projector has passed. */
export async function cutStreams(parts: CutParts): Promise<{ cut: number }> {
  const { users, site, now, signal, progress } = parts;
  const { store } = parts.streams;
  const rows = await streamsToCut(parts);
  const startedAt = now();
  let cut = 0;
  progress.begin(rows.length);
  for (const { user_id: userId, category, checkpointed } of rows) {
    if (signal.aborted || now() - startedAt > TRIMMING_RUN_MS) break;
    progress.done();
    const stream = streamOf(category, userId);
    const checkpoint = await unlessGone(() => findCheckpoint(store, stream));
    if (checkpoint) {
      // What a projector has not passed would be gone without it.
      if (!(await isProjected(checkpoint.position, { users, site }))) continue;
      await unlessGone(() => store.truncateBefore(stream, checkpoint.first));
      cut += 1;
    }
    // Without one it has gone itself, with a history that was erased: nothing is left to be cut.
    await users.query(
      'UPDATE users.listener_revisions SET cut = $3 WHERE user_id = $1 AND category = $2 AND cut < $3',
      [userId, category, checkpoint?.last ?? checkpointed],
    );
  }
  return { cut };
}
