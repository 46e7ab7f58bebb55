import { randomUUID } from 'node:crypto';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  Checkpoint,
  CaughtUp,
  EventStore,
  NewEvent,
  NO_EVENTS,
  RevisionConflict,
  StoredEvent,
  StoreUnavailable,
  StreamGone,
} from '@balados/event-sourcing';
import { isTracing, traced, traceparent } from '@balados/platform-tracing';
import {
  BACKWARDS,
  END,
  EventStoreDBClient,
  JSONEventData,
  NO_STREAM,
  ResolvedEvent,
  START,
  StreamingRead,
  streamNameFilter,
} from '@eventstore/db-client';
import { OperationsClient } from '@eventstore/db-client/generated/operations_grpc_pb';
import { ScavengeResp, StartScavengeReq } from '@eventstore/db-client/generated/operations_pb';
import { BatchAppendReq } from '@eventstore/db-client/generated/streams_pb';
import { SpanKind } from '@opentelemetry/api';
import { flawOfEventStoreUrl } from './event-store-url';
import { Log, messageOf, silent } from './log';

/** The store is taken for silent when appends wait and it has answered none for this long, in milliseconds. */
export const APPEND_TIMEOUT_MS = 3_000;
/** An append is tried again for this long altogether, in milliseconds. */
export const APPEND_DEADLINE_MS = 10_000;
/**
 * How long the server may let an append lie, in milliseconds. The client sends it as a time of day, so it must outweigh
 * the difference between two machines' clocks.
 */
export const APPEND_SERVER_DEADLINE_MS = 60_000;
/** Pauses between the attempts to append, in milliseconds: doubled from the first to the longest. */
export const APPEND_PAUSE_MS = 50;
export const APPEND_LONGEST_PAUSE_MS = 1_000;
/** Messages that may lie in the client's send buffer. Its limit is 16; see `Lane`. */
export const APPEND_BUFFER = 15;
/** How often a full send buffer is looked at again, in milliseconds. */
const APPEND_BUFFER_POLL_MS = 5;
/** A read fails when the store keeps it waiting this long for the next event, in milliseconds. */
export const READ_TIMEOUT_MS = 3_000;
/** Pause before a read that a broken connection ended goes on, in milliseconds. */
export const READ_PAUSE_MS = 100;
/** A subscription is given up when the store has not confirmed it after this long, in milliseconds. */
export const SUBSCRIBE_TIMEOUT_MS = 5_000;
/** Pauses before subscribing again, in milliseconds: doubled from the first to the longest, while the store delivers nothing. */
export const SUBSCRIBE_PAUSE_MS = 100;
export const SUBSCRIBE_LONGEST_PAUSE_MS = 5_000;
/** What a client has under way gets this long to notice that it was cancelled, in milliseconds. */
const DISPOSE_TIMEOUT_MS = 2_000;
/** A checkpoint follows this many events of the whole log without one that matched. */
export const CHECKPOINT_EVENTS = 64;

/** Holds one event, with the id of this log. */
export const STORE_STREAM = 'balados-store';
const STORE_IDENTIFIED = 'StoreIdentified';

// The client hands payloads over as base64, which its protobuf library reads letter by letter, and twice. Bytes it takes as they are.
const { prototype: proposed } = BatchAppendReq.ProposedMessage;
for (const setter of ['setData', 'setCustomMetadata'] as const) {
  const take = proposed[setter];
  proposed[setter] = function (payload) {
    return take.call(this, typeof payload === 'string' ? new Uint8Array(Buffer.from(payload, 'base64')) : payload);
  };
}

/** What came of an append, with all of its attempts. */
export type AppendOutcome = 'appended' | 'conflict' | 'gone' | 'unavailable' | 'failed';

/** Told of every append that is asked for here. `events`: of those that it was to append. */
export type AppendObserver = (outcome: AppendOutcome, events: number, seconds: number) => void;

/**
 * EventStoreDB through its official client, one connection per process and url however often it is opened; the last `close` ends it.
 * @param options.url `esdb://host:port?tls=false` and its kin
 * @throws when the url cannot be read; whether the store answers shows with the first call
 */
export function openEventStore({
  url,
  log = silent,
  onAppend,
}: {
  url: string;
  log?: Log;
  onAppend?: AppendObserver;
}): OpenEventStore {
  const flaw = flawOfEventStoreUrl(url);
  if (flaw !== undefined) throw new Error(`The event store's URL ${flaw}`);
  let shared = connections.get(url);
  if (!shared) connections.set(url, (shared = { ...connect(url, log), users: 0 }));
  const { users: _, close, ...store } = shared;
  shared.users += 1;
  let open = true;
  return {
    ...store,
    append: told(onAppend ? observed(store.append, onAppend) : store.append),
    async close() {
      if (!open) return;
      open = false;
      shared.users -= 1;
      if (shared.users > 0) return;
      connections.delete(url);
      await close();
    },
  };
}

export type OpenEventStore = EventStore & { close(): Promise<void> };

function observed(append: EventStore['append'], onAppend: AppendObserver): EventStore['append'] {
  return async (stream, expectedRevision, events) => {
    const started = performance.now();
    const over = (outcome: AppendOutcome): void =>
      onAppend(outcome, events.length, (performance.now() - started) / 1_000);
    try {
      const revision = await append(stream, expectedRevision, events);
      over('appended');
      return revision;
    } catch (error) {
      if (error instanceof RevisionConflict) over('conflict');
      else if (error instanceof StreamGone) over('gone');
      else over(error instanceof StoreUnavailable ? 'unavailable' : 'failed');
      throw error;
    }
  };
}

/** Where a request is followed, its events say where it goes on. Nothing else of them is told, nor whose stream it is. */
function told(append: EventStore['append']): EventStore['append'] {
  if (!isTracing()) return append;
  return (stream, expectedRevision, events) => {
    const [category] = stream.split('-', 1);
    const attributes = { 'balados.category': category!, 'balados.events': events.length };
    return traced('append', attributes, () => append(stream, expectedRevision, events.map(carrying)), SpanKind.CLIENT);
  };
}

function carrying(event: NewEvent): NewEvent {
  const here = 'traceparent' in event.metadata ? undefined : traceparent();
  return here === undefined ? event : { ...event, metadata: { ...event.metadata, traceparent: here } };
}

const connections = new Map<string, OpenEventStore & { users: number }>();

function connect(url: string, log: Log): OpenEventStore {
  const closing = new AbortController();
  const appends = new Appends(url, log);
  // Apart from the client that appends, since that one is thrown away with all its calls when an append fails.
  const reader = EventStoreDBClient.connectionString(url);
  let storeIdentity: Promise<string> | undefined;

  async function append(stream: string, expectedRevision: number, events: readonly NewEvent[]): Promise<number> {
    if (events.length === 0) return expectedRevision;
    await insistently(
      stream,
      expectedRevision,
      'appended to',
      (leftMs) => appends.attempt(stream, expectedRevision, events, leftMs),
      () => holds(stream, expectedRevision + 1, events),
    );
    return expectedRevision + events.length;
  }

  /**
   * Asks for a change again while what goes wrong passes by itself, for APPEND_DEADLINE_MS.
   * @param isDone whether an earlier attempt made a conflict: its answer was lost, and others appended behind it
   */
  async function insistently(
    stream: string,
    expectedRevision: number,
    what: string,
    change: (leftMs: number) => Promise<unknown>,
    isDone: () => Promise<boolean> = async () => false,
  ): Promise<void> {
    const started = Date.now();
    for (let attempt = 1; ; attempt += 1) {
      try {
        await change(APPEND_DEADLINE_MS - (Date.now() - started));
        return;
      } catch (error) {
        if (isOfType(error, 'wrong-expected-version')) {
          if (attempt > 1 && (await isDone())) return;
          throw new RevisionConflict(stream, expectedRevision);
        }
        if (isOfType(error, 'stream-deleted')) throw new StreamGone(stream);
        if (!isPassing(error)) throw error;
        const pause = pauseBefore(attempt, APPEND_PAUSE_MS, APPEND_LONGEST_PAUSE_MS);
        if (closing.signal.aborted || Date.now() + pause - started >= APPEND_DEADLINE_MS)
          throw new StoreUnavailable(`${stream} was not ${what}: ${messageOf(error)}`, { cause: error });
        await delay(pause);
      }
    }
  }

  /** Whether exactly these events stand in the stream from `revision` on. */
  async function holds(stream: string, revision: number, events: readonly NewEvent[]): Promise<boolean> {
    let matching = 0;
    for await (const { id } of read(stream, revision)) {
      if (id.toLowerCase() !== events[matching]!.id.toLowerCase()) return false;
      matching += 1;
      if (matching === events.length) return true;
    }
    return false;
  }

  async function* read(stream: string, fromRevision = 0): AsyncGenerator<StoredEvent> {
    let next = fromRevision;
    yield* persistently(stream, async function* () {
      const options = { fromRevision: BigInt(next), requiresLeader: true };
      for await (const resolved of watched(reader.readStream(stream, options))) {
        const event = toStored(resolved);
        if (!event) continue;
        next = event.revision + 1;
        yield event;
      }
    });
  }

  /** Newest event of a stream, or of the whole log. */
  async function newest(stream?: string): Promise<StoredEvent | undefined> {
    const options = { direction: BACKWARDS, maxCount: 1, requiresLeader: true } as const;
    const events = persistently(stream ?? '$all', async function* () {
      const answer = stream
        ? reader.readStream(stream, { ...options, fromRevision: END })
        : reader.readAll({ ...options, fromPosition: END });
      for await (const resolved of watched(answer as StreamingRead<ResolvedEvent>)) yield toStored(resolved);
    });
    for await (const event of events) if (event) return event;
    return undefined;
  }

  async function* subscribe({
    after,
    prefixes,
    signal,
  }: Parameters<EventStore['subscribe']>[0]): AsyncGenerator<StoredEvent | Checkpoint | CaughtUp> {
    const over = AbortSignal.any([signal, closing.signal]);
    let position = after;
    let caughtUp = false;
    for (let failures = 0; !over.aborted;) {
      let reason = 'the store ended it';
      const subscription = reader.subscribeToAll({
        fromPosition: position === undefined ? START : { commit: position, prepare: position },
        requiresLeader: true,
        filter: streamNameFilter({
          prefixes: [...prefixes],
          maxSearchWindow: CHECKPOINT_EVENTS,
          checkpointInterval: 1,
          // Called while events before it still lie in the buffer: what belongs behind them is put there.
          checkpointReached: (_, { commit }) => void subscription.push({ checkpoint: commit } satisfies Checkpoint),
        }),
      });
      subscription.on('caughtUp', () => subscription.push({ caughtUp: true } satisfies CaughtUp));
      subscription.on('error', () => undefined);
      const unconfirmed = setTimeout(
        () => subscription.destroy(new StoreUnavailable(`not confirmed within ${SUBSCRIBE_TIMEOUT_MS} ms`)),
        SUBSCRIBE_TIMEOUT_MS,
      );
      subscription.on('confirmation', () => clearTimeout(unconfirmed));
      const stop = () => subscription.destroy();
      over.addEventListener('abort', stop, { once: true });
      try {
        for await (const item of subscription as AsyncIterable<ResolvedEvent | Checkpoint | CaughtUp>) {
          failures = 0;
          if ('caughtUp' in item) {
            if (!caughtUp) yield item;
            caughtUp = true;
          } else if ('checkpoint' in item) {
            position = item.checkpoint;
            yield item;
          } else {
            const event = toStored(item);
            if (!event) continue;
            position = event.position;
            // A tombstone stands in the log under the name of its stream.
            yield event.type.startsWith('$') ? { checkpoint: position } : event;
          }
          if (over.aborted) return;
        }
      } catch (error) {
        if (!over.aborted && !isPassing(error)) throw error;
        reason = messageOf(error);
      } finally {
        clearTimeout(unconfirmed);
        over.removeEventListener('abort', stop);
        // The client leaves the call open when its stream is destroyed.
        subscription.unsubscribe().catch(() => undefined);
      }
      if (over.aborted) return;
      failures += 1;
      const pause = pauseBefore(failures, SUBSCRIBE_PAUSE_MS, SUBSCRIBE_LONGEST_PAUSE_MS);
      log.warn({ position: position?.toString(), reason, pauseMs: Math.round(pause) }, 'subscription dropped');
      storeIdentity = undefined;
      await delay(pause, undefined, { signal: over }).catch(() => undefined);
    }
  }

  async function truncateBefore(stream: string, revision: number): Promise<void> {
    for (;;) {
      const newestOf = await newest(`$$${stream}`);
      const metadata = (newestOf?.data ?? {}) as { $tb?: number };
      if ((metadata.$tb ?? 0) >= revision) return;
      const event = { id: randomUUID(), type: '$metadata', data: { ...metadata, $tb: revision }, metadata: {} };
      try {
        await append(`$$${stream}`, newestOf?.revision ?? NO_EVENTS, [event]);
        return;
      } catch (error) {
        // Somebody else has just changed it, perhaps to the same.
        if (!(error instanceof RevisionConflict)) throw error;
      }
    }
  }

  async function identify(): Promise<string> {
    for await (const event of read(STORE_STREAM)) return (event.data as { id: string }).id;
    const id = randomUUID();
    try {
      await append(STORE_STREAM, NO_EVENTS, [{ id: randomUUID(), type: STORE_IDENTIFIED, data: { id }, metadata: {} }]);
      return id;
    } catch (error) {
      if (error instanceof RevisionConflict) return identify();
      throw error;
    }
  }

  return {
    append,
    read,
    truncateBefore,
    tombstone: (stream, expectedRevision) =>
      insistently(stream, expectedRevision, 'changed', () =>
        inTime(
          reader.tombstoneStream(stream, {
            expectedRevision: expectedRevision === NO_EVENTS ? NO_STREAM : BigInt(expectedRevision),
          }),
        ),
      ),
    scavenge: () => startScavenge(reader),
    head: async (stream) => (await newest(stream))?.revision ?? NO_EVENTS,
    subscribe,
    headPosition: async () => (await newest())?.position,
    storeId: () =>
      (storeIdentity ??= identify().catch((error: unknown) => {
        storeIdentity = undefined;
        throw error;
      })),
    async close() {
      closing.abort();
      await Promise.all([appends.close(), discard(reader)]);
    },
  };
}

/** The client carries this call, but has no method for it; as a method of its own, it knows where to send it and as whom. */
async function startScavenge(client: EventStoreDBClient): Promise<boolean> {
  const request = new StartScavengeReq().setOptions(new StartScavengeReq.Options().setThreadCount(1));
  try {
    const answer = await inTime(
      client['execute'](
        OperationsClient,
        'startScavenge',
        (operations) =>
          new Promise<ScavengeResp>((resolve, reject) =>
            operations.startScavenge(request, ...client['callArguments']({}), (error, response) =>
              error ? reject(error) : resolve(response),
            ),
          ),
      ),
    );
    return answer.getScavengeResult() === ScavengeResp.ScavengeResult.STARTED;
  } catch (error) {
    if (isPassing(error)) throw new StoreUnavailable(`no scavenge was begun: ${messageOf(error)}`, { cause: error });
    throw new Error(`the event store refuses to scavenge: ${messageOf(error)}`, { cause: error });
  }
}

/** The client's calls have no deadline of their own. */
async function inTime<Result>(answer: Promise<Result>): Promise<Result> {
  const late = new AbortController();
  const timeout = delay(APPEND_TIMEOUT_MS, undefined, { signal: late.signal }).then(
    () => Promise.reject(new StoreUnavailable(`no answer within ${APPEND_TIMEOUT_MS} ms`)),
    () => answer,
  );
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    late.abort();
  }
}

/**
 * Runs a read and, when a broken connection ends it, once more from where it was; each event gives it another chance. What kept
 * us waiting is not asked again.
 */
async function* persistently<Item>(stream: string, open: () => AsyncIterable<Item>): AsyncGenerator<Item> {
  for (let failures = 0; ;) {
    try {
      for await (const item of open()) {
        failures = 0;
        yield item;
      }
      return;
    } catch (error) {
      if (isOfType(error, 'stream-not-found')) return;
      if (isOfType(error, 'stream-deleted')) throw new StreamGone(stream);
      if (error instanceof StoreUnavailable || !isPassing(error)) throw error;
      failures += 1;
      if (failures > 1) throw new StoreUnavailable(`${stream} was not read: ${messageOf(error)}`, { cause: error });
      await delay(READ_PAUSE_MS);
    }
  }
}

/**
 * The client's reads have no deadline of their own. One that is given up must be cancelled, and drained too: the client keeps
 * what has ended unread for ever.
 */
async function* watched(stream: StreamingRead<ResolvedEvent>): AsyncGenerator<ResolvedEvent> {
  let waiting = true;
  let ended = false;
  const timer = setTimeout(() => {
    if (waiting) stream.destroy(new StoreUnavailable(`no answer within ${READ_TIMEOUT_MS} ms`));
    else timer.refresh();
  }, READ_TIMEOUT_MS);
  stream.on('error', () => undefined);
  try {
    for await (const resolved of stream.iterator({ destroyOnReturn: false })) {
      waiting = false;
      yield resolved as ResolvedEvent;
      waiting = true;
      timer.refresh();
    }
    ended = true;
  } finally {
    clearTimeout(timer);
    if (!ended) {
      stream.cancel().catch(() => undefined);
      stream.resume();
    }
  }
}

/**
 * The client that appends, and its replacements. All of a client's appends share one batch stream, and those of all clients one map,
 * from which a broken stream rejects everything: so there is one such client at a time, and when its connection fails or stops
 * answering, the old one is gone altogether before the next one sends.
 */
class Appends {
  private lane: Lane;
  private replacing: Promise<void> | undefined;
  private readonly waiting: Waiting[] = [];
  private scheduled = false;
  private closed = false;

  constructor(
    private readonly url: string,
    private readonly log: Log,
  ) {
    this.lane = new Lane(url);
  }

  /**
   * Sends once, and waits as long as the store answers others. Rejects with the client's error, or StoreUnavailable when no answer came
   * within `limitMs`, or when the store said nothing at all for APPEND_TIMEOUT_MS.
   */
  attempt(stream: string, expectedRevision: number, events: readonly NewEvent[], limitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const started = Date.now();
      const entry: Waiting = { stream, expectedRevision, events, over: false, settle: () => undefined };
      const look = () => {
        const now = Date.now();
        const lane = entry.lane ?? this.lane;
        const silence = APPEND_TIMEOUT_MS - (now - Math.max(started, lane.answeredAt));
        const left = limitMs - (now - started);
        if (silence > 0 && left > 0) return void (timer = setTimeout(look, Math.min(silence, left)));
        entry.settle(new StoreUnavailable(`no answer within ${now - started} ms`));
        if (silence <= 0) this.replace(lane);
      };
      let timer = setTimeout(look, Math.min(APPEND_TIMEOUT_MS, limitMs));
      entry.settle = (error) => {
        entry.over = true;
        clearTimeout(timer);
        if (error === undefined) resolve();
        else reject(error);
      };
      if (this.closed) return entry.settle(new StoreUnavailable('the event store was closed'));
      this.waiting.push(entry);
      this.send();
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const entry of this.waiting.splice(0)) entry.settle(new StoreUnavailable('the event store was closed'));
    await this.replacing;
    await discard(this.lane.client);
  }

  private send(): void {
    while (this.waiting.length > 0 && !this.replacing && this.lane.hasRoom()) {
      const entry = this.waiting.shift()!;
      if (entry.over) continue;
      const { lane } = this;
      entry.lane = lane;
      lane.append(entry).then(
        () => {
          entry.settle();
          this.send();
        },
        (error: unknown) => {
          entry.settle(error);
          if (isTransport(error)) this.replace(lane);
          this.send();
        },
      );
    }
    if (this.waiting.length === 0 || this.scheduled) return;
    this.scheduled = true;
    const again = () => {
      this.scheduled = false;
      this.lane.turnOver();
      this.send();
    };
    if (this.lane.handedThisTurn > 0) setImmediate(again);
    else setTimeout(again, APPEND_BUFFER_POLL_MS);
  }

  private replace(broken: Lane): void {
    if (this.closed || this.replacing || this.lane !== broken) return;
    this.log.warn({}, 'the connection that appends is replaced');
    this.replacing = discard(broken.client).then(() => {
      this.lane = new Lane(this.url);
      this.replacing = undefined;
      this.send();
    });
  }
}

interface Waiting {
  stream: string;
  expectedRevision: number;
  events: readonly NewEvent[];
  /** That sent it. */
  lane?: Lane;
  over: boolean;
  settle(error?: unknown): void;
}

/**
 * One appending client. When its connection breaks while its send buffer is full, the client rejects promises that nobody holds, which
 * ends the process: so it is never given more than the buffer takes.
 */
class Lane {
  readonly client: EventStoreDBClient;
  answeredAt = 0;
  handedThisTurn = 0;
  private unanswered = 0;

  constructor(url: string) {
    this.client = EventStoreDBClient.connectionString(url);
  }

  hasRoom(): boolean {
    if (this.unanswered < APPEND_BUFFER) return true;
    // Only the batch stream is in this set; what was handed over in this turn may not have reached it yet.
    const [batch] = this.client['disposableStreams'] as Set<Writable>;
    return batch !== undefined && batch.writableLength + this.handedThisTurn < APPEND_BUFFER;
  }

  turnOver(): void {
    this.handedThisTurn = 0;
  }

  async append({ stream, expectedRevision, events }: Waiting): Promise<void> {
    this.unanswered += 1;
    this.handedThisTurn += 1;
    try {
      await this.client.appendToStream(stream, events.map(toJsonEvent), {
        expectedRevision: expectedRevision === NO_EVENTS ? NO_STREAM : BigInt(expectedRevision),
        requiresLeader: true,
        deadline: APPEND_SERVER_DEADLINE_MS,
      });
      this.answeredAt = Date.now();
    } catch (error) {
      if (!isTransport(error)) this.answeredAt = Date.now();
      throw error;
    } finally {
      this.unanswered -= 1;
    }
  }
}

/** Cancels what the client has under way, and gives its connection back. */
async function discard(client: EventStoreDBClient): Promise<void> {
  await Promise.race([client.dispose(), delay(DISPOSE_TIMEOUT_MS, undefined, { ref: false })]);
  const channel = await client['getChannel']().catch(() => undefined);
  channel?.close();
}

const toJsonEvent = ({ id, type, data, metadata }: NewEvent): JSONEventData => ({
  id,
  type,
  contentType: 'application/json',
  data: data as Record<string, unknown>,
  metadata: metadata as Record<string, unknown>,
});

function toStored({ event, commitPosition }: ResolvedEvent): StoredEvent | undefined {
  if (!event) return undefined;
  return {
    id: event.id,
    stream: event.streamId,
    revision: Number(event.revision),
    position: event.position?.commit ?? commitPosition ?? 0n,
    type: event.type,
    data: event.data,
    metadata: event.metadata,
  };
}

interface ClientError {
  type?: unknown;
  code?: unknown;
}

const isOfType = (error: unknown, type: string): boolean =>
  error instanceof Error && (error as ClientError).type === type;

/** Of the connection, and not the answer to one request: those carry no gRPC code. */
const isTransport = (error: unknown): boolean =>
  error instanceof Error && typeof (error as ClientError).code === 'number' && isPassing(error);

const PASSING_TYPES = new Set(['unavailable', 'timeout', 'deadline-exceeded', 'cancelled', 'not-leader', 'unknown']);
/** CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL (a reset stream), UNAVAILABLE: some arrive raw. */
const PASSING_CODES = new Set([1, 2, 4, 8, 10, 13, 14]);

/** Whether the same request may well succeed later. */
function isPassing(error: unknown): boolean {
  if (error instanceof StoreUnavailable) return true;
  if (!(error instanceof Error)) return false;
  const { type, code } = error as ClientError;
  if (typeof code === 'number') return PASSING_CODES.has(code);
  return (typeof type === 'string' && PASSING_TYPES.has(type)) || code === 'ERR_STREAM_PREMATURE_CLOSE';
}

/** Doubles with each failure up to the longest; a random part keeps many from asking at the same moment. */
const pauseBefore = (failures: number, first: number, longest: number): number =>
  Math.min(longest, first * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
