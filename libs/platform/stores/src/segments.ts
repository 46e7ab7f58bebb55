import { Projector } from './projector';
import { Sql } from './postgres';

/** Into how many segments the listeners of a new projector are hashed; an existing one keeps the number of its rows. */
export const SEGMENTS = 4;
/** A segment falls to others when its holder has not renewed its lease for this long, in milliseconds. */
export const LEASE_MS = 6_000;
/** Leases are renewed, and free segments looked for, this many times within a lease. */
export const LEASE_RENEWALS = 6;

/** A listener's segment, by FNV-1a. Stored positions rest on it: never change it. */
export function segmentOf(userId: string, segments: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < userId.length; index += 1)
    hash = Math.imul(hash ^ userId.charCodeAt(index), 0x01000193) >>> 0;
  return hash % segments;
}

/** A segment that this process holds, as its row stood when it was taken. */
export interface Lease {
  segment: number;
  epoch: string;
  position: bigint | undefined;
  storeId: string | undefined;
}

/** How far a held segment goes on, from where we left it. */
export interface Move {
  lease: Lease;
  from: bigint | undefined;
  to: bigint;
  storeId: string;
}

/** What a renewal finds. */
export interface Renewed {
  segment: number;
  epoch: string;
  position: string | null;
  failed_event: string | null;
  failed_at: Date | null;
}

/**
 * Who holds which segment of a projector, as rows; all times are the database's. A process holds at most its equal share, so that
 * one that comes finds something to do, and one that dies leaves its segments to the others when its leases run out.
 */
export class Leases {
  private readonly segmentsTable: string;
  private readonly membersTable: string;

  constructor(
    private readonly sql: Sql,
    private readonly projector: Projector,
    private readonly owner: string,
    private readonly leaseMs: number,
  ) {
    this.segmentsTable = `"${projector.schema}".projector_segments`;
    this.membersTable = `"${projector.schema}".projector_members`;
  }

  /** Makes the rows of a new projector. @returns the number of its segments */
  async prepare(segments: number): Promise<number> {
    await this.sql.query(
      `INSERT INTO ${this.segmentsTable} (projector, segment)
       SELECT $1, segment FROM generate_series(0, $2::int - 1) AS segment
       WHERE NOT EXISTS (SELECT FROM ${this.segmentsTable} WHERE projector = $1)
       ON CONFLICT DO NOTHING`,
      [this.projector.name, segments],
    );
    const [{ count }] = await this.sql.query(
      `SELECT count(*)::int AS count FROM ${this.segmentsTable} WHERE projector = $1`,
      [this.projector.name],
    );
    return count;
  }

  /** Says that this process lives. @returns how many do */
  async beat(): Promise<number> {
    await this.sql.query(
      `INSERT INTO ${this.membersTable} (projector, owner, seen_at) VALUES ($1, $2, clock_timestamp())
       ON CONFLICT (projector, owner) DO UPDATE SET seen_at = excluded.seen_at`,
      [this.projector.name, this.owner],
    );
    await this.sql.query(
      `DELETE FROM ${this.membersTable} WHERE projector = $1 AND seen_at < clock_timestamp() - $2 * interval '1 ms'`,
      [this.projector.name, this.leaseMs],
    );
    const [{ count }] = await this.sql.query(
      `SELECT count(*)::int AS count FROM ${this.membersTable} WHERE projector = $1`,
      [this.projector.name],
    );
    return count;
  }

  /** Renews what this process still holds; rows are locked in the order of `move`. */
  async renew(): Promise<Renewed[]> {
    const [rows] = await this.sql.query(
      `UPDATE ${this.segmentsTable} AS held SET leased_until = clock_timestamp() + $3 * interval '1 ms'
       FROM (SELECT segment FROM ${this.segmentsTable} WHERE projector = $1 AND owner = $2 ORDER BY segment FOR UPDATE) AS ours
       WHERE held.projector = $1 AND held.segment = ours.segment AND held.owner = $2
       RETURNING held.segment, epoch, position, failed_event, failed_at`,
      [this.projector.name, this.owner, this.leaseMs],
    );
    return rows;
  }

  /** Takes up to `count` segments that nobody holds; what is ours by its row and not among `held` was lost and is taken anew. */
  async take(count: number, held: readonly number[]): Promise<Lease[]> {
    if (count <= 0) return [];
    const [rows] = await this.sql.query(
      `UPDATE ${this.segmentsTable} AS taken
       SET owner = $2, epoch = taken.epoch + 1, leased_until = clock_timestamp() + $3 * interval '1 ms'
       FROM (SELECT segment FROM ${this.segmentsTable}
             WHERE projector = $1 AND segment <> ALL ($4::int[])
               AND (owner IS NULL OR owner = $2 OR leased_until IS NULL OR leased_until < clock_timestamp())
             ORDER BY segment LIMIT $5 FOR UPDATE SKIP LOCKED) AS free
       WHERE taken.projector = $1 AND taken.segment = free.segment
       RETURNING taken.segment, taken.epoch, taken.position, taken.store_id`,
      [this.projector.name, this.owner, this.leaseMs, held, count],
    );
    return rows.map((row: { segment: number; epoch: string; position: string | null; store_id: string | null }) => ({
      segment: row.segment,
      epoch: row.epoch,
      position: row.position === null ? undefined : BigInt(row.position),
      storeId: row.store_id ?? undefined,
    }));
  }

  /** Gives one segment back. */
  async release({ segment, epoch }: Lease): Promise<void> {
    await this.sql.query(
      `UPDATE ${this.segmentsTable} SET owner = NULL, leased_until = NULL
       WHERE projector = $1 AND segment = $2 AND owner = $3 AND epoch = $4`,
      [this.projector.name, segment, this.owner, epoch],
    );
  }

  /** Says that this process is gone. */
  async leave(): Promise<void> {
    await this.sql.query(`DELETE FROM ${this.membersTable} WHERE projector = $1 AND owner = $2`, [
      this.projector.name,
      this.owner,
    ]);
  }

  /**
   * Moves the positions of held segments, in the transaction whose rows they stand for.
   * @throws FencedOff when one of them is no longer ours, or not where we left it
   */
  async move(transaction: Sql, moves: readonly Move[]): Promise<void> {
    const [, moved] = await transaction.query(
      `UPDATE ${this.segmentsTable} AS held SET position = t."to", store_id = t.store_id, moved_at = clock_timestamp(),
         failed_event = NULL, failed_reason = NULL, failed_at = NULL
       FROM (SELECT segment, t.epoch, "from", "to", t.store_id
             FROM unnest($3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])
               AS t (segment, epoch, "from", "to", store_id)
             JOIN ${this.segmentsTable} USING (segment) WHERE projector = $1 ORDER BY segment FOR UPDATE OF projector_segments) AS t
       WHERE held.projector = $1 AND held.segment = t.segment AND held.owner = $2 AND held.epoch = t.epoch
         AND held.position IS NOT DISTINCT FROM t."from"`,
      [
        this.projector.name,
        this.owner,
        moves.map(({ lease }) => lease.segment),
        moves.map(({ lease }) => lease.epoch),
        moves.map(({ from }) => (from === undefined ? null : String(from))),
        moves.map(({ to }) => String(to)),
        moves.map(({ storeId }) => storeId),
      ],
    );
    if (moved !== moves.length)
      throw new FencedOff(
        this.projector.name,
        moves.map(({ lease }) => lease.segment),
      );
  }

  /** Notes why a held segment stands still. @throws FencedOff when it is no longer ours */
  async fail({ segment, epoch }: Lease, event: string | undefined, reason: string): Promise<void> {
    const [, noted] = await this.sql.query(
      `UPDATE ${this.segmentsTable} SET failed_event = $5, failed_reason = $6, failed_at = clock_timestamp()
       WHERE projector = $1 AND segment = $2 AND owner = $3 AND epoch = $4`,
      [this.projector.name, segment, this.owner, epoch, event ?? null, reason.replaceAll('\0', '')],
    );
    if (noted !== 1) throw new FencedOff(this.projector.name, [segment]);
  }
}

/** The name under which a projector makes its tables anew, beside those that it keeps. */
export const rebuildOf = (projector: string): string => `${projector}-rebuild`;

/**
 * Whether every segment of a projector has applied what stands in the log up to this position, also where it makes its tables anew. False
 * for one that never ran.
 */
export async function hasPassed(
  sql: Sql,
  { name, schema }: Pick<Projector, 'name' | 'schema'>,
  position: bigint,
): Promise<boolean> {
  const [row] = await sql.query<{ passed: boolean | null }[]>(
    `SELECT bool_and(coalesce(position >= $2, false)) AS passed FROM "${schema}".projector_segments
     WHERE projector IN ($1, $3)`,
    [name, String(position), rebuildOf(name)],
  );
  return row!.passed ?? false;
}

/** Another process holds one of these segments now, or has moved it. */
export class FencedOff extends Error {
  constructor(projector: string, segments: readonly number[]) {
    super(`segment ${segments.join(', ')} of projector ${projector} is no longer ours`);
    this.name = 'FencedOff';
  }
}
