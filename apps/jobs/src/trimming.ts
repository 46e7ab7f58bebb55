import { findCheckpoint, StoreUnavailable, streamOf, takeCheckpoint, TooContended } from '@balados/event-sourcing';
import { isPassingDatabaseError } from '@balados/platform-stores';
import { compaction, usersEvents } from '@balados/users-contracts';
import { QueryFailedError } from 'typeorm';
import { dropContent, hasContent } from './dropping';
import { isProjected, unlessGone } from './erasures';
import type { Figures, JobParts, Turn } from './jobs';

/** No checkpoint is begun later than this in a run, and nothing is cut later than this after it, in milliseconds. */
export const TRIMMING_RUN_MS = 100_000;

type CheckpointParts = Turn &
  Pick<JobParts, 'streams' | 'users' | 'log' | 'checkpointAfterMs' | 'dropAfterMs' | 'checkpointBatch'>;
type CutParts = Turn & Pick<JobParts, 'streams' | 'users' | 'site' | 'log' | 'trimBatch'>;

interface Row {
  user_id: string;
  category: string;
}
type RowToCut = Row & { checkpointed: string };

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

/** Streams with a checkpoint before which nothing was cut yet. */
export const streamsToCut = ({ users, trimBatch }: Pick<JobParts, 'users' | 'trimBatch'>): Promise<RowToCut[]> =>
  users.query<RowToCut[]>(
    'SELECT user_id, category, checkpointed FROM users.listener_revisions WHERE checkpointed > cut LIMIT $1',
    [trimBatch],
  );

/**
 * Keeps streams short: those that are due get a checkpoint, which tells without it what is to be dropped. How far each has come is seen in
 * the log and in what projectors made of it. A stream that cannot be read keeps no other back.
 */
export async function takeCheckpoints(parts: CheckpointParts): Promise<Figures & { checkpoints: number }> {
  const { streams, now, dropAfterMs, signal, progress, log } = parts;
  const due = await streamsDue(parts);
  const startedAt = now();
  let [checkpoints, failed] = [0, 0];
  progress.begin(due.length);
  for (const { user_id: userId, category } of due) {
    if (signal.aborted || now() - startedAt > TRIMMING_RUN_MS) break;
    const metadata = { recordedAt: new Date(now()).toISOString(), correlationId: 'checkpoint' };
    const take = async (): Promise<boolean> => {
      if (hasContent(category))
        await dropContent(streams, { category, userId }, { endedBefore: now() - dropAfterMs, now: now(), metadata });
      const how = { codec: usersEvents, compaction: compaction(), metadata };
      return takeCheckpoint(streams.store, streamOf(category, userId), how);
    };
    try {
      if (await unlessGone(take)) checkpoints += 1;
    } catch (error) {
      // Its listener is busy with it: the next run comes soon enough.
      if (!(error instanceof TooContended)) {
        if (isAway(error)) throw error;
        failed += 1;
        log.error({ err: error, category }, 'a stream cannot be drawn together; it is tried again');
      }
    }
    progress.done();
  }
  return { checkpoints, ...(failed > 0 && { failed }) };
}

/** Of the stores, and so the same for all streams. */
const isAway = (error: unknown): boolean =>
  error instanceof StoreUnavailable || error instanceof QueryFailedError || isPassingDatabaseError(error);

/** Cuts away what precedes a checkpoint that every projector has passed. */
export async function cutStreams(parts: CutParts): Promise<Figures & { cut: number }> {
  const { users, now, signal, progress, log } = parts;
  const rows = await streamsToCut(parts);
  const startedAt = now();
  let [cut, failed] = [0, 0];
  progress.begin(rows.length);
  for (const row of rows) {
    if (signal.aborted || now() - startedAt > TRIMMING_RUN_MS) break;
    progress.done();
    try {
      const done = await cutStream(row, parts);
      if (done === undefined) continue;
      await users.query(
        'UPDATE users.listener_revisions SET cut = $3 WHERE user_id = $1 AND category = $2 AND cut < $3',
        [row.user_id, row.category, done.upTo],
      );
      if (done.isCut) cut += 1;
    } catch (error) {
      if (isAway(error)) throw error;
      failed += 1;
      log.error({ err: error, category: row.category }, 'a stream cannot be cut; it is tried again');
    }
  }
  return { cut, ...(failed > 0 && { failed }) };
}

/** @returns up to which revision nothing is left to be cut; undefined: not yet */
async function cutStream(
  { user_id: userId, category, checkpointed }: RowToCut,
  { streams, users, site }: CutParts,
): Promise<{ upTo: number; isCut: boolean } | undefined> {
  const { store } = streams;
  const stream = streamOf(category, userId);
  const checkpoint = await unlessGone(() => findCheckpoint(store, stream));
  // An erasure has taken it away, with all before it.
  if (!checkpoint) return { upTo: Number(checkpointed), isCut: false };
  // What a projector has not passed would be gone without it.
  if (!(await isProjected({ stream, position: checkpoint.position }, { users, site }))) return undefined;
  await unlessGone(() => store.truncateBefore(stream, checkpoint.first));
  return { upTo: checkpoint.last, isCut: true };
}
