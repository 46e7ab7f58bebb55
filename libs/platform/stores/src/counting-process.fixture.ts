import { countingProjector, openCounting } from './counting.fixture';
import { openEventStore } from './event-store-db';
import { runProjector } from './projector-runner';

/** The counting projector as a process of its own, for tests that kill it. */
async function main(): Promise<void> {
  const { EVENTSTORE_URL, DATABASE_URL, LEASE_MS } = process.env;
  const log = (details: object, message?: string) => process.stderr.write(`${message} ${JSON.stringify(details)}\n`);
  const store = openEventStore({ url: EVENTSTORE_URL! });
  const dataSource = await openCounting(DATABASE_URL!, Number(LEASE_MS));
  const projector = runProjector({
    projector: countingProjector,
    store,
    dataSource,
    owner: `process ${process.pid}`,
    leaseMs: Number(LEASE_MS),
    log: { info: log, warn: log, error: log } as never,
  });
  process.on('SIGTERM', async () => {
    await projector.close();
    await dataSource.destroy();
    await store.close();
    process.exit(0);
  });
}

void main();
