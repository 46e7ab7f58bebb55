import type { Client } from 'pg';

/** One lock for everything that writes: "BALEVENT" in ASCII, as a signed 64 bit number. */
export const WRITER_LOCK = 0x42414c45_56454e54n.toString();

/** Positions start above 2^53, so that whoever takes one for a JavaScript number finds out on the first day. */
const FIRST_POSITION = 2n ** 53n;

const migrations = [
  `CREATE TABLE events.events (
     position bigint PRIMARY KEY,
     stream   text COLLATE "C" NOT NULL,
     revision bigint NOT NULL,
     id       uuid NOT NULL,
     type     text COLLATE "C" NOT NULL,
     is_json  boolean NOT NULL,
     created  bigint NOT NULL, -- milliseconds since 1970
     data     bytea NOT NULL,
     metadata bytea NOT NULL,
     UNIQUE (stream, revision)
   );
   CREATE TABLE events.streams (
     name         text COLLATE "C" PRIMARY KEY,
     revision     bigint NOT NULL,           -- of the last event; -1 for none, 2^63 - 1 for a tombstone
     metadata     text,                      -- JSON, as the newest event of its $$ stream says
     visible_from bigint NOT NULL,           -- the first revision that $tb and $maxCount let through
     max_age      bigint,                    -- seconds
     scavenged_to bigint NOT NULL DEFAULT 0  -- events below are deleted
   ) WITH (fillfactor = 80);
   CREATE INDEX streams_to_scavenge ON events.streams (name) WHERE visible_from > scavenged_to;
   CREATE INDEX streams_that_age ON events.streams (name) WHERE max_age IS NOT NULL;
   -- The last position outlives the event that had it: a scavenge must never make a position come twice.
   CREATE TABLE events.log (one boolean PRIMARY KEY DEFAULT true CHECK (one), last_position bigint NOT NULL);
   INSERT INTO events.log (last_position) VALUES (${FIRST_POSITION});`,
];

/** Brings the schema `events` up to date. The caller holds the writer's lock. */
export async function migrate(client: Client): Promise<void> {
  await client.query(
    `CREATE SCHEMA IF NOT EXISTS events;
     CREATE TABLE IF NOT EXISTS events.migrations (
       version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
  );
  const { rows } = await client.query<{ version: number }>(
    'SELECT coalesce(max(version), 0) AS version FROM events.migrations',
  );
  const version = rows[0]!.version;
  if (version > migrations.length)
    throw new Error(`the events schema has version ${version}, newer than this program's ${migrations.length}`);
  for (const [index, sql] of migrations.entries()) {
    if (index < version) continue;
    // Several statements in one simple query are one transaction.
    await client.query(`${sql}; INSERT INTO events.migrations (version) VALUES (${index + 1})`);
  }
}
