import { Recorded } from '@balados/event-sourcing';
import { episodeId, feedId } from '@balados/feeds-ids';
import { Sql } from '@balados/platform-stores';
import { PrivacyEvent } from '@balados/users-contracts';

export type OfListener<Event extends PrivacyEvent> = Recorded<Event> & { userId: string };

/** Key of a setting among the listener's: the id of its episode or feed; the account's is the listener's own id. */
export function scopeId({ userId, data: { feed, item } }: OfListener<PrivacyEvent>): string {
  if (feed === null) return userId;
  return item === null ? feedId(feed) : episodeId(feed, item);
}

/** At most one event of each listener's scope. */
export async function writePrivacy(sql: Sql, events: readonly OfListener<PrivacyEvent>[]): Promise<void> {
  if (events.length === 0) return;
  await sql.query(
    `INSERT INTO user_privacy AS held (user_id, scope_id, feed, item, privacy, changed_at, revision)
     SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[])
     ON CONFLICT (user_id, scope_id) DO UPDATE SET item = excluded.item, privacy = excluded.privacy,
       changed_at = excluded.changed_at, revision = excluded.revision
     WHERE held.revision < excluded.revision`,
    [
      events.map(({ userId }) => userId),
      events.map(scopeId),
      events.map(({ data }) => data.feed),
      events.map(({ data }) => data.item),
      events.map((event) => (event.type === 'PrivacyChanged' ? event.data.privacy : null)),
      events.map(({ data }) => data.changedAt),
      events.map(({ revision }) => revision),
    ],
  );
}
