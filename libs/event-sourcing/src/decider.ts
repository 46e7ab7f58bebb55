/** What every event carries beside its data. */
export interface EventMetadata {
  /** When our server accepted it, RFC 3339 with milliseconds. Ages, days and windows use it, never the store's own time. */
  recordedAt: string;
  /** Ties an event to the request that caused it. */
  correlationId: string;
  deviceId?: string;
  deviceName?: string;
  /** Where the trace of that request goes on, if it is followed. Only its own event says so, until a checkpoint repeats that. */
  traceparent?: string;
}

/** A fact as a decider states it. */
export interface DomainEvent {
  readonly type: string;
  readonly data: object;
}

/** An event with its place in its stream (the first is 0). */
export type Recorded<Event extends DomainEvent> = Event & {
  readonly revision: number;
  readonly metadata: EventMetadata;
};

/**
 * The rules of one stream as data and functions, free of frameworks, clocks and chance: times and ids arrive in the command.
 *
 * `evolve` owns the state that it is given: it may change it in place and returns it, so that folding n events costs n steps
 * and not n copies. `decide` only reads it.
 */
export interface Decider<Command, State, Event extends DomainEvent> {
  /** The stream of a listener is `<category>-<userId>`; a category has no hyphen. */
  readonly category: string;
  initialState(): State;
  /** Nothing to do is an empty list. @throws Refusal when the rules forbid it */
  decide(command: Command, state: State): readonly Event[];
  evolve(state: State, event: Recorded<Event>): State;
  /** About how many bytes of memory the state takes; constant time. */
  bytes(state: State): number;
}

/** A decision of the rules against a command. The edge turns `code` into its answer; `details` go with it. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
    this.name = 'Refusal';
  }
}

export const streamOf = (category: string, userId: string): string => `${category}-${userId}`;

/** The parts of a listener's stream name, or undefined when it is none. */
export function parseStream(stream: string): { category: string; userId: string } | undefined {
  const hyphen = stream.indexOf('-');
  if (hyphen < 1 || hyphen === stream.length - 1) return undefined;
  return { category: stream.slice(0, hyphen), userId: stream.slice(hyphen + 1) };
}
