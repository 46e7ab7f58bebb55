import { Sql } from '@balados/platform-stores';
import { Change } from './changes';

/** Notes who did something in public, for the lists of people of podcasts and episodes. */
export async function rememberPeople(sql: Sql, changes: readonly Change[]): Promise<void> {
  const latest = new Map<string, { scope: string; kind: string; listener: string; at: Date }>();
  for (const { sign, visibility, kind, feed_id, episode_id, listener, recorded_at: at } of changes) {
    if (sign !== 1 || visibility !== 'public' || !(kind === 'play' || kind === 'save')) continue;
    for (const scope of [feed_id, episode_id!]) {
      const key = `${scope} ${kind} ${listener}`;
      const known = latest.get(key);
      if (!known || known.at < at) latest.set(key, { scope, kind, listener, at });
    }
  }
  if (latest.size === 0) return;
  const people = [...latest.values()];
  await sql.query(
    `INSERT INTO site_private.people AS p (scope_id, kind, listener, recorded_at)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[])
     ON CONFLICT (scope_id, kind, listener) DO UPDATE SET recorded_at = EXCLUDED.recorded_at
       WHERE p.recorded_at < EXCLUDED.recorded_at`,
    [
      people.map(({ scope }) => scope),
      people.map(({ kind }) => kind),
      people.map(({ listener }) => listener),
      people.map(({ at }) => at),
    ],
  );
}

/** Notes of those who took back a save which one is now their last, if any is left. Of plays none is taken back. */
export async function forgetPeople(sql: Sql, changes: readonly Change[]): Promise<void> {
  const unsaved = changes.filter(
    ({ sign, visibility, kind }) => sign === -1 && visibility === 'public' && kind === 'save',
  );
  if (unsaved.length === 0) return;
  await sql.query(
    `WITH unsaved AS (
       SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS t (listener, feed_id, episode_id)
     ), scopes AS (
       SELECT listener, feed_id, feed_id AS scope_id FROM unsaved UNION SELECT listener, feed_id, episode_id FROM unsaved
     ), latest AS (
       SELECT listener, scope_id, (
         SELECT max(c.recorded_at) FROM site_private.contributions c
         WHERE c.listener = s.listener AND c.feed_id = s.feed_id AND c.kind = 'save' AND c.visibility = 'public'
           AND s.scope_id IN (c.feed_id, c.episode_id)
       ) AS recorded_at FROM scopes s
     ), gone AS (
       DELETE FROM site_private.people p USING latest l
       WHERE p.scope_id = l.scope_id AND p.kind = 'save' AND p.listener = l.listener AND l.recorded_at IS NULL
     )
     UPDATE site_private.people p SET recorded_at = l.recorded_at FROM latest l
     WHERE p.scope_id = l.scope_id AND p.kind = 'save' AND p.listener = l.listener AND p.recorded_at <> l.recorded_at`,
    [
      unsaved.map(({ listener }) => listener),
      unsaved.map(({ feed_id }) => feed_id),
      unsaved.map(({ episode_id }) => episode_id),
    ],
  );
}
