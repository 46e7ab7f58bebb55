import { feedId } from '@balados/feeds-ids';
import { Sql } from '@balados/platform-stores';

/** Names that are kept of one listener: of more, those that were told last. */
export const FEED_NAMES_PER_LISTENER = 2_000;

/** How a client calls a feed, where it is not as we do. */
export interface FeedName {
  client: string;
  /** Canonical URL, as it is kept. */
  feed: string;
  knownAs: string;
}

/** The addresses by which listeners' apps know feeds that are kept under another one, and where feeds have moved to. */
export class FeedNames {
  constructor(private readonly sql: Sql) {}

  /** Those of these clients, or of all. */
  of(userId: string, clients?: readonly string[]): Promise<FeedName[]> {
    return this.sql.query<FeedName[]>(
      `SELECT client, feed, known_as AS "knownAs" FROM users.feed_names
       WHERE user_id = $1 AND ($2::text[] IS NULL OR client = ANY ($2)) ORDER BY told_at, feed_id`,
      [userId, clients ?? null],
    );
  }

  /** Each is from now on how its client calls the feed; null, as we do. */
  async tell(
    userId: string,
    names: readonly (Omit<FeedName, 'knownAs'> & { knownAs: string | null })[],
  ): Promise<void> {
    if (names.length === 0) return;
    const columns = [
      names.map(({ client }) => client),
      names.map(({ feed }) => feedId(feed)),
      names.map(({ feed }) => feed),
      names.map(({ knownAs }) => knownAs),
    ];
    await this.sql.query(
      `WITH told AS (
         SELECT * FROM unnest($2::text[], $3::uuid[], $4::text[], $5::text[]) AS told (client, feed_id, feed, known_as)
       ), forgotten AS (
         DELETE FROM users.feed_names held USING told
         WHERE held.user_id = $1 AND (held.client, held.feed_id) = (told.client, told.feed_id) AND told.known_as IS NULL
       )
       INSERT INTO users.feed_names (user_id, client, feed_id, feed, known_as)
       SELECT $1, client, feed_id, feed, known_as FROM told
       WHERE known_as IS NOT NULL AND EXISTS (SELECT 1 FROM users.accounts WHERE user_id = $1 AND closed_at IS NULL)
       ON CONFLICT (user_id, client, feed_id) DO UPDATE SET known_as = excluded.known_as, told_at = now()`,
      [userId, ...columns],
    );
    await this.sql.query(
      `DELETE FROM users.feed_names WHERE user_id = $1 AND (client, feed_id) IN (
         SELECT client, feed_id FROM users.feed_names WHERE user_id = $1 ORDER BY told_at DESC, client, feed_id OFFSET $2)`,
      [userId, FEED_NAMES_PER_LISTENER],
    );
  }

  /** Of these feeds, those that have moved, by where to. */
  async movedTo(feeds: readonly string[]): Promise<Map<string, string>> {
    const byId = new Map(feeds.map((feed) => [feedId(feed), feed]));
    const rows = await this.sql.query<{ feed_id: string; moved_to: string }[]>(
      'SELECT feed_id, moved_to FROM users.feed_moves WHERE feed_id = ANY ($1::uuid[])',
      [[...byId.keys()]],
    );
    return new Map(rows.map(({ feed_id, moved_to }) => [moved_to, byId.get(feed_id)!]));
  }
}

/** Addresses by which a listener's apps know a podcast that is kept under another one. */
export async function otherNames(sql: Sql, userId: string, feedId: string): Promise<string[]> {
  const rows = await sql.query<{ known_as: string }[]>(
    'SELECT DISTINCT known_as FROM users.feed_names WHERE user_id = $1 AND feed_id = $2 ORDER BY known_as',
    [userId, feedId],
  );
  return rows.map(({ known_as }) => known_as);
}

/** What was known of a podcast by `before`, or of all of them, by the names that a listener's apps have for it. */
export const forgetFeedNames = (
  sql: Sql,
  userId: string,
  { feedId, before }: { feedId: string | null; before: Date },
): Promise<unknown> =>
  sql.query(
    `DELETE FROM users.feed_names WHERE user_id = $1 AND ($2::uuid IS NULL OR feed_id = $2) AND told_at <= $3`,
    [userId, feedId, before],
  );

/** A feed has gone for good, or null: it has not, or is back. */
export async function noteMove(sql: Sql, feedId: string, movedTo: string | null): Promise<void> {
  if (movedTo === null) await sql.query('DELETE FROM users.feed_moves WHERE feed_id = $1', [feedId]);
  else
    await sql.query(
      `INSERT INTO users.feed_moves (feed_id, moved_to) VALUES ($1, $2)
       ON CONFLICT (feed_id) DO UPDATE SET moved_to = excluded.moved_to`,
      [feedId, movedTo],
    );
}

/** Moves of feeds with which nobody has to do any more. @param known says of ids of feeds which ones somebody has to do with */
export async function forgetMoves(sql: Sql, known: (feedIds: string[]) => Promise<ReadonlySet<string>>): Promise<void> {
  const rows = await sql.query<{ feed_id: string }[]>('SELECT feed_id FROM users.feed_moves');
  const ids = rows.map(({ feed_id }) => feed_id);
  if (ids.length === 0) return;
  const held = await known(ids);
  await sql.query('DELETE FROM users.feed_moves WHERE feed_id = ANY ($1::uuid[])', [ids.filter((id) => !held.has(id))]);
}
