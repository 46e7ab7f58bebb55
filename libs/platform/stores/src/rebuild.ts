import { setTimeout as delay } from 'node:timers/promises';
import { EventStore, StoreUnavailable } from '@balados/event-sourcing';
import { DataSource, EntityManager } from 'typeorm';
import { noteIntervention } from './interventions';
import { messageOf, silent } from './log';
import { isPassingDatabaseError, openPostgres, Sql } from './postgres';
import { Projector } from './projector';
import { runProjector, RunningProjector } from './projector-runner';
import { forgetRows, Row, rowsOf, takeRebuild } from './rebuild-rows';
import { NotYet, Rebuildable, RebuildStopped } from './rebuildable';
import { LEASE_MS, Leases, rebuildOf, SEGMENTS } from './segments';
import {
  alignPartitions,
  analyzeShadow,
  completeShadow,
  dropShadow,
  isShadowCurrent,
  makeShadow,
  schemasOf,
  shadowSchema,
} from './shadow';
import { SWITCH_WAIT_MS, switchOver, SwitchTimes, tailOf } from './switch-over';
import { takeTables } from './tables-lock';

/** How often a rebuild looks how far it is, in milliseconds. */
export const REBUILD_LOOK_MS = 500;
/** Segments that are made anew together are parted when a transaction takes longer, in milliseconds. */
export const REBUILD_PATIENCE_MS = 60_000;

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
    let progress: RebuildProgress | undefined;
    /** @returns whether all is applied but for what the switch-over can; undefined when it is over */
    const look = async (): Promise<boolean | undefined> => {
      const rows = await rowsOf(live, projector.schema, [counting.name]);
      if (rows.length === 0) return undefined;
      complain(running, projector.name);
      origin ??= await firstOf(store, projector);
      const share = shareOf(rows, origin, await store.headPosition());
      first ??= share;
      progress = {
        share,
        events,
        perSecond: events / seconds(),
        secondsLeft: share > first ? ((1 - share) * seconds()) / (share - first) : undefined,
        processes: await membersOf(live, counting),
        trouble: running.trouble,
      };
      options.onProgress?.(progress);
      return running.caughtUp && (await tailOf(options, rows)) !== undefined;
    };
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
    for (;;) {
      await delay(lookMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return { how: 'stopped', events, seconds: seconds() };
      try {
        const isReady = await look();
        if (isReady === undefined) return { how: await whoEnded(options), events, seconds: seconds() };
        if (!isReady) continue;
        try {
          await (options.alone ? options.alone(lastSteps) : lastSteps());
          return { ...times, how: 'switched over', events, seconds: seconds() };
        } catch (error) {
          // Whoever was faster has taken the tables away.
          if (passes(error) || (await rowsOf(live, projector.schema, [counting.name])).length > 0) throw error;
        }
      } catch (error) {
        if (!passes(error)) throw error;
        options.onProgress?.({ ...(progress ?? NO_PROGRESS), trouble: messageOf(error) });
      }
    }
  } finally {
    await running.close();
    await shadow.destroy();
  }
}

const NO_PROGRESS = { share: 0, events: 0, perSecond: 0, secondsLeft: undefined, processes: 1 };

/** What is tried again: by then a store that is away is back, or somebody else has gone on. */
const passes = (error: unknown): boolean =>
  error instanceof NotYet || error instanceof StoreUnavailable || isPassingDatabaseError(error);

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
    // Whoever did it knows that it is done.
    await sql.query('SET LOCAL synchronous_commit = on');
    await takeRebuild(sql, projector.name);
    await completeShadow(sql, tables);
    await analyzeShadow(sql, tables);
  });

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
