import { StoredEvent } from '@balados/event-sourcing';
import { Sql } from '@balados/platform-stores';
import { usersEvents } from '@balados/users-contracts';

/** That of what had ended in a stream up to a revision key and dates stay alone. */
export interface DroppedStream {
  userId: string;
  category: string;
  upTo: number;
}

const DROPPED = 'ContentDropped' satisfies keyof typeof usersEvents.declarations;

/** The events cut into rounds, each stream's in their order: what is dropped is dropped of the rows that stand then. */
export function rounds(events: readonly StoredEvent[]): StoredEvent[][] {
  const turns = new Map<string, number>();
  const cut: StoredEvent[][] = [];
  for (const event of events) {
    const turn = turns.get(event.stream) ?? 0;
    (cut[turn] ??= []).push(event);
    if (event.type === DROPPED) turns.set(event.stream, turn + 1);
  }
  return cut;
}

/** Drops of rows what the deciders drop of their states (`NO_CONTENT`). */
export async function dropContent(sql: Sql, dropped: readonly DroppedStream[]): Promise<void> {
  const of = (name: string): [string[], number[]] | undefined => {
    const streams = dropped.filter(({ category }) => category === name);
    return streams.length === 0 ? undefined : [streams.map(({ userId }) => userId), streams.map(({ upTo }) => upTo)];
  };
  const told = 'unnest($1::uuid[], $2::bigint[]) AS told (user_id, up_to)';
  const subscriptions = of('subscriptions');
  if (subscriptions)
    await sql.query(
      `UPDATE subscriptions held SET source_id = NULL FROM ${told}
       WHERE held.user_id = told.user_id AND NOT subscribed AND revision <= up_to AND source_id IS NOT NULL`,
      subscriptions,
    );
  const playlists = of('playlists');
  if (!playlists) return;
  await sql.query(
    `DELETE FROM playlist_items item USING playlists held, ${told}
     WHERE held.user_id = told.user_id AND held.deleted_at IS NOT NULL AND held.revision <= up_to
       AND item.user_id = held.user_id AND item.playlist_id = held.playlist_id`,
    playlists,
  );
  await sql.query(
    `UPDATE playlists held
     SET name = '', description = NULL, item_order = '{}', ordered_at = NULL, order_revision = -1 FROM ${told}
     WHERE held.user_id = told.user_id AND deleted_at IS NOT NULL AND revision <= up_to`,
    playlists,
  );
  await sql.query(
    `UPDATE playlist_items held SET item_title = NULL, feed_title = NULL FROM ${told}
     WHERE held.user_id = told.user_id AND deleted_at IS NOT NULL AND revision <= up_to`,
    playlists,
  );
}
