import { EventStore, parseStream, StoredEvent } from '@balados/event-sourcing';
import { DataSource } from 'typeorm';
import { noteIntervention } from './interventions';
import { Projector } from './projector';
import { rebuildOf, segmentOf } from './segments';

/** The event is looked for so long, in milliseconds. */
export const SKIP_SEARCH_MS = 30_000;

export interface Skipped {
  projector: string;
  segment: number;
  event: StoredEvent;
  reason: string;
}

interface Row {
  projector: string;
  segment: number;
  position: string | null;
  failed_reason: string;
  segments: number;
}

/**
 * Moves the segments of a projector, or of its rebuild, that stand still at an event past it, and notes it. The processes that hold them go
 * on by themselves.
 * @param check throws where the event is one that must not be skipped; then nothing is
 * @returns what was skipped: nothing when none stands at that event
 * @throws Error when the log does not show the event where it should be
 */
export async function skipEvent(
  dataSource: DataSource,
  store: EventStore,
  projector: Projector,
  event: string,
  check: (event: StoredEvent) => void = () => undefined,
): Promise<Skipped[]> {
  const { schema, name } = projector;
  const stuck = await dataSource.query<Row[]>(
    `SELECT projector, segment, position, failed_reason,
       (SELECT count(*)::int FROM "${schema}".projector_segments all_of WHERE all_of.projector = s.projector) AS segments
     FROM "${schema}".projector_segments s WHERE projector = ANY($1) AND failed_event = $2 ORDER BY projector, segment`,
    [[name, rebuildOf(name)], event],
  );
  const skipped: Skipped[] = [];
  for (const row of stuck) {
    const found = await nextOf(store, projector, row);
    if (found?.id !== event)
      throw new Error(`segment ${row.segment} of ${row.projector} does not stand before event ${event} in this log`);
    check(found);
    const isMoved = await dataSource.transaction(async (sql) => {
      // Whoever holds it takes it anew, from behind the event.
      const [, moved] = await sql.query<[unknown, number]>(
        `UPDATE "${schema}".projector_segments SET position = $5, epoch = epoch + 1, moved_at = clock_timestamp(),
           failed_event = NULL, failed_reason = NULL, failed_at = NULL
         WHERE projector = $1 AND segment = $2 AND failed_event = $3 AND position IS NOT DISTINCT FROM $4`,
        [row.projector, row.segment, event, row.position, String(found.position)],
      );
      if (moved !== 1) return false;
      const { type, stream } = found;
      const of = { projector: row.projector, segment: row.segment, event, type, stream, reason: row.failed_reason };
      await noteIntervention(sql, schema, { ...of, action: 'event skipped' });
      return true;
    });
    // Otherwise it has gone on by itself meanwhile.
    if (isMoved)
      skipped.push({ projector: row.projector, segment: row.segment, event: found, reason: row.failed_reason });
  }
  return skipped;
}

/** The first event that a segment has not applied. */
async function nextOf(store: EventStore, { prefixes, takes }: Projector, row: Row): Promise<StoredEvent | undefined> {
  const after = row.position === null ? undefined : BigInt(row.position);
  const looked = new AbortController();
  const signal = AbortSignal.any([looked.signal, AbortSignal.timeout(SKIP_SEARCH_MS)]);
  try {
    for await (const item of store.subscribe({ after, prefixes, signal })) {
      if ('caughtUp' in item) return undefined;
      if (!('revision' in item) || takes?.(item) === false) continue;
      if (segmentOf(parseStream(item.stream)?.userId ?? item.stream, row.segments) === row.segment) return item;
    }
    return undefined;
  } finally {
    looked.abort();
  }
}
