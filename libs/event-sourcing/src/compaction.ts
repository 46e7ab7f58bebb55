import { DomainEvent, Recorded } from './decider';

/**
 * What an event takes in the compaction of its stream: places where the first or the last that claims them is kept, and what it makes
 * void. An event is kept as long as it holds a place.
 */
export type Claim<Event> =
  | { keeps: 'first' | 'last'; place: string }
  | { frees: string }
  /** Every event so far of which this holds is void. */
  | { voids: (event: Event) => boolean };

/**
 * Of a stream's events, told in their order, those that still say something: whoever reads them alone comes to the same as whoever reads
 * all. `claims` says what each event takes.
 */
export class Compaction<Event extends DomainEvent> {
  private readonly places = new Map<string, Recorded<Event>>();

  constructor(private readonly claims: (event: Recorded<Event>) => readonly Claim<Recorded<Event>>[]) {}

  add(event: Recorded<Event>): void {
    for (const claim of this.claims(event)) {
      if ('voids' in claim) {
        for (const [place, held] of this.places) if (claim.voids(held)) this.places.delete(place);
      } else if ('frees' in claim) this.places.delete(claim.frees);
      else if (claim.keeps === 'last' || !this.places.has(claim.place)) this.places.set(claim.place, event);
    }
  }

  /** In the stream's order. */
  events(): Recorded<Event>[] {
    return [...new Set(this.places.values())].sort((one, other) => one.revision - other.revision);
  }
}
