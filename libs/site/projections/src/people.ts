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
    `INSERT INTO people AS p (scope_id, kind, listener, recorded_at)
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

/** Notes of those who took something back, or hid it, which is now the last that they did in public, if any is left. */
export async function forgetPeople(sql: Sql, changes: readonly Change[]): Promise<void> {
  const gone = changes.filter(
    ({ sign, visibility, kind }) => sign === -1 && visibility === 'public' && (kind === 'play' || kind === 'save'),
  );
  if (gone.length === 0) return;
  await sql.query(
    `WITH gone AS (
       SELECT DISTINCT listener, feed_id, kind, scope_id
       FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) AS t (listener, feed_id, episode_id, kind)
       CROSS JOIN LATERAL (VALUES (feed_id), (episode_id)) AS scopes (scope_id)
     ), standing AS (
       SELECT listener, kind, scope_id, max(recorded_at) AS recorded_at
       FROM (SELECT DISTINCT listener, feed_id, kind FROM gone) of
       CROSS JOIN LATERAL (
         SELECT episode_id, recorded_at FROM contributions c
         WHERE c.listener = of.listener AND c.feed_id = of.feed_id AND c.kind = of.kind AND c.visibility = 'public'
         -- Looked up for each: where few are public Postgres would look through all of them instead.
         OFFSET 0
       ) left_over
       CROSS JOIN LATERAL (VALUES (feed_id), (episode_id)) AS scopes (scope_id)
       GROUP BY listener, kind, scope_id
     ), latest AS (
       SELECT gone.*, standing.recorded_at FROM gone LEFT JOIN standing USING (listener, kind, scope_id)
     ), forgotten AS (
       DELETE FROM people p USING latest l
       WHERE p.scope_id = l.scope_id AND p.kind = l.kind AND p.listener = l.listener AND l.recorded_at IS NULL
     )
     UPDATE people p SET recorded_at = l.recorded_at FROM latest l
     WHERE p.scope_id = l.scope_id AND p.kind = l.kind AND p.listener = l.listener AND p.recorded_at <> l.recorded_at`,
    [
      gone.map(({ listener }) => listener),
      gone.map(({ feed_id }) => feed_id),
      gone.map(({ episode_id }) => episode_id),
      gone.map(({ kind }) => kind),
    ],
  );
}
