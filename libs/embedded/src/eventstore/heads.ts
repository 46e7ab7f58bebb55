import { LRUCache } from 'lru-cache';
import type { ClientBase, Pool } from 'pg';
import type { Limits } from './limits';
import { NO_EVENTS, type RecordedEvent } from './model';
import { maxAge, visibleFrom, type Head, type StreamMetadata } from './streams';

/** Bytes that a head takes besides its name, its metadata and its last event; a rough figure. */
const HEAD_BYTES = 300;

/**
 * The committed heads of the streams in use. The writer is the only one to change them, and it tells this cache after
 * each commit, so what is here is right without asking Postgres. A stream that does not exist has a head, too.
 */
export class Heads {
  private readonly cache: LRUCache<string, Head>;
  private readonly loading = new Map<string, Promise<Head>>();

  constructor(private readonly limits: Limits) {
    this.cache = new LRUCache({ maxSize: limits.headBytes, sizeCalculation: headBytes });
  }

  get(stream: string): Head | undefined {
    return this.cache.get(stream);
  }

  /** What a commit has made true. */
  committed(heads: Map<string, Head>): void {
    for (const [stream, head] of heads) {
      // A load that began before this commit may bring the state before it: it must not be kept.
      this.loading.delete(stream);
      this.keep(stream, head);
    }
  }

  /** Forgets everything, after a commit of which nobody knows whether it happened. */
  clear(): void {
    this.loading.clear();
    this.cache.clear();
  }

  /** For a reader: the cached head, or the stored one. */
  async read(stream: string, pool: Pool): Promise<Head> {
    const known = this.cache.get(stream) ?? this.loading.get(stream);
    if (known) return known;
    const load = loadHeads([stream], pool).then((heads) => heads.get(stream)!);
    this.loading.set(stream, load);
    try {
      const head = await load;
      if (this.loading.get(stream) === load) this.keep(stream, head);
      return head;
    } finally {
      if (this.loading.get(stream) === load) this.loading.delete(stream);
    }
  }

  /** For the writer, which nobody overtakes: the heads of these streams, the unknown ones by one query. */
  async load(streams: Iterable<string>, client: ClientBase): Promise<Map<string, Head>> {
    const heads = new Map<string, Head>();
    const unknown: string[] = [];
    for (const stream of streams) {
      const head = this.cache.get(stream);
      if (head) heads.set(stream, head);
      else unknown.push(stream);
    }
    if (unknown.length === 0) return heads;
    const loaded = await loadHeads(unknown, client);
    this.committed(loaded);
    for (const [stream, head] of loaded) heads.set(stream, head);
    return heads;
  }

  /** Keeps the last event of a head that has not changed since. */
  remember(stream: string, head: Head, last: RecordedEvent): void {
    if (this.cache.get(stream)?.revision === head.revision) this.keep(stream, { ...this.cache.get(stream)!, last });
  }

  private keep(stream: string, head: Head): void {
    const { last } = head;
    if (last === undefined) return void this.cache.set(stream, head);
    const large = last.data.length + last.metadata.length > this.limits.headEventBytes;
    this.cache.set(stream, { ...head, last: large ? undefined : alone(last) });
  }
}

/** An event that does not keep alive the message, or the page, of which its payload was a part. */
function alone(event: RecordedEvent): RecordedEvent {
  const { data, metadata } = event;
  const isPart = data.buffer.byteLength > 2 * (data.length + metadata.length);
  return isPart
    ? { ...event, data: Uint8Array.from(data), metadata: Uint8Array.from(metadata), encoded: undefined }
    : event;
}

const headBytes = (head: Head, stream: string): number =>
  HEAD_BYTES +
  stream.length +
  (head.metadata ? HEAD_BYTES : 0) +
  (head.last ? HEAD_BYTES + 2 * (head.last.data.length + head.last.metadata.length) : 0);

async function loadHeads(streams: string[], client: ClientBase | Pool): Promise<Map<string, Head>> {
  const heads = new Map<string, Head>(streams.map((s) => [s, { revision: NO_EVENTS, metadata: undefined }]));
  const { rows } = await client.query<{ name: string; revision: string; metadata: string | null }>({
    name: 'heads',
    text: 'SELECT name, revision, metadata FROM events.streams WHERE name = ANY($1::text[])',
    values: [streams],
  });
  for (const { name, revision, metadata } of rows)
    heads.set(name, {
      revision: BigInt(revision),
      metadata: metadata === null ? undefined : (JSON.parse(metadata) as StreamMetadata),
    });
  return heads;
}

/** The columns of `events.streams` for these heads, one array each, in the order of the writer's INSERT. */
export function headColumns(heads: Map<string, Head>): unknown[] {
  const names = [...heads.keys()];
  const values = [...heads.values()];
  return [
    names,
    values.map(({ revision }) => revision),
    values.map(({ metadata }) => (metadata === undefined ? null : JSON.stringify(metadata))),
    values.map((head, index) => visibleFrom(names[index]!, head)),
    values.map((head) => maxAge(head) ?? null),
  ];
}
