import { StreamGone } from '@balados/event-sourcing';
import { Sql } from '@balados/platform-stores';
import { finishedErasures, reopenErasure } from '@balados/users-accounts';
import { ERASED_CATEGORIES } from '@balados/users-contracts';
import { isErasedSince } from '@balados/users-domain';
import type { ListenerStreams } from '@balados/users-write';
import type { EntityManager } from 'typeorm';

export interface EraseAgainParts {
  users: Sql;
  streams: ListenerStreams;
  /** Takes a listener out of the tables that are being made. */
  forget(transaction: EntityManager, userId: string): Promise<void>;
}

/**
 * What was erased once must not come back with tables that are made anew. Of an account whose streams are gone, a rebuild may have read the
 * beginning before it went. And an older copy of the log has all of it, without the marker: that is said in it again, before the tables are
 * switched over, and jobs carry it out once more.
 */
export function eraseAgain({ users, streams, forget }: EraseAgainParts): (made: EntityManager) => Promise<void> {
  /** Seen to by this process already. */
  const seen = new Set<string>();
  return async (made) => {
    const erasures = (await finishedErasures(users)).filter(({ id }) => !seen.has(id));
    const known = await listenersOf(
      made,
      erasures.map(({ userHash }) => userHash),
    );
    for (const { id, userHash, scope, feedId, episodeId, requestedAt } of erasures) {
      const userId = known.get(userHash);
      if (userId !== undefined) {
        const target = { scope, feedId, episodeId };
        const data = { ...target, requestedAt: requestedAt.getTime() };
        const metadata = { recordedAt: new Date().toISOString(), correlationId: id };
        let [isGone, isOpen] = [false, false];
        for (const category of ERASED_CATEGORIES[scope]) {
          try {
            const isSaid = await streams[category].query(userId, ({ state }) =>
              isErasedSince(state.erasures, target, data.requestedAt),
            );
            if (isSaid) continue;
            // Before it is said: whoever dies in between leaves it to jobs.
            if (!isOpen) await reopenErasure(users, id, userId);
            isOpen = true;
            await streams[category].handle(userId, { type: 'EraseHistory', data }, metadata, () => undefined);
          } catch (error) {
            if (!(error instanceof StreamGone)) throw error;
            isGone = true;
          }
        }
        if (isGone) await made.transaction((transaction) => forget(transaction, userId));
      }
      seen.add(id);
    }
  };
}

/** Of these hashes those of whom the tables know something, in hexadecimal. */
async function listenersOf(sql: Sql, hashes: readonly string[]): Promise<Map<string, string>> {
  if (hashes.length === 0) return new Map();
  const rows = await sql.query<{ hash: string; user_id: string }[]>(
    `SELECT encode(hash, 'hex') AS hash, user_id FROM (SELECT DISTINCT user_id FROM listener_revisions) known,
       sha256(convert_to(user_id::text, 'UTF8')) AS hash
     WHERE hash = ANY (ARRAY(SELECT decode(told, 'hex') FROM unnest($1::text[]) AS told))`,
    [[...new Set(hashes)]],
  );
  return new Map(rows.map(({ hash, user_id }) => [hash, user_id]));
}
