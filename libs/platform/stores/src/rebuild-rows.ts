import { Sql } from './postgres';
import { Projector } from './projector';
import { rebuildOf } from './segments';

/** Who begins, joins or gives up a rebuild takes it alone ("rebu" in hexadecimal). */
const REBUILD_LOCK = 0x72656275;

export interface Row {
  projector: string;
  segment: number;
  position: string | null;
  store_id: string | null;
}

export const takeRebuild = (sql: Sql, projector: string): Promise<unknown> =>
  sql.query(`SELECT pg_advisory_xact_lock(${REBUILD_LOCK}, hashtext($1))`, [projector]);

export const rowsOf = (sql: Sql, schema: string, projectors: readonly string[], lock = ''): Promise<Row[]> =>
  sql.query<Row[]>(
    `SELECT projector, segment, position, store_id FROM "${schema}".projector_segments
     WHERE projector = ANY($1) ORDER BY projector, segment ${lock}`,
    [projectors],
  );

/** Forgets where a rebuild stands: it is over. */
export async function forgetRows(sql: Sql, { name, schema }: Projector): Promise<void> {
  for (const table of ['projector_segments', 'projector_members'])
    await sql.query(`DELETE FROM "${schema}".${table} WHERE projector = $1`, [rebuildOf(name)]);
}
