import { StoredEvent, typesOf } from '@balados/event-sourcing';
import { Client } from 'pg';
import { waitFor } from '@balados/testing';
import { USERS_CATEGORIES } from '@balados/users-contracts';
import { LogReader } from './log';

/** Whatever is kept of a listener: events by stream, rows by table. */
export type Held = Record<string, unknown[]>;

const OWNER_COLUMNS = ['user_id', 'listener'];
/** Changes whenever the listener asks for anything. */
const NOTED_AT_EACH_USE = 'last_used_at';

/** Every event and row of a listener: of each table that names listeners, whichever there are. */
export async function heldOf(client: Client, log: LogReader, userId: string): Promise<Held> {
  const held: Held = {};
  for (const category of USERS_CATEGORIES) {
    const events = await log.read(`${category}-${userId}`);
    held[category] = events.map(({ position: _, ...event }) => event);
  }
  const { rows: tables } = await client.query<{ name: string; owner: string }>(
    `SELECT format('%I.%I', table_schema, table_name) AS name, column_name AS owner FROM information_schema.columns
     WHERE column_name = ANY ($1) AND table_schema IN ('users', 'site', 'site_private')`,
    [OWNER_COLUMNS],
  );
  for (const { name, owner } of tables) {
    const { rows } = await client.query<{ row: string }>(
      `SELECT (to_jsonb(t) - $2::text)::text AS row FROM ${name} t WHERE ${owner} = $1 ORDER BY 1`,
      [userId, NOTED_AT_EACH_USE],
    );
    held[name] = rows.map(({ row }) => row);
  }
  return held;
}

/** Of playlists site takes none, and of positions and what apps report it notes nothing. */
export const isForSite = (event: StoredEvent): boolean =>
  !event.stream.startsWith('playlists-') &&
  typesOf(event).some((type) => type !== 'PositionUpdated' && type !== 'EpisodeActionReported');

/** Waits until the read models hold all that these listeners wrote. */
export async function untilHeld(client: Client, log: LogReader, users: readonly string[]): Promise<void> {
  for (const user of users)
    for (const category of USERS_CATEGORIES) {
      const events = await log.read(`${category}-${user}`);
      await untilAt(client, { schema: 'users', user, category, newest: events.at(-1) });
      await untilAt(client, { schema: 'site_private', user, category, newest: events.filter(isForSite).at(-1) });
    }
}

async function untilAt(
  client: Client,
  { schema, user, category, newest }: { schema: string; user: string; category: string; newest?: StoredEvent },
): Promise<void> {
  if (!newest) return;
  const isThere = async (): Promise<boolean> => {
    const { rows } = await client.query<{ revision: string }>(
      `SELECT revision FROM ${schema}.listener_revisions WHERE user_id = $1 AND category = $2`,
      [user, category],
    );
    return Number(rows[0]?.revision ?? -1) >= newest.revision;
  };
  await waitFor(isThere, { what: `${schema} to hold ${newest.stream} up to ${newest.revision}`, timeoutMs: 20_000 });
}
