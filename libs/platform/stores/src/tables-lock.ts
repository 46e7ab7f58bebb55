import { Sql } from './postgres';

/** What batches share and who puts other tables in their place takes alone ("tabl" in hexadecimal); the projector's name is the rest. */
const TABLES_LOCK = 0x7461626c;

/** Until the transaction ends the projector's tables are these. */
export const keepTables = (sql: Sql, projector: string): Promise<unknown> =>
  sql.query(`SELECT pg_advisory_xact_lock_shared(${TABLES_LOCK}, hashtext($1))`, [projector]);

/** Until the transaction ends the projector applies nothing, in whatever process. */
export const takeTables = (sql: Sql, projector: string): Promise<unknown> =>
  sql.query(`SELECT pg_advisory_xact_lock(${TABLES_LOCK}, hashtext($1))`, [projector]);
