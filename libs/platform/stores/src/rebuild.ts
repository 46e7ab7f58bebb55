import { setTimeout as delay } from 'node:timers/promises';
import { EventStore, parseStream, StoredEvent } from '@balados/event-sourcing';
import { DataSource, EntityManager } from 'typeorm';
import { noteIntervention } from './interventions';
import { silent } from './log';
import { isPassingDatabaseError, openPostgres, Sql } from './postgres';
import { Projector } from './projector';
import { runProjector, RunningProjector } from './projector-runner';
import { LEASE_MS, Leases, rebuildOf, segmentOf, SEGMENTS } from './segments';
import {
  alignPartitions,
  analyzeShadow,
  completeShadow,
  dropShadow,
  isShadowCurrent,
  makeShadow,
  schemasOf,
  shadowSchema,
  TableName,
  takePlaces,
} from './shadow';
import { takeTables } from './tables-lock';

/** How often a rebuild looks how far it is, in milliseconds. */
export const REBUILD_LOOK_MS = 500;
/** Segments that are made anew together are parted when a transaction takes longer, in milliseconds. */
export const REBUILD_PATIENCE_MS = 60_000;
/** What is left of the log when the tables are switched over: at most so many events, which are applied in that transaction. */
export const SWITCH_EVENTS = 500;
/** The switch-over waits at most so long for the batches under way and for the end of the log, in milliseconds; then it is tried again. */
export const SWITCH_WAIT_MS = 2_000;
/** And for those who read the tables just now, which whoever wants to read then waits for too. */
export const SWITCH_READERS_MS = 250;
/** Who begins, joins or gives up a rebuild takes it alone ("rebu" in hexadecimal). */
const REBUILD_LOCK = '0x72656275';

/** A projector, and what it takes to make its tables anew beside those that are read. */
export interface Rebuildable {
  projector: Projector;
  /** Where its SQL looks for tables. */
  searchPath: readonly string[];
  /** All that it makes from events. */
  tables: readonly TableName[];
  /** Indexes that only those need who read the tables: made at the end, at less cost. */
  readersIndexes: readonly string[];
  /** What it reads and others write: taken as it stands at the beginning. */
  copied: readonly TableName[];
  /**
   * Brings over what others than the projector have written meanwhile. The tables that are being made go by their bare names, those that
   * are read by their full ones. In the switch-over (`isSwitching`) nobody else writes, and it must be done in no time. @throws NotYet
   */
  bringOver?(database: EntityManager, isSwitching: boolean): Promise<void>;
}

export interface RebuildOptions {
  rebuildable: Rebuildable;
  store: EventStore;
  /** To the tables that are read, and where they are. */
  live: DataSource;
  url: string;
  /** Names this process; no other may have the same name. */
  owner: string;
  leaseMs?: number;
  /** Events in one transaction. */
  batchEvents?: number;
  lookMs?: number;
  signal: AbortSignal;
  onProgress?(progress: RebuildProgress): void;
  /** Does the last steps, while nothing is erased. */
  alone?(work: () => Promise<void>): Promise<void>;
  /** Makes good what the log tells no more, or not yet, before the tables are switched over. Its SQL is as that of `bringOver`. */
  makeGood?(database: EntityManager): Promise<void>;
}

export interface RebuildProgress {
  /** Of the log, 0 to 1. */
  share: number;
  /** Applied by this process. */
  events: number;
  /** By this process, over all of its time. */
  perSecond: number;
  /** Undefined before anybody can tell. */
  secondsLeft: number | undefined;
  processes: number;
  /** What keeps this process from going on, such as a store that is away. */
  trouble: string | undefined;
}

export interface Rebuilt {
  /** What this process did. */
  how: 'switched over' | 'switched over by another process' | 'stopped';
  events: number;
  seconds: number;
  /** Of the switch-over: all of it, and how much of it nobody could read, in milliseconds. */
  switchMs?: number;
  unreadableMs?: number;
}

/** The last steps cannot be done at this moment; they are tried again. */
export class NotYet extends Error {
  override name = 'NotYet';
}

/** It cannot go on: somebody must do something. */
export class RebuildStopped extends Error {
  override name = 'RebuildStopped';
}

interface Row {
  projector: string;
  segment: number;
  position: string | null;
  store_id: string | null;
}

/**
 * Makes a projector's tables anew from the log, beside those that are read, and puts them in their places in one transaction. Called again
 * after it ended in between it goes on; called in several processes they share the work.
 * @throws RebuildStopped
 */
export async function rebuild(options: RebuildOptions): Promise<Rebuilt> {
  const { rebuildable, store, live, url, owner, leaseMs = LEASE_MS, lookMs = REBUILD_LOOK_MS, signal } = options;
  const { projector, searchPath } = rebuildable;
  await beginOrJoin(options);
  const shadow = await openPostgres(
    url,
    { schema: projector.schema, searchPath: searchPath.map(shadowSchema), entities: [], migrations: [] },
    // As the service that runs projectors: what a crash of Postgres loses is done again.
    { service: 'rebuild', idleInTransactionMs: leaseMs, commitsAwaitDisk: false },
  );
  const began = performance.now();
  let events = 0;
  const counting: Projector = {
    ...projector,
    name: rebuildOf(projector.name),
    appliedUntil: undefined,
    async project(transaction, batch) {
      await projector.project(transaction, batch);
      events += batch.length;
    },
  };
  const running = runProjector({
    projector: counting,
    store,
    dataSource: shadow,
    owner,
    leaseMs,
    // Its rows are there, or it is over.
    segments: 0,
    batchEvents: options.batchEvents,
    // Nobody waits for one of them alone.
    patienceMs: REBUILD_PATIENCE_MS,
    log: silent,
  });
  const seconds = (): number => (performance.now() - began) / 1_000;
  try {
    let origin: bigint | undefined;
    let first: number | undefined;
    let isComplete = false;
    for (;;) {
      await delay(lookMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return { how: 'stopped', events, seconds: seconds() };
      const rows = await rowsOf(live, projector.schema, [counting.name]);
      if (rows.length === 0) return { how: await whoEnded(options), events, seconds: seconds() };
      complain(running, projector.name);
      origin ??= await firstOf(store, projector);
      const share = shareOf(rows, origin, await store.headPosition());
      first ??= share;
      options.onProgress?.({
        share,
        events,
        perSecond: events / seconds(),
        secondsLeft: share > first ? ((1 - share) * seconds()) / (share - first) : undefined,
        processes: await membersOf(live, counting),
        trouble: running.trouble,
      });
      if (!running.caughtUp || !(await tailOf(options, rows))) continue;
      try {
        let times: SwitchTimes | undefined;
        const lastSteps = async (): Promise<void> => {
          await rebuildable.bringOver?.(shadow.manager, false);
          // What would take long in the switch-over.
          await shadow.transaction((sql) => alignPartitions(sql, rebuildable.tables));
          await options.makeGood?.(shadow.manager);
          if (!isComplete) await complete(shadow, rebuildable);
          isComplete = true;
          times = await switchOver(options, shadow);
          events += times.events;
        };
        await (options.alone ? options.alone(lastSteps) : lastSteps());
        return { ...times, how: 'switched over', events, seconds: seconds() };
      } catch (error) {
        if (error instanceof NotYet || isPassingDatabaseError(error)) continue;
        // Whoever was faster has taken the tables away.
        if ((await rowsOf(live, projector.schema, [counting.name])).length > 0) throw error;
      }
    }
  } finally {
    await running.close();
    await shadow.destroy();
  }
}

async function beginOrJoin({ rebuildable, live, owner, leaseMs = LEASE_MS }: RebuildOptions): Promise<void> {
  const { projector, tables, copied, readersIndexes } = rebuildable;
  const name = rebuildOf(projector.name);
  // Without rows of its own a projector that never ran could not be told from one that is over.
  await new Leases(live, projector, owner, leaseMs).prepare(SEGMENTS);
  await live.transaction(async (sql) => {
    await sql.query('SET LOCAL statement_timeout = 0');
    await takeRebuild(sql, projector.name);
    if ((await rowsOf(sql, projector.schema, [name])).length > 0) {
      if (await isShadowCurrent(sql, [...tables, ...copied], readersIndexes)) return;
      throw new RebuildStopped(
        `the tables were changed since the rebuild of ${projector.name} began: give it up, and begin anew`,
      );
    }
    await dropShadow(sql, schemasOf([...tables, ...copied]));
    await makeShadow(sql, { tables, copied, later: readersIndexes });
    await sql.query(
      `INSERT INTO "${projector.schema}".projector_segments (projector, segment)
       SELECT $2, segment FROM "${projector.schema}".projector_segments WHERE projector = $1`,
      [projector.name, name],
    );
  });
}

/** Gives up a rebuild under way, in whatever processes. @returns whether there was one */
export const giveUpRebuild = (live: DataSource, { projector, tables, copied }: Rebuildable): Promise<boolean> =>
  live.transaction(async (sql) => {
    await sql.query('SET LOCAL statement_timeout = 0');
    await takeRebuild(sql, projector.name);
    await takeTables(sql, rebuildOf(projector.name));
    const isThere = (await rowsOf(sql, projector.schema, [rebuildOf(projector.name)])).length > 0;
    await dropShadow(sql, schemasOf([...tables, ...copied]));
    await forgetRows(sql, projector);
    if (isThere)
      await noteIntervention(sql, projector.schema, { projector: projector.name, action: 'rebuild given up' });
    return isThere;
  });

/** However long it takes. */
const complete = (shadow: DataSource, { projector, tables }: Rebuildable): Promise<void> =>
  shadow.transaction(async (sql) => {
    await sql.query('SET LOCAL statement_timeout = 0');
    await takeRebuild(sql, projector.name);
    await completeShadow(sql, tables);
    await analyzeShadow(sql, tables);
  });

interface SwitchTimes {
  /** That were left. */
  events: number;
  switchMs: number;
  unreadableMs: number;
}

/**
 * Live batches and those of the rebuild are held off, what is left of the log is applied here, and the tables change places. So nobody who
 * reads ever sees less than before, and whoever applied batches goes on from where the new tables stand.
 */
async function switchOver(
  { rebuildable, store, ...options }: RebuildOptions,
  shadow: DataSource,
): Promise<SwitchTimes> {
  const { projector, tables, copied } = rebuildable;
  const { name, schema } = projector;
  const began = performance.now();
  let unreadableFrom = began;
  let events = 0;
  await shadow.transaction(async (sql) => {
    // The tables that were read before are gone for good with it.
    await sql.query('SET LOCAL synchronous_commit = on');
    await sql.query(`SET LOCAL lock_timeout = ${SWITCH_WAIT_MS}`);
    await takeRebuild(sql, name);
    await takeTables(sql, name);
    await takeTables(sql, rebuildOf(name));
    const rows = await rowsOf(sql, schema, [name, rebuildOf(name)], 'FOR UPDATE');
    const held = rows.filter((row) => row.projector === name);
    const made = rows.filter((row) => row.projector !== name);
    if (made.length === 0) throw new NotYet('somebody else has ended it');
    if (made.length !== held.length) throw new RebuildStopped(`${name} has another number of segments by now`);
    if (!(await isShadowCurrent(sql, [...tables, ...copied])))
      throw new RebuildStopped(
        `the tables were changed since the rebuild of ${name} began: give it up, and begin anew`,
      );

    const storeId = await store.storeId();
    if (made.some(({ store_id }) => store_id !== null && store_id !== storeId)) throw new NotYet('another event store');
    const head = await store.headPosition();
    const tail = await tailOf({ rebuildable, store, ...options }, made);
    if (!tail) throw new NotYet('too much of the log is left');
    try {
      if (tail.events.length > 0) await projector.project(sql, tail.events);
    } catch (error) {
      if (isPassingDatabaseError(error)) throw error;
      // Its segment comes to the same event, and says so.
      throw new NotYet('an event cannot be applied', { cause: error });
    }
    events = tail.events.length;
    await rebuildable.bringOver?.(sql, true);

    const positions = held.map(({ segment, position, store_id }) => {
      const stood = position === null || (store_id ?? storeId) !== storeId ? undefined : BigInt(position);
      const own = made.find((row) => row.segment === segment)!.position;
      // Where it stood everything was applied here as well; but positions of another log, or beyond this one's end, say nothing.
      const reached = [
        own === null ? undefined : BigInt(own),
        tail.to,
        stood && head && stood <= head ? stood : undefined,
      ];
      return reached.reduce((one, two) => (two === undefined || (one !== undefined && one > two) ? one : two));
    });
    await sql.query(
      `UPDATE "${schema}".projector_segments AS s SET position = t.position, store_id = $4, epoch = epoch + 1,
         moved_at = clock_timestamp(), failed_event = NULL, failed_reason = NULL, failed_at = NULL
       FROM unnest($2::int[], $3::bigint[]) AS t (segment, position) WHERE projector = $1 AND s.segment = t.segment`,
      [name, held.map(({ segment }) => segment), positions.map((position) => position?.toString() ?? null), storeId],
    );
    await forgetRows(sql, projector);
    await noteIntervention(sql, schema, { projector: name, action: 'rebuilt' });

    await sql.query(`SET LOCAL lock_timeout = ${SWITCH_READERS_MS}`);
    unreadableFrom = performance.now();
    await takePlaces(sql, tables, schemasOf([...tables, ...copied]));
  });
  const ended = performance.now();
  return { events, switchMs: ended - began, unreadableMs: ended - unreadableFrom };
}

const takeRebuild = (sql: Sql, projector: string): Promise<unknown> =>
  sql.query(`SELECT pg_advisory_xact_lock(${REBUILD_LOCK}, hashtext($1))`, [projector]);

const rowsOf = (sql: Sql, schema: string, projectors: readonly string[], lock = ''): Promise<Row[]> =>
  sql.query<Row[]>(
    `SELECT projector, segment, position, store_id FROM "${schema}".projector_segments
     WHERE projector = ANY($1) ORDER BY projector, segment ${lock}`,
    [projectors],
  );

async function forgetRows(sql: Sql, { name, schema }: Projector): Promise<void> {
  for (const table of ['projector_segments', 'projector_members'])
    await sql.query(`DELETE FROM "${schema}".${table} WHERE projector = $1`, [rebuildOf(name)]);
}

async function membersOf(sql: Sql, { name, schema }: Projector): Promise<number> {
  const [row] = await sql.query<{ count: number }[]>(
    `SELECT count(*)::int AS count FROM "${schema}".projector_members WHERE projector = $1`,
    [name],
  );
  return row!.count;
}

/** Somebody must do something about it. @throws RebuildStopped */
function complain(running: RunningProjector, projector: string): void {
  const failed = running.status().find((status) => status.failed)?.failed;
  if (!failed) return;
  throw new RebuildStopped(
    failed.event === undefined
      ? `the rebuild of ${projector} cannot go on: ${failed.reason}; give it up, and begin anew`
      : `the rebuild of ${projector} stands at event ${failed.event}: ${failed.reason}`,
  );
}

/** How the rebuild ended that this process has had a part in. @throws RebuildStopped when it was given up */
async function whoEnded({ live, rebuildable: { projector } }: RebuildOptions): Promise<Rebuilt['how']> {
  const [last] = await live.query<{ action: string }[]>(
    `SELECT action FROM "${projector.schema}".projector_interventions
     WHERE projector = $1 AND action LIKE 'rebu%' ORDER BY at DESC LIMIT 1`,
    [projector.name],
  );
  if (last?.action === 'rebuilt') return 'switched over by another process';
  throw new RebuildStopped(`the rebuild of ${projector.name} was given up`);
}

/** How much of the log the segments have applied, 0 to 1; positions grow about as events do. */
function shareOf(rows: readonly Row[], origin: bigint | undefined, head: bigint | undefined): number {
  if (origin === undefined || head === undefined || head <= origin) return 1;
  const done = rows.map(({ position }) => (position === null ? 0 : Number(BigInt(position) - origin)));
  const sum = done.reduce((total, each) => total + Math.max(0, each), 0);
  return Math.min(1, sum / rows.length / Number(head - origin));
}

/** Position of the first event; undefined without any. */
async function firstOf(store: EventStore, { prefixes }: Projector): Promise<bigint | undefined> {
  const looked = new AbortController();
  const signal = AbortSignal.any([looked.signal, AbortSignal.timeout(SWITCH_WAIT_MS)]);
  try {
    for await (const item of store.subscribe({ after: undefined, prefixes, signal })) {
      if ('caughtUp' in item) return undefined;
      if ('revision' in item) return item.position;
    }
    return undefined;
  } finally {
    looked.abort();
  }
}

/** What the segments have not applied yet, and the position up to which this is all; undefined when it is much, or the store is slow. */
async function tailOf(
  { rebuildable: { projector }, store }: Pick<RebuildOptions, 'rebuildable' | 'store'>,
  rows: readonly Row[],
): Promise<{ events: StoredEvent[]; to: bigint | undefined } | undefined> {
  const stands = rows.map(({ position }) => (position === null ? undefined : BigInt(position)));
  const after = stands.reduce((one, two) =>
    one === undefined || two === undefined ? undefined : one < two ? one : two,
  );
  const looked = new AbortController();
  const signal = AbortSignal.any([looked.signal, AbortSignal.timeout(SWITCH_WAIT_MS)]);
  const events: StoredEvent[] = [];
  let to: bigint | undefined;
  try {
    for await (const item of store.subscribe({ after, prefixes: projector.prefixes, signal })) {
      if ('caughtUp' in item) return { events, to };
      to = 'checkpoint' in item ? item.checkpoint : item.position;
      if ('checkpoint' in item || projector.takes?.(item) === false) continue;
      const stood = stands[segmentOf(parseStream(item.stream)?.userId ?? item.stream, rows.length)];
      if (stood === undefined || item.position > stood) events.push(item);
      if (events.length > SWITCH_EVENTS) return undefined;
    }
    return undefined;
  } finally {
    looked.abort();
  }
}
