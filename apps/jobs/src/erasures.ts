import {
  findCheckpoint,
  parseStream,
  RevisionConflict,
  streamOf,
  StreamGone,
  takeCheckpoint,
} from '@balados/event-sourcing';
import { hasPassed, Sql } from '@balados/platform-stores';
import { forgetListener } from '@balados/site-projections';
import {
  finishErasure,
  forgetAccount,
  forgetFeedNames,
  PendingErasure,
  pendingErasures,
} from '@balados/users-accounts';
import { compaction, ERASED_CATEGORIES, USERS_CATEGORIES, usersEvents } from '@balados/users-contracts';
import { EraseHistory, markerOf } from '@balados/users-domain';
import { forgetReadModels } from '@balados/users-projections';
import type { ListenerStreams } from '@balados/users-write';
import type { DataSource } from 'typeorm';
import type { Figures, JobParts } from './jobs';

/** An erasure that takes longer than this is an error, in milliseconds. */
export const ERASURE_LATE_MS = 3_600_000;

type Category = (typeof USERS_CATEGORIES)[number];

export interface ErasureParts {
  streams: ListenerStreams;
  users: DataSource;
  site: DataSource;
}

/** A stream whose events up to `marker`, where they were said to be erased, are to go. */
interface Marked {
  stream: string;
  marker: number;
  head: number;
  position: bigint;
}

/** Carries on all that waits; one that does not get on keeps no other back. */
export async function eraseDue(parts: JobParts): Promise<Figures> {
  const { users, log, now, signal, progress } = parts;
  const pending = await pendingErasures(users);
  let [erased, failed] = [0, 0];
  progress.begin(pending.length);
  for (const erasure of pending) {
    if (signal.aborted) break;
    const { id, scope, requestedAt } = erasure;
    try {
      if (await carryOn(erasure, parts)) {
        erased += 1;
        log.info({ erasure: id, scope }, 'erased');
      } else if (now() - requestedAt.getTime() > ERASURE_LATE_MS)
        log.error({ erasure: id, scope, requestedAt }, 'an erasure waits for projectors');
    } catch (error) {
      failed += 1;
      log.error({ err: error, erasure: id, scope }, 'an erasure failed; it is tried again');
    }
    progress.done();
  }
  return { erased, ...(failed > 0 && { failed }) };
}

/**
 * Carries an erasure on as far as it goes now. How far it has come is seen in the log and in the tables alone, so that whoever goes on
 * with it, after whatever end of whoever was at it, does what is left: a marker in each stream, on which projectors delete what the
 * stream made; of a podcast or an episode a checkpoint behind it, that holds what stays; when all of them have passed these, the events;
 * and of an account, whatever is left in any table.
 * @returns whether it is done; if not, projectors are not there yet, or somebody wrote meanwhile: it is to be called again
 */
export async function carryOn(erasure: PendingErasure, parts: ErasureParts): Promise<boolean> {
  const { scope, userId, feedId, requestedAt } = erasure;
  const marked: Marked[] = [];
  for (const category of ERASED_CATEGORIES[scope]) {
    const stream = await unlessGone(() => mark(erasure, category, parts.streams));
    if (stream) marked.push(stream);
  }
  for (const place of marked) if (!(await isProjected(place, parts))) return false;
  let isRemoved = true;
  for (const stream of marked) {
    const removed = await unlessGone(() => remove(stream, erasure, parts));
    isRemoved &&= removed ?? true;
  }
  if (!isRemoved) return false;
  if (scope === 'account') await parts.site.transaction((sql) => forgetListener(sql, userId));
  await parts.users.transaction(async (sql: Sql) => {
    if (scope === 'account') {
      await forgetReadModels(sql, userId);
      await forgetAccount(sql, userId);
    } else if (scope !== 'episode') await forgetFeedNames(sql, userId, { feedId, before: requestedAt });
    await finishErasure(sql, erasure);
  });
  return true;
}

async function mark(
  { id, userId, requestedAt, scope, feedId, episodeId }: PendingErasure,
  category: Category,
  streams: ListenerStreams,
): Promise<Marked> {
  const target = { scope, feedId, episodeId };
  const command: EraseHistory = { type: 'EraseHistory', data: { ...target, requestedAt: requestedAt.getTime() } };
  const metadata = { recordedAt: new Date().toISOString(), correlationId: id };
  const { marker, head } = await streams[category].handle(userId, command, metadata, ({ state, revision }) => ({
    marker: markerOf(state.erasures, target)!,
    head: revision,
  }));
  const stream = streamOf(category, userId);
  // Should it have been cut away already, what comes after it stands for it.
  for await (const { position } of streams.store.read(stream, marker)) return { stream, marker, head, position };
  throw new Error(`${stream} does not show its event ${marker}`);
}

/** Removes the events of a stream that were erased. @returns whether it is done */
async function remove(
  { stream, marker, head }: Marked,
  erasure: PendingErasure,
  parts: ErasureParts,
): Promise<boolean> {
  const { store } = parts.streams;
  switch (erasure.scope) {
    case 'account':
      try {
        // Nothing can have come between what projectors have passed and this, or it fails.
        await store.tombstone(stream, head);
        return true;
      } catch (error) {
        if (error instanceof RevisionConflict) return false;
        throw error;
      }
    case 'history':
      await store.truncateBefore(stream, marker);
      return true;
    case 'podcast':
    case 'episode': {
      const checkpoint = await findCheckpoint(store, stream, marker);
      if (!checkpoint) {
        // Who asks again before it is done makes its checkpoint a useless one: one stands before the marker, which all have passed.
        const useless = await findCheckpoint(store, stream);
        if (useless) await store.truncateBefore(stream, useless.first);
        const metadata = { recordedAt: new Date().toISOString(), correlationId: erasure.id };
        await takeCheckpoint(store, stream, { codec: usersEvents, compaction: compaction(), metadata });
        return false;
      }
      // What a projector has not passed would be gone without it: it takes from a checkpoint what it does not know, and no more.
      if (!(await isProjected({ stream, position: checkpoint.position }, parts))) return false;
      await store.truncateBefore(stream, checkpoint.first);
      return true;
    }
  }
}

/**
 * Whether every projector that reads a stream has passed a place of it in the log. Site reads no playlists: in a quiet log nothing that it
 * reads may come after them for long.
 */
export async function isProjected(
  { stream, position }: { stream: string; position: bigint },
  { users, site }: Pick<ErasureParts, 'users' | 'site'>,
): Promise<boolean> {
  if (!(await hasPassed(users, { name: 'users', schema: 'users' }, position))) return false;
  return (
    parseStream(stream)?.category === 'playlists' ||
    (await hasPassed(site, { name: 'site', schema: 'site_private' }, position))
  );
}

/** What an earlier attempt has done already, or an account's erasure, is undefined. */
export async function unlessGone<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StreamGone) return undefined;
    throw error;
  }
}
