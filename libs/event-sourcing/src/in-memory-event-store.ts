import { randomUUID } from 'node:crypto';
import { setImmediate as tick } from 'node:timers/promises';
import {
  CaughtUp,
  Checkpoint,
  EventStore,
  NewEvent,
  NO_EVENTS,
  RevisionConflict,
  StoredEvent,
  StreamGone,
} from './event-store';

/** Positions leave gaps, as the real ones do: nothing may rely on +1. */
const POSITION_GAP = 7n;
/** As a store gives it back: what JSON keeps of it, and another object. */
const asJson = (value: object): unknown => JSON.parse(JSON.stringify(value));

/**
 * The port's simplest implementation, for specs: one log in memory, with the store's answers to conflicts, repeats and deleted streams.
 * An operation takes effect a turn after it was asked for and answers a turn later, so that others come between; `turn` says how
 * long one is, by default until the event loop comes around.
 */
export class InMemoryEventStore implements EventStore {
  /** The whole log, as it is now. */
  readonly log: StoredEvent[] = [];
  private readonly streams = new Map<string, StoredEvent[]>();
  private readonly gone = new Set<string>();
  private readonly truncated = new Map<string, number>();
  private readonly waiting = new Set<() => void>();
  private readonly id = randomUUID();

  constructor(private readonly turn: () => Promise<unknown> = tick) {}

  async append(stream: string, expectedRevision: number, events: readonly NewEvent[]): Promise<number> {
    return this.inTurn(() => {
      const held = this.heldBy(stream);
      const first = expectedRevision + 1;
      if (held.length !== first) {
        const repeated = events.length > 0 && events.every(({ id }, index) => held[first + index]?.id === id);
        if (!repeated) throw new RevisionConflict(stream, expectedRevision);
        return expectedRevision + events.length;
      }
      for (const { id, type, data, metadata } of events) {
        const position = (this.log.at(-1)?.position ?? 0n) + POSITION_GAP;
        const place = { stream, revision: held.length, position };
        const event = { ...place, id, type, data: asJson(data), metadata: asJson(metadata) };
        held.push(event);
        this.log.push(event);
      }
      this.streams.set(stream, held);
      for (const wake of this.waiting) wake();
      return held.length - 1;
    });
  }

  async *read(stream: string, fromRevision = 0): AsyncGenerator<StoredEvent> {
    yield* await this.inTurn(() => this.heldBy(stream).slice(Math.max(fromRevision, this.truncated.get(stream) ?? 0)));
  }

  head(stream: string): Promise<number> {
    return this.inTurn(() => this.heldBy(stream).length + NO_EVENTS);
  }

  async *subscribe({
    after,
    prefixes,
    signal,
  }: {
    after: bigint | undefined;
    prefixes: readonly string[];
    signal: AbortSignal;
  }): AsyncGenerator<StoredEvent | Checkpoint | CaughtUp> {
    let next = this.log.findIndex(({ position }) => after === undefined || position > after);
    if (next < 0) next = this.log.length;
    const headAtStart = this.log.length;
    let caughtUp = false;
    while (!signal.aborted) {
      if (!caughtUp && next >= headAtStart) {
        caughtUp = true;
        yield { caughtUp };
        continue;
      }
      const event = this.log[next];
      if (!event) {
        await this.appended(signal);
        continue;
      }
      next += 1;
      if (prefixes.some((prefix) => event.stream.startsWith(prefix))) yield event;
      else yield { checkpoint: event.position };
    }
  }

  headPosition(): Promise<bigint | undefined> {
    return this.inTurn(() => this.log.at(-1)?.position);
  }

  storeId(): Promise<string> {
    return this.inTurn(() => this.id);
  }

  /** As with the real ones before a scavenge, the whole log still shows its events. */
  tombstone(stream: string, expectedRevision: number): Promise<void> {
    return this.inTurn(() => {
      if (this.heldBy(stream).length - 1 !== expectedRevision) throw new RevisionConflict(stream, expectedRevision);
      this.streams.delete(stream);
      this.gone.add(stream);
    });
  }

  truncateBefore(stream: string, revision: number): Promise<void> {
    return this.inTurn(() => {
      this.heldBy(stream);
      this.truncated.set(stream, Math.max(revision, this.truncated.get(stream) ?? 0));
    });
  }

  /** Its whole log goes on showing all. */
  scavenge(): Promise<boolean> {
    return this.inTurn(() => true);
  }

  private async inTurn<Result>(operation: () => Result): Promise<Result> {
    await this.turn();
    const result = operation();
    await this.turn();
    return result;
  }

  private heldBy(stream: string): StoredEvent[] {
    if (this.gone.has(stream)) throw new StreamGone(stream);
    return this.streams.get(stream) ?? [];
  }

  private appended(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}
