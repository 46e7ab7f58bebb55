import { EVENTS_OF_UPLOAD } from './apps';
import { Ceilings, CONNECTIONS, OPEN_LOOP_WRITES, SYNC_CONNECTIONS, SYNC_PLAYS, WRITES_PER_SECOND } from './bench';
import { appendRate, appendToSubscriber, connect, disconnect } from './raw-client';
import { commitTimes } from './raw-postgres';
import { percentiles, perSecond, say } from './report';
import { startStores } from './systems';

const WARM_UP_SECONDS = 4;
const APPEND_SECONDS = 6;

/** Those that are wanted, with nothing running but the event store and its Postgres. */
export async function measureCeilings(wanted: ReadonlySet<keyof Ceilings>): Promise<Ceilings> {
  const ceilings = {} as Ceilings;
  if (wanted.size === 0) return ceilings;
  say('Ceilings: the raw client and Postgres, alone …');
  const stores = await startStores();
  const client = connect(stores.eventStore);
  try {
    if (wanted.has('appendsPerSecond')) {
      const single = { atOnce: CONNECTIONS, events: 1 };
      await appendRate(client, { ...single, seconds: WARM_UP_SECONDS });
      ceilings.appendsPerSecond = await appendRate(client, { ...single, seconds: APPEND_SECONDS });
      say(`  ${perSecond(ceilings.appendsPerSecond)} single appends, ${CONNECTIONS} at once`);
    }
    if (wanted.has('smallBatchesPerSecond')) {
      const small = { atOnce: SYNC_CONNECTIONS, events: SYNC_PLAYS };
      await appendRate(client, { ...small, seconds: WARM_UP_SECONDS });
      ceilings.smallBatchesPerSecond = await appendRate(client, { ...small, seconds: APPEND_SECONDS });
      say(
        `  ${perSecond(ceilings.smallBatchesPerSecond)} appends of ${SYNC_PLAYS} events as one, ${SYNC_CONNECTIONS} at once`,
      );
    }
    if (wanted.has('uploadsPerSecond')) {
      const upload = { atOnce: SYNC_CONNECTIONS, events: EVENTS_OF_UPLOAD };
      await appendRate(client, { ...upload, seconds: WARM_UP_SECONDS });
      ceilings.uploadsPerSecond = await appendRate(client, { ...upload, seconds: APPEND_SECONDS });
      say(
        `  ${perSecond(ceilings.uploadsPerSecond)} appends of ${EVENTS_OF_UPLOAD} events as one, ${SYNC_CONNECTIONS} at once`,
      );
    }
    if (wanted.has('appendToSubscriber')) {
      const rate = { rate: WRITES_PER_SECOND, count: OPEN_LOOP_WRITES / 2 };
      ceilings.appendToSubscriber = await appendToSubscriber(client, rate);
      say(`  append to subscription at ${WRITES_PER_SECOND}/s: ${percentiles(ceilings.appendToSubscriber)}`);
    }
    if (wanted.has('commit')) {
      ceilings.commit = await commitTimes(stores.database);
      say(`  one commit of Postgres: ${percentiles(ceilings.commit)}`);
    }
  } finally {
    await disconnect(client);
    await stores.stop();
  }
  return ceilings;
}
