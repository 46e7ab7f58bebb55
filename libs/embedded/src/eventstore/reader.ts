import { Pool } from 'pg';
import { SESSION } from './connection';
import { everything, matches, type Filter } from './filter';
import type { Limits } from './limits';
import type { Log, RecordedEvent } from './model';
import { visibleFrom, visibleSince, type Head } from './streams';

export type Direction = 'forwards' | 'backwards';

/** A piece of a read of the whole log, in order: an event, or a position up to which all that matched was sent. */
export type Found = { event: RecordedEvent } | { checkpoint: bigint };

type EventRow = [string, string, string, string, string, boolean, string, Buffer, Buffer];
const COLUMNS = 'position, stream, revision, id, type, is_json, created, data, metadata';
/** Larger than any number of events, for "no checkpoints". */
const NEVER = Number.MAX_SAFE_INTEGER;

/** Reads from Postgres in pages, bounded in events and bytes, the next one under way while the last one is sent. */
export class Reader {
  readonly pool: Pool;

  constructor(
    databaseUrl: string,
    private readonly limits: Limits,
    log: Log,
  ) {
    this.pool = new Pool({
      connectionString: databaseUrl,
      application_name: 'eventstore reader',
      max: limits.readConnections,
      connectionTimeoutMillis: limits.connectMs,
      keepAlive: true,
      options: SESSION,
    });
    this.pool.on('error', (error) => log('warn', 'a connection for reads is lost', { error: error.message }));
  }

  /** At most `count` visible events of a stream, from a revision on (inclusive) to its head, or back to its beginning. */
  async *stream(
    stream: string,
    head: Head,
    direction: Direction,
    from: bigint,
    count: number,
  ): AsyncGenerator<RecordedEvent[]> {
    const forwards = direction === 'forwards';
    const first = visibleFrom(stream, head);
    const since = visibleSince(head);
    const end = forwards ? head.revision : first;
    const start = forwards ? max(from, first) : min(from, head.revision);
    yield* pages({ start, left: count }, async ({ start, left }) => {
      if (left <= 0 || (forwards ? start > end : start < end)) return { page: [] };
      const { rows } = await this.pool.query<EventRow>({
        name: `stream-${direction}`,
        text: streamPage[direction],
        values: [
          stream,
          forwards ? start : end,
          forwards ? end : start,
          since,
          this.pageEvents(left),
          this.limits.pageBytes,
        ],
        rowMode: 'array',
      });
      const page = rows.map(toEvent);
      const last = page.at(-1);
      if (!last) return { page };
      return { page, next: { start: last.revision + (forwards ? 1n : -1n), left: left - page.length } };
    });
  }

  /**
   * At most `count` events of the whole log that pass the filter, from after a position up to another one (inclusive),
   * or from before it back to the beginning. Forwards, with checkpoints in between when the filter asks for them.
   */
  async *all(
    direction: Direction,
    from: bigint,
    until: bigint,
    count: number,
    filter: Filter = everything,
  ): AsyncGenerator<Found[]> {
    const every = filter.checkpointEvery || NEVER;
    yield* pages({ start: from, left: count, carry: 0 }, async ({ start, left, carry }) => {
      if (left <= 0 || (direction === 'forwards' ? start >= until : start <= until)) return { page: [] };
      const limit = this.pageEvents(left);
      const { rows } = await this.pool.query<[...EventRow, boolean, string]>({
        name: `all-${direction}-${filter.on}`,
        text: allPage(direction, filter.on),
        values: [
          filter.regex ? [''] : filter.prefixes,
          start,
          until,
          this.limits.pageScan,
          carry,
          every,
          this.limits.pageBytes,
          limit,
        ],
        rowMode: 'array',
      });
      const page: Found[] = [];
      let bytes = 0;
      let events = 0;
      for (const row of rows) {
        const [matched, ordinal] = [row[9], Number(row[10])];
        const event = toEvent(row as unknown as EventRow);
        bytes += event.data.length + event.metadata.length;
        if (matched && (!filter.regex || matches(filter, event))) {
          page.push({ event });
          events++;
        }
        if ((carry + ordinal) % every === 0) page.push({ checkpoint: event.position });
      }
      const last = rows.at(-1);
      const scanned = Number(last?.[10] ?? 0);
      const isLastPage = rows.length < limit && scanned < this.limits.pageScan && bytes < this.limits.pageBytes;
      if (!last || isLastPage) return { page };
      return { page, next: { start: BigInt(last[0]), left: left - events, carry: (carry + scanned) % every } };
    });
  }

  close(): Promise<void> {
    return this.pool.end();
  }

  private pageEvents(left: number): number {
    return Math.min(left, this.limits.pageEvents);
  }
}

/** Pages one after the other, each asked for before the one before it is handed over. */
async function* pages<Cursor, Item>(
  start: Cursor,
  fetch: (cursor: Cursor) => Promise<{ page: Item[]; next?: Cursor }>,
): AsyncGenerator<Item[]> {
  let coming: Promise<{ page: Item[]; next?: Cursor }> | undefined = fetch(start);
  while (coming) {
    const { page, next }: { page: Item[]; next?: Cursor } = await coming;
    coming = next === undefined ? undefined : fetch(next);
    // The reader may leave before it comes to this page, and its failure is nobody's then.
    coming?.catch(() => undefined);
    if (page.length > 0) yield page;
  }
}

const order = { forwards: 'ASC', backwards: 'DESC' };
const BYTES = 'octet_length(data) + octet_length(metadata)';

const streamPageIn = (direction: Direction) => `
  SELECT ${COLUMNS} FROM (
    SELECT *, sum(${BYTES}) OVER (ORDER BY revision ${order[direction]} ROWS UNBOUNDED PRECEDING) - (${BYTES}) AS before
    FROM events.events
    WHERE stream = $1 AND revision >= $2 AND revision <= $3 AND created >= $4
    ORDER BY revision ${order[direction]} LIMIT $5
  ) page WHERE before < $6`;
const streamPage = { forwards: streamPageIn('forwards'), backwards: streamPageIn('backwards') };

/** Looks through $4 rows and gives those that match, those where a checkpoint is due, and the last one looked at. */
const allPage = (direction: Direction, on: Filter['on']) => `
  SELECT ${COLUMNS.replace('data, metadata', `CASE WHEN matched THEN data ELSE '' END, CASE WHEN matched THEN metadata ELSE '' END`)},
    matched, ordinal
  FROM (
    SELECT *, row_number() OVER walk AS ordinal,
      sum(CASE WHEN matched THEN ${BYTES} ELSE 0 END) OVER walk - CASE WHEN matched THEN ${BYTES} ELSE 0 END AS before
    FROM (
      SELECT *, ${on} ^@ ANY($1::text[]) AS matched
      FROM events.events
      WHERE ${direction === 'forwards' ? 'position > $2 AND position <= $3' : 'position < $2 AND position > $3'}
      ORDER BY position ${order[direction]} LIMIT $4
    ) scanned
    WINDOW walk AS (ORDER BY position ${order[direction]} ROWS UNBOUNDED PRECEDING)
  ) page
  WHERE (matched OR ($5::bigint + ordinal) % $6::bigint = 0 OR ordinal = $4) AND before < $7
  LIMIT $8`;

function toEvent(row: EventRow): RecordedEvent {
  const [position, stream, revision, id, type, isJson, created, data, metadata] = row;
  return {
    position: BigInt(position),
    stream,
    revision: BigInt(revision),
    id,
    type,
    isJson,
    created: Number(created),
    data,
    metadata,
  };
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
