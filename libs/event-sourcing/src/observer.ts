import { Refusal } from './decider';
import { RevisionConflict, StoreUnavailable, StreamGone } from './event-store';
import { TooContended } from './too-contended';

/**
 * What came of a command: events were appended, or there was nothing to do; it was refused by the rules, given up among too many others,
 * met a stream that is deleted or a store that is away, or failed by a defect of ours.
 */
export type CommandOutcome = 'appended' | 'nothing' | 'refused' | 'contended' | 'gone' | 'unavailable' | 'failed';

/** Is told what command handlers do. */
export interface CommandObserver {
  /** `command`: its type. */
  handled(command: string, outcome: CommandOutcome): void;
  /** Somebody else had appended to a stream of this category: it is folded and decided again. */
  conflicted(category: string): void;
  /** Does what a command takes, its turn included. */
  around?<Result>(command: string, work: () => Promise<Result>): Promise<Result>;
}

export const unobserved: CommandObserver = { handled: () => undefined, conflicted: () => undefined };

export const observed = <Result>(
  { around }: CommandObserver,
  command: string,
  work: () => Promise<Result>,
): Promise<Result> => (around ? around(command, work) : work());

/** What an error says of the command that met it. */
export function outcomeOf(error: unknown): CommandOutcome {
  if (error instanceof Refusal) return 'refused';
  if (error instanceof TooContended || error instanceof RevisionConflict) return 'contended';
  if (error instanceof StreamGone) return 'gone';
  return error instanceof StoreUnavailable ? 'unavailable' : 'failed';
}
