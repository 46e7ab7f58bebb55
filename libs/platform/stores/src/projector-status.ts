import { EventStore, parseStream } from '@balados/event-sourcing';
import { Intervention } from './interventions';
import { Sql } from './postgres';
import { Projector } from './projector';
import { rebuildOf, segmentOf } from './segments';

/** What a segment has not applied is counted up to so many events, and for so many milliseconds. */
export const LAG_EVENTS_MAX = 100_000;
export const LAG_COUNTED_MS = 10_000;
/** So many of the last interventions are told. */
export const INTERVENTIONS_TOLD = 20;

export interface SegmentStanding {
  segment: number;
  position: string | null;
  /** Events that it has not applied; null when that could not be counted. */
  lagEvents: number | null;
  /** Whether these are more, and counting them was given up. */
  isLagMore: boolean;
  /** Since the first of these was recorded; 0 without any. */
  lagSeconds: number | null;
  /** The process that holds it; null for none, or one that no longer says so. */
  owner: string | null;
  storeId: string | null;
  /** When it moved last. */
  movedAt: Date;
  failed: { event: string | null; reason: string; at: Date } | null;
}

export interface ProjectorStanding {
  projector: string;
  /** Of those that are being made anew. */
  isRebuild: boolean;
  /** That say that they work on it. */
  processes: number;
  segments: SegmentStanding[];
}

interface Row {
  segment: number;
  position: string | null;
  store_id: string | null;
  owner: string | null;
  failed_event: string | null;
  failed_reason: string | null;
  failed_at: Date | null;
  moved_at: Date;
}

/** How far lags are counted. */
interface Counting {
  eventsMax: number;
  milliseconds: number;
}

/** Where a projector's segments stand, and those of its rebuild, if there is one. */
export async function standingsOf(
  sql: Sql,
  store: EventStore,
  projector: Projector,
  counting: Counting = { eventsMax: LAG_EVENTS_MAX, milliseconds: LAG_COUNTED_MS },
): Promise<ProjectorStanding[]> {
  const standings: ProjectorStanding[] = [];
  for (const name of [projector.name, rebuildOf(projector.name)]) {
    const rows = await sql.query<Row[]>(
      `SELECT segment, position, store_id, CASE WHEN leased_until > clock_timestamp() THEN owner END AS owner,
         failed_event, failed_reason, failed_at, moved_at
       FROM "${projector.schema}".projector_segments WHERE projector = $1 ORDER BY segment`,
      [name],
    );
    if (rows.length === 0) continue;
    const lags = await lagsOf(store, projector, rows, counting);
    standings.push({
      projector: name,
      isRebuild: name !== projector.name,
      processes: new Set(rows.flatMap(({ owner }) => owner ?? [])).size,
      segments: rows.map((row, index) => ({
        segment: row.segment,
        position: row.position,
        ...lags[index]!,
        owner: row.owner,
        storeId: row.store_id,
        movedAt: row.moved_at,
        failed: row.failed_at && { event: row.failed_event, reason: row.failed_reason ?? '', at: row.failed_at },
      })),
    });
  }
  return standings;
}

type Lag = Pick<SegmentStanding, 'lagEvents' | 'isLagMore' | 'lagSeconds'>;

/** Reads the log once, from where the last of them stands. */
async function lagsOf(
  store: EventStore,
  { prefixes, takes }: Projector,
  rows: readonly Row[],
  { eventsMax, milliseconds }: Counting,
): Promise<Lag[]> {
  const [storeId, head] = [await store.storeId(), await store.headPosition()];
  const lags = rows.map(({ position, store_id }): Lag & { after: bigint | undefined } => {
    const after = position === null ? undefined : BigInt(position);
    // In another log, or beyond the end of this one, it is nowhere.
    const isLost = (store_id ?? storeId) !== storeId || (after !== undefined && (head === undefined || after > head));
    return { after, isLagMore: false, lagEvents: isLost ? null : 0, lagSeconds: isLost ? null : 0 };
  });
  const counted = lags.filter(({ lagEvents }) => lagEvents !== null);
  if (counted.length === 0) return lags.map(withoutPosition);
  const after = counted
    .map((lag) => lag.after)
    .reduce((one, two) => (one === undefined || two === undefined ? undefined : one < two ? one : two));
  const looked = new AbortController();
  const signal = AbortSignal.any([looked.signal, AbortSignal.timeout(milliseconds)]);
  let events = 0;
  let isWhole = false;
  try {
    for await (const item of store.subscribe({ after, prefixes, signal })) {
      isWhole = 'caughtUp' in item;
      if (isWhole || events >= eventsMax) break;
      if (!('revision' in item) || takes?.(item) === false) continue;
      events += 1;
      const lag = lags[segmentOf(parseStream(item.stream)?.userId ?? item.stream, rows.length)]!;
      if (lag.lagEvents === null || (lag.after !== undefined && item.position <= lag.after)) continue;
      if (lag.lagEvents === 0) {
        const { recordedAt } = item.metadata as { recordedAt?: string };
        lag.lagSeconds = Math.max(0, (Date.now() - Date.parse(recordedAt ?? '')) / 1_000);
      }
      lag.lagEvents += 1;
    }
  } finally {
    looked.abort();
  }
  for (const lag of counted) lag.isLagMore = !isWhole;
  return lags.map(withoutPosition);
}

const withoutPosition = ({ lagEvents, isLagMore, lagSeconds }: Lag): Lag => ({
  lagEvents,
  isLagMore,
  lagSeconds: Number.isNaN(lagSeconds) ? null : lagSeconds,
});

/** The last things that people did to the projectors of a schema, the newest first. */
export const interventionsOf = (sql: Sql, schema: string): Promise<Intervention[]> =>
  sql.query<Intervention[]>(
    `SELECT * FROM "${schema}".projector_interventions ORDER BY at DESC LIMIT ${INTERVENTIONS_TOLD}`,
  );
