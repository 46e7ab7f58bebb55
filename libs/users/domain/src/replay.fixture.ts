import {
  Codec,
  CommandHandler,
  Decider,
  DomainEvent,
  EventMetadata,
  Recorded,
  Refusal,
  StateCache,
} from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { rfc3339 } from './claims';

/** A command as the server accepts it: the time on the server's clock is the `now` of commands that have one. */
export interface Accepted<Command> {
  command: Command;
  now: number;
}

const metadataOf = (now: number): EventMetadata => ({ recordedAt: rfc3339(now), correlationId: 'c' });

/** Accepts commands one after the other, as a handler does; a refused one changes nothing. */
export class Replay<Command, State, Event extends DomainEvent> {
  state: State;
  readonly events: Recorded<Event>[] = [];

  constructor(private readonly decider: Decider<Command, State, Event>) {
    this.state = decider.initialState();
  }

  /** The events that the command made, or undefined when it was refused. */
  accept({ command, now }: Accepted<Command>): readonly Event[] | undefined {
    let decided: readonly Event[];
    try {
      decided = this.decider.decide(command, this.state);
    } catch (error) {
      if (error instanceof Refusal) return undefined;
      throw error;
    }
    // What is decided at once is stored as one.
    const revision = (this.events.at(-1)?.revision ?? -1) + 1;
    for (const event of decided) {
      const recorded = { ...event, revision, metadata: metadataOf(now) };
      this.state = this.decider.evolve(this.state, recorded);
      this.events.push(recorded);
    }
    return decided;
  }
}

export function replay<Command, State, Event extends DomainEvent>(
  decider: Decider<Command, State, Event>,
  history: readonly Accepted<Command>[],
): Replay<Command, State, Event> {
  const replayed = new Replay(decider);
  for (const accepted of history) replayed.accept(accepted);
  return replayed;
}

/** A replay of a history in which nothing is erased, nor dropped. */
export const unerased = <Command, State, Event extends DomainEvent>(
  replayed: Replay<Command, State, Event>,
): Replay<Command, State, Exclude<Event, { type: 'HistoryErased' | 'ContentDropped' }>> => replayed as never;

/** Runs the commands through a handler and a store; answers what the handler holds and what a fold of the stored events gives. */
export async function handled<Command extends { type: string }, State, Event extends DomainEvent>(
  decider: Decider<Command, State, Event>,
  codec: Codec<Event>,
  history: readonly Accepted<Command>[],
): Promise<{ held: State; folded: State }> {
  const store = new InMemoryEventStore(() => Promise.resolve());
  const handler = new CommandHandler(store, new StateCache(64 * 1024 * 1024), decider, codec);
  for (const { command, now } of history) {
    await handler
      .handle('a', command, metadataOf(now), () => undefined)
      .catch((error) => {
        if (!(error instanceof Refusal)) throw error;
      });
  }
  const held = await handler.query('a', ({ state }) => state);
  const cold = new CommandHandler(store, new StateCache(0), decider, codec);
  return { held, folded: await cold.query('a', ({ state }) => state) };
}
