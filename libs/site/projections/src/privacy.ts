import { Sql } from '@balados/platform-stores';
import { Privacy } from '@balados/users-contracts';

/** What a listener set for one scope, or null for what they set no longer. */
export interface Setting {
  listener: string;
  /** Of the episode or the podcast, or `ACCOUNT`. */
  scopeId: string;
  privacy: Privacy | null;
}

/** The scope of all that a listener does: no podcast and no episode has this id. */
export const ACCOUNT = '00000000-0000-0000-0000-000000000000';

const SCOPES = ['subject', 'feed', 'account'] as const;
const scopeOf = (scope: (typeof SCOPES)[number]): string => (scope === 'account' ? `'${ACCOUNT}'` : `c.${scope}_id`);

/** SQL: joins to a contribution `c` what its listener set for it, as `of_subject`, `of_feed` and `of_account`. */
export const SETTINGS = SCOPES.map(
  (scope) => `LEFT JOIN privacy_settings of_${scope}
      ON of_${scope}.listener = c.listener AND of_${scope}.scope_id = ${scopeOf(scope)}`,
).join(' ');

/**
 * SQL: the same for a few contributions, each looked up by itself: where Postgres thinks that nobody has set anything it would read
 * all settings once for each instead.
 */
export const SETTINGS_OF_EACH = SCOPES.map(
  (scope) => `LEFT JOIN LATERAL (
      SELECT privacy FROM privacy_settings s
      WHERE s.listener = c.listener AND s.scope_id = ${scopeOf(scope)} OFFSET 0
    ) of_${scope} ON true`,
).join(' ');

/** SQL: what the world may see of a contribution whose settings are joined. What nobody has decided is hidden. */
export const VISIBILITY = `coalesce(of_subject.privacy, of_feed.privacy, of_account.privacy,
  (SELECT privacy FROM default_privacy), 'private')`;

/** SQL: whether it is the podcast or the episode that was said to be public, not the account alone. */
export const EXPLICIT = `coalesce(coalesce(of_subject.privacy, of_feed.privacy) = 'public', false)`;

/** SQL: of some contributions those that are seen otherwise than the settings say, and what they say. */
export const mistaken = (contributions: string): string => `
  SELECT c.listener, c.subject_id, c.kind, c.day, c.feed_id, c.recorded_at AS done_at,
    c.visibility AS was, c.explicit AS was_explicit, c.public_id AS was_id, ${VISIBILITY} AS now, ${EXPLICIT} AS now_explicit
  FROM (${contributions}) c ${SETTINGS}
  WHERE (c.visibility, c.explicit) IS DISTINCT FROM (${VISIBILITY}, ${EXPLICIT})`;

/** SQL: shows the contributions of `mistaken` as they should be. Another row of the timeline has another id. */
export const CORRECT = `UPDATE contributions c SET visibility = m.now, explicit = m.now_explicit,
    public_id = CASE WHEN m.was = m.now THEN c.public_id ELSE site_private.random_id() END
  FROM mistaken m
  WHERE c.listener = m.listener AND c.subject_id = m.subject_id AND c.kind = m.kind AND c.day = m.day`;

/** SQL: the scopes of `scopesOf`. */
export const TOLD = 'SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS told (listener, scope_id)';
/** SQL: what was done in the scopes of `told`; what is of several comes several times. */
export const CONCERNED = `
  SELECT c.* FROM told JOIN contributions c USING (listener) WHERE told.scope_id = '${ACCOUNT}'
  UNION ALL
  SELECT c.* FROM told JOIN contributions c ON c.listener = told.listener AND c.feed_id = told.scope_id
  UNION ALL
  SELECT c.* FROM told JOIN contributions c ON c.listener = told.listener AND c.subject_id = told.scope_id`;

export const scopesOf = (settings: readonly Setting[]): [string[], string[]] => [
  settings.map(({ listener }) => listener),
  settings.map(({ scopeId }) => scopeId),
];

/** Forgets all that these listeners set. */
export async function forgetSettings(sql: Sql, listeners: readonly string[]): Promise<void> {
  if (listeners.length > 0)
    await sql.query('DELETE FROM privacy_settings WHERE listener = ANY($1::uuid[])', [listeners]);
}

/**
 * Remembers what listeners set.
 * @returns ids of the podcasts of which something is to be seen otherwise from now on
 */
export async function storeSettings(sql: Sql, settings: readonly Setting[]): Promise<string[]> {
  if (settings.length === 0) return [];
  // An account may have done more than a statement's time is enough for; tried again it would take as long.
  await sql.query('SET LOCAL statement_timeout = 0');
  await sql.query(
    `WITH told AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS told (listener, scope_id, privacy)),
     reset AS (
       DELETE FROM privacy_settings s USING told
       WHERE told.privacy IS NULL AND s.listener = told.listener AND s.scope_id = told.scope_id
     )
     INSERT INTO privacy_settings (listener, scope_id, privacy)
     SELECT * FROM told WHERE privacy IS NOT NULL
     ON CONFLICT (listener, scope_id) DO UPDATE SET privacy = EXCLUDED.privacy`,
    [...scopesOf(settings), settings.map(({ privacy }) => privacy)],
  );
  const rows = await sql.query<{ feed_id: string }[]>(
    `WITH told AS (${TOLD}) SELECT DISTINCT feed_id FROM (${mistaken(CONCERNED)}) m`,
    scopesOf(settings),
  );
  return rows.map(({ feed_id }) => feed_id);
}

/**
 * Stores what holds for listeners who set nothing, unless that is stored already.
 * @returns what is stored
 */
export async function storeDefaultPrivacy(sql: Sql, privacy: Privacy): Promise<Privacy> {
  await sql.query('INSERT INTO default_privacy (privacy) VALUES ($1) ON CONFLICT DO NOTHING', [privacy]);
  const [row] = await sql.query<{ privacy: Privacy }[]>('SELECT privacy FROM default_privacy');
  return row!.privacy;
}
