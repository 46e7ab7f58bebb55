import { hasCredentials } from '@balados/feeds-ids';
import { Sql } from '@balados/platform-stores';
import { FeedState, isPublic, publish, withdraw } from './publication';
import { SitePolicy } from './site-projector';
import { Database, shareWindow } from './window';

/** What the public is told of a podcast, beside what listeners did. */
export interface FeedDescription {
  title: string | null;
  author: string | null;
  /** http(s) URLs; of what carries credentials nothing is kept. */
  cover: { src: string; srcset: string | null } | null;
  /** `itunes:block`: it is not to be listed. */
  blocked: boolean;
}

/** A longer title or author is cut, in characters. */
export const DESCRIPTION_MAX_LENGTH = 500;
/** A longer address of a cover is none, in characters. */
export const COVER_MAX_LENGTH = 2_048;

export interface DueFeed {
  feedId: string;
  feed: string;
  /** How often in a row nothing could be learned of it. */
  failures: number;
}

/** Nothing is put off for longer, in milliseconds: what is due later was put off by a clock that was ahead, and is due. */
export const METADATA_AHEAD_MAX_MS = 2 * 86_400_000;

/** Feeds of which something may have to be learned by now, those that have waited longest first. */
export async function feedsDue(sql: Sql, now: Date, limit: number): Promise<DueFeed[]> {
  const feeds = 'SELECT feed_id AS "feedId", feed, metadata_failures AS failures FROM feeds';
  return sql.query<DueFeed[]>(
    `(${feeds} WHERE metadata_due_at <= $1 ORDER BY metadata_due_at LIMIT $2)
     UNION ALL (${feeds} WHERE metadata_due_at > $3 LIMIT $2) LIMIT $2`,
    [now, limit, new Date(now.getTime() + METADATA_AHEAD_MAX_MS)],
  );
}

/** Those of these feeds that somebody has to do with, by their ids. */
export async function feedsAmong(sql: Sql, feedIds: readonly string[]): Promise<Set<string>> {
  const rows = await sql.query<{ feed_id: string }[]>('SELECT feed_id FROM feeds WHERE feed_id = ANY ($1::uuid[])', [
    feedIds,
  ]);
  return new Set(rows.map(({ feed_id }) => feed_id));
}

/** Nothing could be learned of it; what is known stays. */
export async function putOff(sql: Sql, feedId: string, dueAt: Date): Promise<void> {
  await sql.query(
    `UPDATE feeds SET metadata_due_at = $2, metadata_failures = metadata_failures + 1 WHERE feed_id = $1`,
    [feedId, dueAt],
  );
}

/** Keeps what a feed says of itself and shows it where the feed is public; one that wants to be listed nowhere leaves all lists. */
export const describeFeed = (
  database: Database,
  feedId: string,
  description: FeedDescription,
  { publicMinListeners, dueAt }: Pick<SitePolicy, 'publicMinListeners'> & { dueAt: Date },
): Promise<void> =>
  database.transaction(async (sql) => {
    await shareWindow(sql);
    const { blocked } = description;
    const [before] = await sql.query<FeedState[]>(
      `SELECT listeners, explicit, blocked, published FROM feeds WHERE feed_id = $1 FOR UPDATE`,
      [feedId],
    );
    // Nobody has to do with it any more.
    if (!before) return;
    const published = isPublic({ ...before, blocked }, publicMinListeners);
    const [title, author] = [cut(description.title), cut(description.author)];
    const cover = JSON.stringify(shownCover(description.cover));
    await sql.query(
      `UPDATE feeds SET feed_title = $2, feed_author = $3, feed_cover = nullif($4::jsonb, 'null'), blocked = $5,
         published = $6, metadata_due_at = $7, metadata_failures = 0
       WHERE feed_id = $1`,
      [feedId, title, author, cover, blocked, published, dueAt],
    );
    if (before.published && !published) await withdraw(sql, [feedId]);
    if (!before.published && published) await publish(sql, [feedId]);
    await showDescriptions(sql, [feedId]);
  });

/** Shows what feeds say of themselves where they are public. */
const showDescriptions = (sql: Sql, feeds: readonly string[]): Promise<unknown> =>
  sql.query(
    `UPDATE podcast_popularity p
     SET feed_title = f.feed_title, feed_author = f.feed_author, feed_cover = f.feed_cover
     FROM feeds f WHERE f.feed_id = ANY($1::uuid[]) AND p.feed_id = f.feed_id
       AND (p.feed_title, p.feed_author, p.feed_cover) IS DISTINCT FROM (f.feed_title, f.feed_author, f.feed_cover)`,
    [feeds],
  );

/** Columns of a feed's row that no event makes. */
const LEARNED = ['feed_title', 'feed_author', 'feed_cover', 'blocked', 'metadata_due_at', 'metadata_failures'];
const learned = (row: string): string => LEARNED.map((column) => `${row}.${column}`).join(', ');

/**
 * Where the tables are made anew: takes over what was learned of feeds, from the tables that are read. A feed that wants to be listed
 * nowhere leaves all lists here, too.
 */
export async function takeOverDescriptions(sql: Sql, publicMinListeners: number): Promise<void> {
  const differing = await sql.query<({ feed_id: string } & FeedState)[]>(
    `SELECT made.feed_id, made.listeners, made.explicit, made.published, held.blocked
     FROM feeds made JOIN site_private.feeds held USING (feed_id)
     WHERE (${learned('made')}) IS DISTINCT FROM (${learned('held')}) ORDER BY feed_id FOR UPDATE OF made`,
  );
  if (differing.length === 0) return;
  const ids = (feeds: readonly { feed_id: string }[]): string[] => feeds.map(({ feed_id }) => feed_id);
  const shown = differing.map((feed) => isPublic(feed, publicMinListeners));
  await sql.query(
    `UPDATE feeds made SET (${LEARNED.join(', ')}) = (${learned('held')}), published = t.published
     FROM unnest($1::uuid[], $2::boolean[]) AS t (feed_id, published) JOIN site_private.feeds held USING (feed_id)
     WHERE made.feed_id = t.feed_id`,
    [ids(differing), shown],
  );
  await withdraw(sql, ids(differing.filter(({ published }, index) => published && !shown[index])));
  await publish(sql, ids(differing.filter(({ published }, index) => !published && shown[index])));
  await showDescriptions(sql, ids(differing));
}

/** By characters, not between the two halves of one. */
function cut(text: string | null): string | null {
  const characters = [...(text ?? '').trim()];
  return characters.length === 0 ? null : characters.slice(0, DESCRIPTION_MAX_LENGTH).join('');
}

function shownCover(cover: FeedDescription['cover']): FeedDescription['cover'] {
  if (!cover || !isShown(cover.src)) return null;
  const isSet = cover.srcset !== null && cover.srcset.split(',').every((each) => isShown(each.trim().split(/\s/)[0]!));
  return { src: cover.src, srcset: isSet ? cover.srcset : null };
}

const isShown = (url: string): boolean =>
  /^https?:\/\//i.test(url) && url.length <= COVER_MAX_LENGTH && !hasCredentials(url);
