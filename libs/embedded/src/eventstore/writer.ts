import type { Client } from 'pg';
import { openWriterConnection } from './connection';
import { headColumns, type Heads } from './heads';
import type { Limits } from './limits';
import type { Log, Operation, Outcome, RecordedEvent } from './model';
import { plan, repeatedPlaces, streamsTouchedBy, type Plan } from './plan';
import { RecentEvents, storedIds } from './repeats';
import { isSoftDeleted, metastreamOf } from './streams';
import type { Tail } from './tail';

/** What the scavenger asks for. */
interface Statement {
  text: string;
  values: unknown[];
  resolve(result: { rows: object[]; rowCount: number }): void;
  reject(error: Error): void;
}

/**
 * The only one who writes. What waits is taken together, decided against the heads, stored by one statement (which is
 * one transaction), and answered. While a commit is under way the next ones gather: the busier, the larger the groups.
 *
 * All writing happens on the connection that holds the lock. When a commit fails, or that connection is lost, nobody
 * knows what was stored: the operations of that commit are answered as unavailable, those behind them wait, memory is
 * forgotten, and a new connection with the lock starts from what Postgres says. Without one the writer fails for good.
 */
export class Writer {
  /** Resolves when the writer cannot go on. */
  readonly failed: Promise<Error>;

  private waiting: Operation[] = [];
  private waitingBytes = 0;
  private committing: Operation[] = [];
  private statements: Statement[] = [];
  private readonly settled = new WeakSet<Operation>();
  private connection: Client | undefined;
  private lastPosition = 0n;
  private readonly recent: RecentEvents;
  private running: Promise<void> | undefined;
  private state: 'open' | 'closing' | 'failed' = 'open';
  private reportFailure!: (error: Error) => void;
  private readonly sweeper: NodeJS.Timeout;

  constructor(
    private readonly databaseUrl: string,
    private readonly heads: Heads,
    private readonly tail: Tail,
    private readonly limits: Limits,
    private readonly log: Log,
  ) {
    this.recent = new RecentEvents(limits.repeatLookBack);
    this.failed = new Promise((resolve) => (this.reportFailure = resolve));
    this.sweeper = setInterval(() => this.expire(), limits.deadlineSweepMs);
  }

  /** Connects, takes the lock, reads where the log ends. Rejects when that cannot be had. */
  async open(): Promise<void> {
    try {
      await this.connected();
    } catch (error) {
      clearInterval(this.sweeper);
      throw error;
    }
  }

  /** Puts an operation in line; its outcome comes by `settle`. */
  submit(operation: Operation): void {
    if (this.state !== 'open') {
      this.settle(operation, { kind: 'unavailable', message: 'the event store is not taking writes: it is stopping' });
    } else if (
      this.waiting.length >= this.limits.waitingAppends ||
      this.waitingBytes + operation.bytes > this.limits.waitingBytes
    ) {
      this.settle(operation, { kind: 'busy' });
    } else {
      this.waiting.push(operation);
      this.waitingBytes += operation.bytes;
      this.wake();
    }
  }

  /** Runs a statement on the connection with the lock, between two commits. Keep it short: appends wait for it. */
  query<Row extends object>(text: string, values: unknown[] = []): Promise<{ rows: Row[]; rowCount: number }> {
    if (this.state !== 'open') return Promise.reject(new Error('the event store is stopping'));
    return new Promise((resolve, reject) => {
      this.statements.push({ text, values, resolve: resolve as Statement['resolve'], reject });
      this.wake();
    });
  }

  /** Takes nothing new, stores what waits, lets go of the lock. */
  async close(): Promise<void> {
    if (this.state === 'open') this.state = 'closing';
    while (this.running) await this.running;
    clearInterval(this.sweeper);
    const { connection } = this;
    this.connection = undefined;
    await connection?.end().catch(() => undefined);
  }

  private wake(): void {
    this.running ??= new Promise(setImmediate)
      .then(() => this.run())
      .catch((error: Error) => this.fail(error))
      .finally(() => {
        this.running = undefined;
        const idle =
          this.waiting.length + this.statements.length === 0 &&
          (this.connection !== undefined || this.state === 'closing');
        if (!idle && this.state !== 'failed') this.wake();
      });
  }

  private async run(): Promise<void> {
    const connection = await this.connected();
    while (this.connection === connection && this.waiting.length + this.statements.length > 0) {
      const statement = this.statements.shift();
      if (statement) await this.execute(statement, connection);
      if (this.connection === connection && this.waiting.length > 0) await this.commit(this.take(), connection);
    }
  }

  private async execute({ text, values, resolve, reject }: Statement, connection: Client): Promise<void> {
    try {
      const { rows, rowCount } = await this.inTime(connection.query(text, values));
      resolve({ rows, rowCount: rowCount ?? 0 });
    } catch (error) {
      this.lose(connection);
      reject(error as Error);
    }
  }

  private take(): Operation[] {
    let bytes = 0;
    let count = 0;
    for (const operation of this.waiting) {
      if (count >= this.limits.commitAppends || (count > 0 && bytes + operation.bytes > this.limits.commitBytes)) break;
      bytes += operation.bytes;
      count++;
    }
    this.waitingBytes -= bytes;
    return this.waiting.splice(0, count);
  }

  private async commit(operations: Operation[], connection: Client): Promise<void> {
    this.committing = operations;
    let planned: Plan;
    try {
      planned = await this.inTime(this.decideAndStore(operations, connection));
    } catch (error) {
      // Here the operations of this commit are answered, and only they: what waits behind them stays in line.
      const message = (error as Error).message;
      this.log('error', 'a commit failed', { error: message, appends: operations.length });
      this.committing = [];
      this.lose(connection);
      for (const operation of operations)
        this.settle(operation, { kind: 'unavailable', message: `the commit failed, it may have happened: ${message}` });
      return;
    }
    this.committing = [];
    this.lastPosition = planned.lastPosition;
    this.heads.committed(planned.heads);
    this.recent.add(planned.events);
    if (planned.events.length > 0) this.tail.publish(planned.events);
    for (const [index, operation] of operations.entries()) this.settle(operation, planned.outcomes[index]!);
  }

  private async decideAndStore(operations: Operation[], connection: Client): Promise<Plan> {
    const heads = await this.heads.load(new Set(operations.flatMap(streamsTouchedBy)), connection);
    const undeleted = operations.filter(({ stream }) => isSoftDeleted(heads.get(stream)!));
    if (undeleted.length > 0) {
      const metastreams = await this.heads.load(
        new Set(undeleted.map(({ stream }) => metastreamOf(stream))),
        connection,
      );
      for (const [stream, head] of metastreams) heads.set(stream, head);
    }
    const old = operations
      .filter(({ stream, events }) => events.some(({ id }) => !this.recent.find(stream, id)))
      .flatMap((operation) => repeatedPlaces(operation, heads.get(operation.stream)!));
    const planned = plan(operations, {
      heads,
      lastPosition: this.lastPosition,
      now: Date.now(),
      recent: (stream, id) => this.recent.find(stream, id),
      stored: old.length > 0 ? await storedIds(old, connection) : new Map(),
    });
    if (planned.events.length > 0) await store(planned, connection);
    return planned;
  }

  private async inTime<T>(work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`no answer from Postgres for ${this.limits.commitMs} ms`)),
        this.limits.commitMs,
      );
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The open connection, or a new one with everything in memory read again from Postgres. */
  private async connected(): Promise<Client> {
    if (this.connection) return this.connection;
    const wanted = () => this.state === 'open' || this.waiting.length > 0;
    const connection = await openWriterConnection(this.databaseUrl, this.limits, this.log, wanted);
    const { rows } = await connection.query<{ last_position: string }>('SELECT last_position FROM events.log');
    await this.recent.reload(connection);
    this.heads.clear();
    this.lastPosition = BigInt(rows[0]!.last_position);
    this.connection = connection;
    connection.once('end', () => this.lose(connection));
    // Subscribers look into Postgres once: a commit whose answer was lost may have happened.
    this.tail.reset(this.lastPosition);
    return connection;
  }

  private lose(connection: Client): void {
    if (this.connection !== connection) return;
    this.connection = undefined;
    this.heads.clear();
    connection.end().catch(() => undefined);
    if (this.state !== 'open') return;
    this.log('warn', 'the connection with the lock is lost, taking it again');
    this.wake();
  }

  private fail(error: Error): void {
    if (this.state === 'failed') return;
    this.state = 'failed';
    this.log('error', 'the event store stops', { error: error.message });
    for (const operation of this.waiting)
      this.settle(operation, { kind: 'unavailable', message: `the event store stops: ${error.message}` });
    for (const { reject } of this.statements) reject(error);
    this.waiting = [];
    this.waitingBytes = 0;
    this.statements = [];
    this.reportFailure(error);
  }

  /** Answers what has waited past its deadline; of a commit under way the answer is that nobody knows. */
  private expire(): void {
    const now = Date.now();
    for (const operation of this.committing) if (operation.deadline <= now) this.settle(operation, { kind: 'timeout' });
    const expired = this.waiting.filter(({ deadline }) => deadline <= now);
    if (expired.length === 0) return;
    this.waiting = this.waiting.filter(({ deadline }) => deadline > now);
    for (const operation of expired) {
      this.waitingBytes -= operation.bytes;
      this.settle(operation, { kind: 'timeout' });
    }
  }

  private settle(operation: Operation, outcome: Outcome): void {
    if (this.settled.has(operation)) return;
    this.settled.add(operation);
    operation.settle(outcome);
  }
}

/** One statement, so one transaction: the events, the heads of their streams, the end of the log. */
async function store({ events, heads, lastPosition }: Plan, connection: Client): Promise<void> {
  const { blob, starts } = joinPayloads(events);
  await connection.query({
    name: 'store',
    text: `
      WITH log AS (
        UPDATE events.log SET last_position = $1
      ), heads AS (
        INSERT INTO events.streams AS head (name, revision, metadata, visible_from, max_age)
        SELECT * FROM unnest($2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[])
        ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, metadata = excluded.metadata,
          visible_from = excluded.visible_from, max_age = excluded.max_age
      )
      INSERT INTO events.events (position, stream, revision, id, type, is_json, created, data, metadata)
      SELECT position, stream, revision, id, type, is_json, $7,
        substring($8::bytea FROM starts FOR data_bytes), substring($8::bytea FROM starts + data_bytes FOR metadata_bytes)
      FROM unnest($9::bigint[], $10::text[], $11::bigint[], $12::uuid[], $13::text[], $14::boolean[],
                  $15::int[], $16::int[], $17::int[])
        AS event (position, stream, revision, id, type, is_json, starts, data_bytes, metadata_bytes)`,
    values: [
      lastPosition,
      ...headColumns(heads),
      events[0]!.created,
      blob,
      events.map(({ position }) => position),
      events.map(({ stream }) => stream),
      events.map(({ revision }) => revision),
      events.map(({ id }) => id),
      events.map(({ type }) => type),
      events.map(({ isJson }) => isJson),
      starts,
      events.map(({ data }) => data.length),
      events.map(({ metadata }) => metadata.length),
    ],
  });
}

/** All payloads as one parameter: as an array each would be sent as hexadecimal text. Starts count from 1, as in SQL. */
function joinPayloads(events: RecordedEvent[]): { blob: Buffer; starts: number[] } {
  const parts: Uint8Array[] = [];
  const starts: number[] = [];
  let start = 1;
  for (const { data, metadata } of events) {
    parts.push(data, metadata);
    starts.push(start);
    start += data.length + metadata.length;
  }
  return { blob: Buffer.concat(parts), starts };
}
