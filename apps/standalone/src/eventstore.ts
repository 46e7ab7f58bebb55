import { runAsChild, startEventStore } from '@balados/embedded';

// The stand-in for EventStoreDB as a process of its own. DATABASE_URL: where its events are kept. PORT: 2113, 0 is any free one.
// LOCK_WAIT_MS: how long to wait for another one on that database to stop.
const { DATABASE_URL, HOST, PORT = '2113', LOCK_WAIT_MS = '10000' } = process.env;

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= least && number <= most) return number;
  throw new Error(`${name} is not a whole number from ${least} to ${most}: ${text}`);
}

void runAsChild(async (log) => {
  if (!DATABASE_URL) throw new Error('DATABASE_URL is missing: the Postgres database that keeps the events');
  return startEventStore({
    databaseUrl: DATABASE_URL,
    host: HOST,
    port: wholeNumber('PORT', PORT, 0, 65_535),
    limits: { lockMs: wholeNumber('LOCK_WAIT_MS', LOCK_WAIT_MS, 1, 3_600_000) },
    log,
  });
});
