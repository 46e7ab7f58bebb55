import { Gauge, Registry } from 'prom-client';
import { Figures, WINDOWS } from './figures';

/** What the dashboard shows of the store and its listeners, for Prometheus; read when it asks, and left as it was where Postgres is away. */
export function exposeFigures(registry: Registry, figures: () => Promise<Figures>): void {
  const gauge = (
    name: string,
    help: string,
    set: (gauge: Gauge, figures: Figures) => void,
    labelNames: string[] = [],
  ) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        return figures().then(
          (found) => set(this, found),
          () => undefined,
        );
      },
    });
  gauge(
    'listeners_active',
    'Listeners of whom something was recorded in the window, to five minutes; every copy says the same.',
    (one, { active }) => {
      for (const window of Object.keys(WINDOWS) as (keyof typeof WINDOWS)[]) one.set({ window }, active[window]);
    },
    ['window'],
  );
  gauge(
    'store_events',
    "Events in listeners' streams that are not cut away, as far as the users' projector has come.",
    (one, { kept }) => one.set(kept),
  );
  gauge('store_events_recorded', 'These and those that were cut away.', (one, { recorded }) => one.set(recorded));
  gauge(
    'store_bytes',
    'Size of the stand-in for the event store; absent with EventStoreDB, which has its own.',
    (one, { logBytes }) => (logBytes === null ? one.reset() : one.set(logBytes)),
  );
  gauge(
    'tables_bytes',
    'Size of the tables of users and site that are in the database of users.',
    (one, { tablesBytes }) => one.set(tablesBytes),
  );
}
