import { Gauge, Registry } from 'prom-client';
import { Figures, WINDOWS } from './figures';

const FIGURES: Record<string, { help: string; of: (figures: Figures) => number | null }> = {
  store_events: {
    help: "Events in listeners' streams that are not cut away, as far as the users' projector has come.",
    of: ({ kept }) => kept,
  },
  store_events_recorded: { help: 'These and those that were cut away.', of: ({ recorded }) => recorded },
  store_bytes: {
    help: 'Size of the stand-in for the event store; absent with EventStoreDB, which tells its own.',
    of: ({ logBytes }) => logBytes,
  },
  tables_bytes: {
    help: 'Size of the tables of users and site that are in the database of users.',
    of: ({ tablesBytes }) => tablesBytes,
  },
};

/**
 * What the dashboard shows of the store and its listeners, for Prometheus; every copy says the same. It is read when Prometheus asks, stays
 * as it was where Postgres is away, and what is not known is absent.
 */
export function exposeFigures(registry: Registry, figures: () => Promise<Figures>): void {
  const registers = [registry];
  const known = (): Promise<Figures | undefined> => figures().catch(() => undefined);
  new Gauge({
    name: 'listeners_active',
    help: 'Listeners of whom something was recorded in the window, to five minutes.',
    labelNames: ['window'],
    registers,
    async collect() {
      const found = await known();
      if (found) for (const window of Object.keys(WINDOWS)) this.set({ window }, found.active[window as '1h']);
    },
  });
  for (const [name, { help, of }] of Object.entries(FIGURES)) {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers,
      async collect() {
        const found = await known();
        const figure = found && of(found);
        if (figure === null) this.remove();
        else if (figure !== undefined) this.set(figure);
      },
    });
    // It begins with a zero that nobody counted.
    gauge.remove();
  }
}
