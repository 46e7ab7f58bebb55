import { hostname, userInfo } from 'node:os';
import { Sql } from './postgres';

/** What people did to projectors, for those who come after them. */
export interface Intervention {
  at: Date;
  projector: string;
  action: 'rebuilt' | 'rebuild given up' | 'event skipped';
  /** User and host. */
  who: string;
  segment: number | null;
  event: string | null;
  type: string | null;
  /** null as well when its listener was erased since. */
  stream: string | null;
  reason: string | null;
}

/** For a context's migration. */
export const interventionsTable = (schema: string): string => `
  -- what people did to the projectors by hand
  CREATE TABLE "${schema}".projector_interventions (
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    projector text NOT NULL,
    action text NOT NULL,
    -- user and host
    who text NOT NULL,
    -- of an event that was skipped: where it stood, and why it could not be applied
    segment integer,
    event uuid,
    type text,
    stream text,
    reason text
  );`;

export async function noteIntervention(
  sql: Sql,
  schema: string,
  intervention: Pick<Intervention, 'projector' | 'action'> & Partial<Intervention>,
): Promise<void> {
  const { projector, action, segment = null, event = null, type = null, stream = null, reason = null } = intervention;
  await sql.query(
    `INSERT INTO "${schema}".projector_interventions (projector, action, who, segment, event, type, stream, reason)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [projector, action, whoami(), segment, event, type, stream, reason],
  );
}

/** Forgets of whom the events were that were skipped: the listener is to be erased. */
export const forgetSkipped = (sql: Sql, schema: string, userId: string): Promise<unknown> =>
  sql.query(
    `UPDATE "${schema}".projector_interventions SET stream = NULL, reason = NULL WHERE right(stream, 37) = '-' || $1`,
    [userId],
  );

/** In a container a user may have a number and no name. */
function whoami(): string {
  let user: string;
  try {
    user = userInfo().username;
  } catch {
    user = String(process.getuid?.());
  }
  return `${user}@${hostname()}`;
}
