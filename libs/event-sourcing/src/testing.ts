import { Decider, DomainEvent, EventMetadata, Recorded, Refusal } from './decider';

export * from './in-memory-event-store';

const METADATA: EventMetadata = { recordedAt: '2026-01-01T00:00:00.000Z', correlationId: 'test' };

/** Folds events as if they had been appended in order. */
export function fold<Command, State, Event extends DomainEvent>(
  decider: Decider<Command, State, Event>,
  events: readonly Event[],
  metadata: EventMetadata = METADATA,
): State {
  return events.reduce(
    (state, event, revision) => decider.evolve(state, { ...event, revision, metadata } as Recorded<Event>),
    decider.initialState(),
  );
}

/** `given(decider, …past).when(command).then(…events)`: a decision as a sentence. */
export function given<Command, State, Event extends DomainEvent>(
  decider: Decider<Command, State, Event>,
  ...past: readonly Event[]
) {
  return {
    when: (command: Command) => ({
      then: (...events: readonly Event[]) => expect(decider.decide(command, fold(decider, past))).toEqual(events),
      thenNothing: () => expect(decider.decide(command, fold(decider, past))).toEqual([]),
      thenRefused: (code: string, details: Record<string, unknown> = {}) => {
        let refusal: unknown;
        try {
          decider.decide(command, fold(decider, past));
        } catch (error) {
          refusal = error;
        }
        expect(refusal).toBeInstanceOf(Refusal);
        expect((refusal as Refusal).code).toBe(code);
        expect((refusal as Refusal).details).toEqual(details);
      },
    }),
  };
}
