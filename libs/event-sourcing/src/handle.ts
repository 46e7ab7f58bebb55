import { randomUUID } from 'node:crypto';
import { bundled, typesOf } from './bundle-event';
import { Codec } from './catalogue';
import { Decider, DomainEvent, EventMetadata, Recorded, streamOf } from './decider';
import { EventStore, NewEvent, NO_EVENTS, RevisionConflict } from './event-store';
import { CommandObserver, observed, outcomeOf, unobserved } from './observer';
import { Folded, StateCache } from './state-cache';
import { MAX_CONFLICTS, TooContended } from './too-contended';

/** One append carries at most this many bytes of data and metadata; a larger decision goes in pieces. */
export const APPEND_MAX_BYTES = 512 * 1024;

/** A command with what its events carry. */
export interface Given<Command> {
  command: Command;
  metadata: EventMetadata;
}

/** What a command of several has appended, or why it was not decided: a Refusal, or whatever else the decider threw. */
export type Outcome<Event> = { events: readonly Event[] } | { error: unknown };

export interface Handled<State, Event extends DomainEvent> extends Folded<State> {
  /** What this command appended, in order; empty when there was nothing to do. */
  events: Recorded<Event>[];
}

/**
 * Runs commands against streams: fold, decide, append at the folded revision, and on a conflict fold and decide again.
 * Commands of one stream wait for each other within the process; other processes are met by the revision check.
 *
 * Only a decision that appends may rest on a cached fold, for the append checks it. A decision without an event and a refusal
 * are made again at the stream's head, or another copy's write would be overlooked.
 */
export class CommandHandler<Command extends { readonly type: string }, State, Event extends DomainEvent> {
  private readonly turns = new Map<string, Promise<unknown>>();

  constructor(
    private readonly store: EventStore,
    private readonly cache: StateCache,
    private readonly decider: Decider<Command, State, Event>,
    private readonly codec: Codec<Event>,
    private readonly observer: CommandObserver = unobserved,
  ) {}

  /**
   * `read` receives the state at the stream's head or just after the append, while no other command of this process can change it:
   * what it returns must not hold on to the state.
   * @throws Refusal | TooContended | StreamGone | StoreUnavailable
   */
  handle<Result>(
    userId: string,
    command: Command,
    metadata: EventMetadata,
    read: (handled: Handled<State, Event>) => Result,
  ): Promise<Result> {
    const stream = streamOf(this.decider.category, userId);
    const inTurn = () =>
      this.inTurn(stream, async () => {
        const handled = await this.run(stream, command, metadata).catch((error: unknown) => {
          this.observer.handled(command.type, outcomeOf(error));
          throw error;
        });
        this.observer.handled(command.type, handled.events.length > 0 ? 'appended' : 'nothing');
        return read(handled);
      });
    return observed(this.observer, command.type, inTurn);
  }

  /**
   * Several commands in turn, each decided on what those before it have made of the fold, and all appended together. One that fails keeps
   * none of the others back.
   * @returns an outcome for each command, in their order
   * @throws TooContended | StreamGone | StoreUnavailable: some may have been applied all the same
   */
  handleAll(userId: string, commands: readonly Given<Command>[]): Promise<Outcome<Event>[]> {
    const stream = streamOf(this.decider.category, userId);
    const inTurn = () =>
      this.inTurn(stream, async () => {
        const outcomes = await this.runAll(stream, commands).catch((error: unknown) => {
          for (const { command } of commands) this.observer.handled(command.type, outcomeOf(error));
          throw error;
        });
        for (const [index, outcome] of outcomes.entries()) {
          const done =
            'error' in outcome ? outcomeOf(outcome.error) : outcome.events.length > 0 ? 'appended' : 'nothing';
          this.observer.handled(commands[index]!.command.type, done);
        }
        return outcomes;
      });
    return observed(this.observer, commands[0]?.command.type ?? '', inTurn);
  }

  /** The state at the stream's head. The same holds for `read` as in `handle`. @throws StoreUnavailable */
  query<Result>(userId: string, read: (folded: Folded<State>) => Result): Promise<Result> {
    const stream = streamOf(this.decider.category, userId);
    return this.inTurn(stream, async () => read(await this.atHead(stream)));
  }

  get category(): string {
    return this.decider.category;
  }

  /** Bytes of the fold that this process holds of a listener's stream, wherever its head is by now; undefined when it holds none. */
  heldBytes(userId: string): number | undefined {
    const held = this.cache.find<State>(streamOf(this.decider.category, userId));
    return held && this.decider.bytes(held.state);
  }

  /** Revision of the stream's newest event, NO_EVENTS for none. @throws StoreUnavailable */
  head(userId: string): Promise<number> {
    return this.store.head(streamOf(this.decider.category, userId));
  }

  private async run(stream: string, command: Command, metadata: EventMetadata): Promise<Handled<State, Event>> {
    const appended: Recorded<Event>[] = [];
    const cached = this.cache.find<State>(stream);
    let folded = cached ?? (await this.atHead(stream));
    let fresh = cached === undefined;
    for (let conflicts = 0; conflicts < MAX_CONFLICTS;) {
      let events: readonly Event[] = [];
      let refusal: unknown;
      try {
        events = this.decider.decide(command, folded.state);
      } catch (error) {
        refusal = error;
      }
      if (events.length === 0) {
        if (!fresh) {
          const before = folded.revision;
          folded = await this.atHead(stream);
          fresh = true;
          if (folded.revision !== before) continue;
        }
        if (refusal) throw refusal;
        return { ...folded, events: appended };
      }
      try {
        folded = await this.append(stream, folded, events, metadata, appended);
        return { ...folded, events: appended };
      } catch (error) {
        if (!(error instanceof RevisionConflict)) throw error;
        conflicts += 1;
        this.observer.conflicted(this.category);
        folded = await this.atHead(stream);
        fresh = true;
      }
    }
    // Should the log have been put back to an earlier state, it was the fold that could never match.
    this.cache.delete(stream);
    throw new TooContended(stream);
  }

  private async runAll(stream: string, commands: readonly Given<Command>[]): Promise<Outcome<Event>[]> {
    let isFresh = false;
    for (let conflicts = 0; conflicts < MAX_CONFLICTS;) {
      const cached = isFresh ? undefined : this.cache.find<State>(stream);
      const folded = cached ?? (await this.atHead(stream));
      isFresh ||= cached === undefined;
      // From here on the fold is ahead of the store, and nobody else's until it no longer is.
      this.cache.delete(stream);
      const { outcomes, encoded, state } = this.decideAll(folded, commands);
      let { revision } = folded;
      try {
        for (const piece of pieces(encoded)) {
          await this.store.append(stream, revision, piece);
          revision += piece.length;
        }
      } catch (error) {
        if (!(error instanceof RevisionConflict)) throw error;
        conflicts += 1;
        this.observer.conflicted(this.category);
        isFresh = true;
        continue;
      }
      this.cache.set(stream, { state, revision }, this.decider.bytes(state));
      // The append has checked the fold, also for those of the commands that had nothing to append.
      if (isFresh || encoded.length > 0) return outcomes;
      isFresh = true;
    }
    throw new TooContended(stream);
  }

  private decideAll({ state, revision }: Folded<State>, commands: readonly Given<Command>[]) {
    const outcomes: Outcome<Event>[] = [];
    const encoded: NewEvent[] = [];
    for (const { command, metadata } of commands) {
      let events: readonly Event[];
      try {
        events = this.decider.decide(command, state);
        encoded.push(...events.map((event) => this.codec.encode(event, metadata, randomUUID())));
      } catch (error) {
        outcomes.push({ error });
        continue;
      }
      for (const event of events) {
        revision += 1;
        state = this.decider.evolve(state, { ...event, revision, metadata });
      }
      outcomes.push({ events });
    }
    return { outcomes, encoded, state };
  }

  private async append(
    stream: string,
    folded: Folded<State>,
    events: readonly Event[],
    metadata: EventMetadata,
    appended: Recorded<Event>[],
  ): Promise<Folded<State>> {
    let { state, revision } = folded;
    const encoded = bundled(events.map((event) => this.codec.encode(event, metadata, randomUUID())));
    let next = 0;
    try {
      for (const piece of pieces(encoded)) {
        await this.store.append(stream, revision, piece);
        for (const stored of piece) {
          revision += 1;
          for (const _ of typesOf(stored)) {
            const recorded = { ...events[next++]!, revision, metadata };
            state = this.decider.evolve(state, recorded);
            appended.push(recorded);
          }
        }
        this.cache.set(stream, { state, revision }, this.decider.bytes(state));
      }
    } catch (error) {
      // Unavailable may mean applied, and a fold that broke off has changed the state in place: the next command folds from the store.
      if (!(error instanceof RevisionConflict)) this.cache.delete(stream);
      throw error;
    }
    return { state, revision };
  }

  /** Tops the cached fold up to the head; an empty answer of the store is the proof that it was there already. */
  private async atHead(stream: string): Promise<Folded<State>> {
    const cached = this.cache.get<State>(stream);
    let state = cached ? cached.state : this.decider.initialState();
    let revision = cached ? cached.revision : NO_EVENTS;
    // Of what a checkpoint repeats, all is known already but in a stream that was cut before it.
    let known = revision;
    try {
      for await (const stored of this.store.read(stream, revision + 1)) {
        // What this fold was about to learn is cut away. What is left tells all of it, but not to who knows a part.
        if (stored.revision > revision + 1) {
          state = this.decider.initialState();
          known = NO_EVENTS;
        }
        const before = known;
        for (const event of this.codec.decode(stored)) {
          if (event.revision <= before) continue;
          state = this.decider.evolve(state, event);
          known = event.revision;
        }
        revision = stored.revision;
      }
    } catch (error) {
      // A fold that broke off in the middle has changed the state in place.
      this.cache.delete(stream);
      throw error;
    }
    this.cache.set(stream, { state, revision }, this.decider.bytes(state));
    return { state, revision };
  }

  private async inTurn<Result>(stream: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.turns.get(stream);
    const turn = (before ?? Promise.resolve()).then(work, work);
    const settled = turn.catch(() => undefined);
    this.turns.set(stream, settled);
    try {
      return await turn;
    } finally {
      if (this.turns.get(stream) === settled) this.turns.delete(stream);
    }
  }
}

/** In order, each within APPEND_MAX_BYTES; a single event is never split, and so need not be measured. */
export function* pieces(events: readonly NewEvent[]): Generator<readonly NewEvent[]> {
  if (events.length === 1) {
    yield events;
    return;
  }
  let piece: NewEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const size = bytesOf(event.data) + bytesOf(event.metadata) + Buffer.byteLength(event.type) + 64;
    if (piece.length > 0 && bytes + size > APPEND_MAX_BYTES) {
      yield piece;
      piece = [];
      bytes = 0;
    }
    piece.push(event);
    bytes += size;
  }
  if (piece.length > 0) yield piece;
}

const bytesOf = (json: object): number => Buffer.byteLength(JSON.stringify(json));
