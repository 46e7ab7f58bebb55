import { EventStore, parseStream, StoredEvent, typesOf } from '@balados/event-sourcing';
import { DataSource } from 'typeorm';
import { noteIntervention } from './interventions';
import { isPassingDatabaseError, MIGRATION_LOCK } from './postgres';
import { forgetRows, Row, rowsOf, takeRebuild } from './rebuild-rows';
import { NotYet, Rebuildable, RebuildStopped } from './rebuildable';
import { rebuildOf, segmentOf } from './segments';
import { isShadowCurrent, schemasOf, takePlaces } from './shadow';
import { takeTables } from './tables-lock';

/** What is left of the log when the tables are switched over: at most so many events, which are applied in that transaction, or one bundle. */
export const SWITCH_EVENTS = 500;
/** The switch-over waits at most so long for the batches under way and for the end of the log, in milliseconds; then it is tried again. */
export const SWITCH_WAIT_MS = 2_000;
/** And for those who read the tables just now, which whoever wants to read then waits for too. */
export const SWITCH_READERS_MS = 250;

/** Whose tables, and the log that they are made from. */
export interface Switched {
  rebuildable: Rebuildable;
  store: EventStore;
}

export interface SwitchTimes {
  /** That were left. */
  events: number;
  switchMs: number;
  unreadableMs: number;
}

/**
 * Live batches and those of the rebuild are held off, what is left of the log is applied here, and the tables change places. So nobody who
 * reads ever sees less than before, and whoever applied batches goes on from where the new tables stand.
 */
export async function switchOver({ rebuildable, store }: Switched, shadow: DataSource): Promise<SwitchTimes> {
  const { projector, tables, copied } = rebuildable;
  const { name, schema } = projector;
  const began = performance.now();
  let unreadableFrom = began;
  let events = 0;
  await shadow.transaction(async (sql) => {
    // The tables that were read before are gone for good with it.
    await sql.query('SET LOCAL synchronous_commit = on');
    await sql.query(`SET LOCAL lock_timeout = ${SWITCH_WAIT_MS}`);
    // What a migration changes of the tables from here on would go with them.
    await sql.query(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK}::bigint)`);
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
    const tail = await tailOf({ rebuildable, store }, made);
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

/** What the segments have not applied yet, and the position up to which this is all; undefined when it is much, or the store is slow. */
export async function tailOf(
  { rebuildable: { projector }, store }: Switched,
  rows: readonly Row[],
): Promise<{ events: StoredEvent[]; to: bigint | undefined } | undefined> {
  const stands = rows.map(({ position }) => (position === null ? undefined : BigInt(position)));
  const after = stands.reduce((one, two) =>
    one === undefined || two === undefined ? undefined : one < two ? one : two,
  );
  const looked = new AbortController();
  const signal = AbortSignal.any([looked.signal, AbortSignal.timeout(SWITCH_WAIT_MS)]);
  const events: StoredEvent[] = [];
  let told = 0;
  let to: bigint | undefined;
  try {
    for await (const item of store.subscribe({ after, prefixes: projector.prefixes, signal })) {
      if ('caughtUp' in item) return { events, to };
      to = 'checkpoint' in item ? item.checkpoint : item.position;
      if ('checkpoint' in item || projector.takes?.(item) === false) continue;
      const stood = stands[segmentOf(parseStream(item.stream)?.userId ?? item.stream, rows.length)];
      if (stood !== undefined && item.position <= stood) continue;
      events.push(item);
      told += typesOf(item).length;
      if (told > SWITCH_EVENTS && events.length > 1) return undefined;
    }
    return undefined;
  } finally {
    looked.abort();
  }
}
