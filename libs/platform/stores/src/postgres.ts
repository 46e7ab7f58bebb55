import pg from 'pg';
import { DataSource, EntityManager, EntitySchema, MigrationExecutor, MigrationInterface } from 'typeorm';
import { grantRights, Rights } from './rights';

/** Anything that runs SQL: a data source, or the manager of a transaction. */
export type Sql = Pick<EntityManager, 'query'>;

/** One bounded context's share of a database. */
export interface Context {
  /** Its schema; the table of its migrations stands in it. */
  schema: string;
  /** All of its schemas, in the order in which tables are looked for that are named by themselves alone, as projectors do. */
  searchPath?: readonly string[];
  // eslint-disable-next-line @typescript-eslint/no-unsafe-function-type
  entities: (Function | EntitySchema)[];
  // eslint-disable-next-line @typescript-eslint/no-unsafe-function-type
  migrations: Function[];
  /** Who else than the owner of the tables may do what. */
  rights?: Rights;
}

/** Connections of one service to one context. */
export const POOL_SIZE = 10;
/** A query waits at most this long for a connection, in milliseconds. */
export const CONNECT_TIMEOUT_MS = 5_000;
/** A statement runs at most this long, in milliseconds; migrations are exempt. */
export const STATEMENT_TIMEOUT_MS = 30_000;
/** A transaction whose client says nothing for this long is rolled back, in milliseconds, and its locks are free again. */
export const IDLE_IN_TRANSACTION_MS = 2 * STATEMENT_TIMEOUT_MS;
/** What all of our migrations lock, so that services that start together wait for each other ("balados" in hexadecimal). */
export const MIGRATION_LOCK = 0x62616c61646f73n;

/** Connects; rejects when the database cannot be reached within CONNECT_TIMEOUT_MS. */
export function openPostgres(
  url: string,
  context: Context,
  {
    service,
    poolSize = POOL_SIZE,
    idleInTransactionMs = IDLE_IN_TRANSACTION_MS,
    commitsAwaitDisk = true,
  }: {
    service: string;
    poolSize?: number;
    idleInTransactionMs?: number;
    /** False where what a crash of Postgres loses is done again: it loses the newest commits whole, and nothing else. */
    commitsAwaitDisk?: boolean;
  },
): Promise<DataSource> {
  const options = [
    ...(commitsAwaitDisk ? [] : ['-c synchronous_commit=off']),
    ...(context.searchPath ? [`-c search_path=${context.searchPath.join(',')}`] : []),
  ];
  return new DataSource({
    type: 'postgres',
    // Left to itself it loads the package by a name made up at run time, which no bundle has.
    driver: pg,
    url: withOptions(url, options),
    applicationName: `balados ${service}`,
    schema: context.schema,
    entities: context.entities,
    migrations: context.migrations as (new () => MigrationInterface)[],
    migrationsTableName: 'migrations',
    poolSize,
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    extra: {
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: idleInTransactionMs,
    },
    installExtensions: false,
  }).initialize();
}

/** Connections of a service to one context, and who waits for one. */
export interface PoolStatus {
  used: number;
  idle: number;
  waiting: number;
  max: number;
}

export function poolOf({ driver }: DataSource): PoolStatus {
  const { totalCount, idleCount, waitingCount, options } = (driver as unknown as { master: pg.Pool }).master;
  return { used: totalCount - idleCount, idle: idleCount, waiting: waitingCount, max: options.max };
}

/** Those of the URL hold as well: the driver would take these or the others. */
function withOptions(url: string, options: readonly string[]): string {
  if (options.length === 0) return url;
  const whole = new URL(url);
  const given = whole.searchParams.get('options');
  whole.searchParams.set('options', [...(given ? [given] : []), ...options].join(' '));
  return whole.href;
}

/** Brings the context's schema up to date, and who may do what in it; services that start together take turns. */
export async function migrate(dataSource: DataSource, context: Context): Promise<void> {
  const { schema } = context;
  const runner = dataSource.createQueryRunner();
  try {
    await runner.query('SET statement_timeout = 0');
    // Also where other commits are done again: nothing makes a table twice.
    await runner.query('SET synchronous_commit = on');
    await runner.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK}::bigint)`);
    await runner.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`);
    // On this connection, with its settings; the data source would take another.
    const migrations = new MigrationExecutor(dataSource, runner);
    migrations.transaction = 'each';
    await migrations.executePendingMigrations();
    await grantRights(runner, context);
  } finally {
    await runner.query(`SELECT pg_advisory_unlock(${MIGRATION_LOCK}::bigint)`).catch(() => undefined);
    await runner.query(`SET statement_timeout = ${STATEMENT_TIMEOUT_MS}`).catch(() => undefined);
    await runner.query('RESET synchronous_commit').catch(() => undefined);
    await runner.release();
  }
}

/** SQLSTATE of what is not there yet: the table, its schema, the right to read it. */
const NOT_THERE_YET = ['42P01', '3F000', '42501'];

/** Whether every migration that this code knows has been run: what a service that may not migrate waits for. */
export async function isMigrated({ manager, migrations, options }: DataSource): Promise<boolean> {
  const { schema } = options as { schema: string };
  try {
    const rows = await manager.query<{ name: string }[]>(`SELECT name FROM "${schema}".migrations`);
    return migrations.every(({ name, constructor }) => rows.some((row) => row.name === (name ?? constructor.name)));
  } catch (error) {
    if (NOT_THERE_YET.includes((error as { code?: string }).code ?? '')) return false;
    throw error;
  }
}

/**
 * SQLSTATE classes and codes of what passes by itself: lost connections (08, 57P), a server without room (53) or with a broken
 * disk (58), serialization failure and deadlock (40001, 40P01), lock timeout (55P03), statement timeout (57014), idle-in-transaction
 * timeout (25P03), a server that became read-only in a failover (25006).
 */
const PASSING_STATES = /^(?:08...|53...|57P..|58...|40001|40P01|55P03|57014|25P03|25006)$/;
/** Errors of sockets and of the driver have no SQLSTATE. */
const PASSING_SOCKET_CODES = /^(?:ECONN\w+|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/;
const PASSING_MESSAGES =
  /connection terminated|timeout exceeded when trying to connect|client has encountered a connection error|connection ended unexpectedly|client was closed|query runner was already released|has not been reached yet/i;

/** Whether the same work may well succeed when it is done again: a deadlock, a lost connection and their kin. */
export function isPassingDatabaseError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && (PASSING_STATES.test(code) || PASSING_SOCKET_CODES.test(code))) return true;
  return PASSING_MESSAGES.test(error.message);
}
