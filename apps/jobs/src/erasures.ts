import { RevisionConflict, streamOf, StreamGone } from '@balados/event-sourcing';
import { hasPassed, Sql } from '@balados/platform-stores';
import { forgetListener } from '@balados/site-projections';
import { finishErasure, forgetAccount, PendingErasure } from '@balados/users-accounts';
import { ErasureScope, USERS_CATEGORIES } from '@balados/users-contracts';
import { EraseHistory } from '@balados/users-domain';
import { forgetReadModels } from '@balados/users-projections';
import type { ListenerStreams } from '@balados/users-write';
import type { DataSource } from 'typeorm';

type Category = (typeof USERS_CATEGORIES)[number];

/** In this order: privacy goes last, so that nothing is ever seen because a setting that hid it went first. */
const CATEGORIES: Readonly<Record<ErasureScope, readonly Category[]>> = {
  account: ['subscriptions', 'playlists', 'listening', 'privacy'],
  history: ['subscriptions', 'playlists', 'listening'],
};

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

/**
 * Carries an erasure on as far as it goes now. How far it has come is seen in the log and in the tables alone, so that whoever goes on
 * with it, after whatever end of whoever was at it, does what is left: a marker in each stream, on which projectors delete what the
 * stream made; when all of them have passed the markers, the events; and of an account, whatever is left in any table.
 * @returns whether it is done; if not, projectors are not there yet, or somebody wrote meanwhile: it is to be called again
 */
export async function carryOn(erasure: PendingErasure, parts: ErasureParts): Promise<boolean> {
  const { scope, userId } = erasure;
  const marked: Marked[] = [];
  for (const category of CATEGORIES[scope]) {
    const stream = await unlessGone(() => mark(erasure, category, parts.streams));
    if (stream) marked.push(stream);
  }
  for (const { position } of marked) if (!(await isProjected(position, parts))) return false;
  try {
    for (const { stream, head, marker } of marked) {
      const remove = () =>
        scope === 'account'
          ? // Nothing can have come between what projectors have passed and this, or it fails.
            parts.streams.store.tombstone(stream, head)
          : parts.streams.store.truncateBefore(stream, marker);
      await unlessGone(remove);
    }
  } catch (error) {
    if (error instanceof RevisionConflict) return false;
    throw error;
  }
  if (scope === 'account') await parts.site.transaction((sql) => forgetListener(sql, userId));
  await parts.users.transaction(async (sql: Sql) => {
    if (scope === 'account') {
      await forgetReadModels(sql, userId);
      await forgetAccount(sql, userId);
    }
    await finishErasure(sql, erasure);
  });
  return true;
}

async function mark(
  { id, userId, scope, requestedAt }: PendingErasure,
  category: Category,
  streams: ListenerStreams,
): Promise<Marked> {
  const command: EraseHistory = { type: 'EraseHistory', data: { scope, requestedAt: requestedAt.getTime() } };
  const metadata = { recordedAt: new Date().toISOString(), correlationId: id };
  const { marker, head } = await streams[category].handle(userId, command, metadata, ({ state, revision }) => ({
    marker: state.erased!.revision,
    head: revision,
  }));
  const stream = streamOf(category, userId);
  for await (const { position } of streams.store.read(stream, marker)) return { stream, marker, head, position };
  throw new Error(`${stream} does not show its event ${marker}`);
}

/** site reads no playlists, but what comes after them. */
async function isProjected(position: bigint, { users, site }: ErasureParts): Promise<boolean> {
  return (
    (await hasPassed(users, { name: 'users', schema: 'users' }, position)) &&
    (await hasPassed(site, { name: 'site', schema: 'site_private' }, position))
  );
}

/** What an earlier attempt has done already. */
async function unlessGone<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StreamGone) return undefined;
    throw error;
  }
}
