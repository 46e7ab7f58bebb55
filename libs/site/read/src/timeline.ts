import { Refusal } from '@balados/event-sourcing';
import { encodeBase64, feedId } from '@balados/feeds-ids';
import { Sql } from '@balados/platform-stores';
import { TIMELINE_DAYS } from '@balados/site-schema';

export const EVENT_TYPES = ['subscribe', 'play', 'save', 'share'] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** A row of the timeline as the wire shows it. */
export interface TimelineEvent {
  event_type: EventType;
  /** null: anonymous */
  user_id: string | null;
  rss_source_feed: string;
  rss_source_item: string | null;
  /** RFC 3339, as the client claimed. */
  occurred_at: string;
}

export interface TimelinePage {
  events: TimelineEvent[];
  /** Where the next page begins, also when new events have come meanwhile; null on the last page. */
  next_cursor: string | null;
}

interface Row {
  id: string;
  event_type: EventType;
  user_id: string | null;
  feed: string;
  item: string | null;
  occurred_at: Date;
  recorded_at: Date;
}

/**
 * What happened in public in the last TIMELINE_DAYS, the newest recorded first. `feed` is a canonical URL; `cursor` comes from an earlier page, and `offset`
 * counts from there.
 * @throws Refusal `invalid_cursor`
 */
export async function timeline(
  sql: Sql,
  page: { limit: number; offset: number; eventType?: EventType; feed?: string; cursor?: string },
): Promise<TimelinePage> {
  const parameters: unknown[] = [page.limit + 1, page.offset];
  const parameter = (value: unknown): string => `$${parameters.push(value)}`;
  // A value that the planner knows: it leaves partitions of other months out.
  const conditions = [`recorded_at >= ${parameter(new Date(Date.now() - TIMELINE_DAYS * 86_400_000))}::timestamptz`];
  if (page.eventType !== undefined) conditions.push(`event_type = ${parameter(page.eventType)}`);
  if (page.feed !== undefined) conditions.push(`feed_id = ${parameter(feedId(page.feed))}`);
  if (page.cursor !== undefined) {
    const { recordedAt, id } = readCursor(page.cursor);
    const before = `${parameter(recordedAt)}::timestamptz`;
    // The first says nothing new, but for the planner, which does not see it in the second.
    conditions.push(`recorded_at <= ${before}`, `(recorded_at, id) < (${before}, ${parameter(id)}::bigint)`);
  }
  // The page first: what is skipped by an offset must not be looked up.
  const rows = await sql.query<Row[]>(
    `SELECT e.id, e.event_type, e.user_id, e.occurred_at, e.recorded_at,
       (SELECT feed FROM site.podcast_popularity p WHERE p.feed_id = e.feed_id) AS feed,
       (SELECT item FROM site.episode_popularity i WHERE i.episode_id = e.episode_id) AS item
     FROM (
       SELECT * FROM site.public_events WHERE ${conditions.join(' AND ')}
       ORDER BY recorded_at DESC, id DESC LIMIT $1 OFFSET $2
     ) e ORDER BY e.recorded_at DESC, e.id DESC`,
    parameters,
  );
  const more = rows.length > page.limit;
  const shown = rows.slice(0, page.limit);
  return { events: shown.map(eventOf), next_cursor: more ? cursorAfter(shown.at(-1)!) : null };
}

const eventOf = ({ event_type, user_id, feed, item, occurred_at }: Row): TimelineEvent => ({
  event_type,
  user_id,
  rss_source_feed: encodeBase64(feed),
  rss_source_item: item === null ? null : encodeBase64(item),
  occurred_at: occurred_at.toISOString(),
});

const cursorAfter = ({ recorded_at, id }: Row): string =>
  Buffer.from(`${recorded_at.getTime()}.${id}`).toString('base64url');

function readCursor(cursor: string): { recordedAt: Date; id: string } {
  const parts = /^(\d{1,15})\.(\d{1,18})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  const recordedAt = new Date(Number(parts?.[1]));
  if (!parts || Number.isNaN(recordedAt.getTime()))
    throw new Refusal('invalid_cursor', 'is not a cursor of the timeline');
  return { recordedAt, id: parts[2]! };
}
