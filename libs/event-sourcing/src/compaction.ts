import { DomainEvent, Recorded } from './decider';

/** An event in its place; `ends`: it says that something is over, and something of it may be dropped later. */
export interface Placed<Event> {
  event: Event;
  /** Which of the stream's events it is: those of a bundle share a revision. */
  nth: number;
  ends: boolean;
}

/**
 * What an event takes in the compaction of its stream: places where the first or the last that claims them is kept, and what it makes
 * void. An event is kept as long as it holds a place. What frees a place, or voids, holds one of its own: rows that were put back from a
 * backup learn of it by nothing else, once what came before the checkpoint is cut away. (A fold that is older begins anew.)
 */
export type Claim<Event> =
  | { keeps: 'first' | 'last'; place: string; ends?: boolean }
  | { frees: string }
  /** Every event so far of which this holds is void. */
  | { voids: (event: Event) => boolean }
  /** What is held so far says less from now on; changes the places. */
  | { drops: (places: Map<string, Placed<Event>>) => void };

/**
 * Of a stream's events, told in their order, those that still say something: whoever reads them alone comes to the same as whoever reads
 * all. `claims` says what each event takes.
 */
export class Compaction<Event extends DomainEvent> {
  private readonly places = new Map<string, Placed<Recorded<Event>>>();
  private added = 0;

  constructor(private readonly claims: (event: Recorded<Event>) => readonly Claim<Recorded<Event>>[]) {}

  add(event: Recorded<Event>): void {
    const nth = this.added++;
    for (const claim of this.claims(event)) {
      if ('voids' in claim) {
        for (const [place, held] of this.places) if (claim.voids(held.event)) this.places.delete(place);
      } else if ('drops' in claim) claim.drops(this.places);
      else if ('frees' in claim) this.places.delete(claim.frees);
      else if (claim.keeps === 'last' || !this.places.has(claim.place))
        this.places.set(claim.place, { event, nth, ends: claim.ends ?? false });
    }
  }

  /** In the stream's order. */
  events(): Recorded<Event>[] {
    const placed = [...this.places.values()].sort((one, other) => one.nth - other.nth);
    return [...new Set(placed.map(({ event }) => event))];
  }

  /** When the first of the ends that are held was recorded, RFC 3339; undefined where there is none. */
  endedAt(): string | undefined {
    const ends = [...this.places.values()].filter(({ ends }) => ends).map(({ event }) => event.metadata.recordedAt);
    return ends.sort()[0];
  }
}
