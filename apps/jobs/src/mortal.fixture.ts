import { EventStore, StoreUnavailable } from '@balados/event-sourcing';

/** The store as somebody has it who dies at the `last`th thing that he asks of it: before it is done, or when it just was. */
export function mortal(store: EventStore, last: number, isDone: boolean): { store: EventStore; asked: () => number } {
  let asked = 0;
  const dying = new Proxy(store, {
    get(target, name: keyof EventStore) {
      const value = target[name];
      if (typeof value !== 'function') return value;
      const call = value as (...given: unknown[]) => unknown;
      if (name === 'read')
        return (...given: unknown[]) => {
          if (++asked === last) throw new StoreUnavailable('dead');
          return call.apply(target, given);
        };
      return async (...given: unknown[]) => {
        asked += 1;
        if (asked === last && !isDone) throw new StoreUnavailable('dead');
        const answer = await call.apply(target, given);
        if (asked === last) throw new StoreUnavailable('dead');
        return answer;
      };
    },
  });
  return { store: dying, asked: () => asked };
}
