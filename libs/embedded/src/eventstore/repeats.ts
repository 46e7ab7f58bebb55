import type { ClientBase } from 'pg';
import type { RecordedEvent } from './model';

export type Place = Pick<RecordedEvent, 'revision' | 'position'>;

/** Where the newest events of the log are, by stream and id: a repeated append is recognised by its events' ids. */
export class RecentEvents {
  private readonly places = new Map<string, Place>();

  constructor(private readonly lookBack: number) {}

  find(stream: string, id: string): Place | undefined {
    return this.places.get(key(stream, id));
  }

  add(events: Iterable<Place & Pick<RecordedEvent, 'stream' | 'id'>>): void {
    for (const { stream, id, revision, position } of events) this.places.set(key(stream, id), { revision, position });
    for (const oldest of this.places.keys()) {
      if (this.places.size <= this.lookBack) break;
      this.places.delete(oldest);
    }
  }

  async reload(client: ClientBase): Promise<void> {
    this.places.clear();
    const { rows } = await client.query<{ stream: string; id: string; revision: string; position: string }>(
      `SELECT * FROM (SELECT stream, id, revision, position FROM events.events ORDER BY position DESC LIMIT $1) newest
       ORDER BY position`,
      [this.lookBack],
    );
    this.add(rows.map((row) => ({ ...row, revision: BigInt(row.revision), position: BigInt(row.position) })));
  }
}

/** The ids that stand at these places of the log, for repeats older than the look-back. */
export async function storedIds(
  places: { stream: string; revision: bigint }[],
  client: ClientBase,
): Promise<Map<string, { id: string; position: bigint }>> {
  const { rows } = await client.query<{ stream: string; revision: string; id: string; position: string }>({
    name: 'stored-ids',
    text: `SELECT e.stream, e.revision, e.id, e.position
           FROM unnest($1::text[], $2::bigint[]) AS wanted (stream, revision)
           JOIN events.events e ON e.stream = wanted.stream AND e.revision = wanted.revision`,
    values: [places.map(({ stream }) => stream), places.map(({ revision }) => revision)],
  });
  return new Map(
    rows.map(({ stream, revision, id, position }) => [key(stream, revision), { id, position: BigInt(position) }]),
  );
}

export const key = (stream: string, idOrRevision: string | bigint): string => `${idOrRevision}@${stream}`;
