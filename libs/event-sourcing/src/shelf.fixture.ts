import { z } from 'zod';
import { catalogue, EventOf } from './catalogue';
import { Decider, EventMetadata, Refusal } from './decider';

/** A decider for the specs of this lib: things on a shelf. It can refuse, do nothing, and decide many events at once. */
export const shelfEvents = catalogue({
  Placed: { version: 1, data: z.object({ thing: z.string() }) },
  Taken: { version: 1, data: z.object({ thing: z.string() }) },
});
export type ShelfEvent = EventOf<(typeof shelfEvents)['declarations']>;

export type ShelfCommand =
  | { type: 'Place'; things: readonly string[] }
  | { type: 'Clear'; things: readonly string[] }
  /** Refused when the thing is not there. */
  | { type: 'Take'; thing: string };

export interface Shelf {
  /** By thing, the revision that placed it. */
  things: Map<string, number>;
  bytes: number;
}

export const shelf: Decider<ShelfCommand, Shelf, ShelfEvent> = {
  category: 'shelf',
  initialState: () => ({ things: new Map(), bytes: 0 }),

  decide(command, { things }) {
    switch (command.type) {
      case 'Place':
        return command.things
          .filter((thing) => !things.has(thing))
          .map((thing) => ({ type: 'Placed', data: { thing } }));
      case 'Clear':
        return command.things.filter((thing) => things.has(thing)).map((thing) => ({ type: 'Taken', data: { thing } }));
      case 'Take':
        if (!things.has(command.thing)) throw new Refusal('not_there', `${command.thing} is not on the shelf`);
        return [{ type: 'Taken', data: { thing: command.thing } }];
    }
  },

  evolve(state, { type, data, revision }) {
    const bytes = 100 + data.thing.length;
    if (type === 'Placed') {
      if (!state.things.has(data.thing)) state.bytes += bytes;
      state.things.set(data.thing, revision);
    } else if (state.things.delete(data.thing)) state.bytes -= bytes;
    return state;
  },

  bytes: (state) => state.bytes,
};

/** Things by name: what `read` may take out of its turn. */
export const contents = ({ state }: { state: Shelf }): string[] => [...state.things.keys()].sort();

export const place = (...things: string[]): ShelfCommand => ({ type: 'Place', things });
export const clear = (...things: string[]): ShelfCommand => ({ type: 'Clear', things });
export const take = (thing: string): ShelfCommand => ({ type: 'Take', thing });

export const metadata = (correlationId = 'spec'): EventMetadata => ({
  recordedAt: '2026-01-01T00:00:00.000Z',
  correlationId,
});
