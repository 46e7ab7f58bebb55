import { startEventStore } from '@balados/embedded';

/**
 * The stand-in for EventStoreDB as a process of its own: `DATABASE_URL`, `HOST` and `PORT` (2113; 0 lets the system
 * assign one), `LOCK_WAIT_MS` (10,000: how long to wait for another one to stop). One JSON line for each thing worth saying on stdout; the first one with `"msg":"listening"` names the port.
 * SIGTERM stops it in order. With `BALADOS_SUPERVISED=1` the parent orders the stop: SIGINT, which a terminal sends to
 * both, is ignored, and the end of stdin means that the parent is gone.
 */
const DEFAULT_PORT = 2113;
const DEFAULT_LOCK_WAIT_MS = 10_000;

const say = (level: 'info' | 'warn' | 'error', msg: string, fields: Record<string, unknown> = {}): void => {
  process.stdout.write(`${JSON.stringify({ level, msg, ...fields })}\n`);
};

async function main(): Promise<void> {
  const { DATABASE_URL, HOST, PORT, LOCK_WAIT_MS, BALADOS_SUPERVISED } = process.env;
  if (!DATABASE_URL) throw new Error('DATABASE_URL is missing: the Postgres database that keeps the events');
  const port = Number(PORT ?? DEFAULT_PORT);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`PORT is not a port: ${PORT}`);

  const lockMs = Number(LOCK_WAIT_MS ?? DEFAULT_LOCK_WAIT_MS);
  if (!Number.isInteger(lockMs) || lockMs < 1) throw new Error(`LOCK_WAIT_MS is not a time: ${LOCK_WAIT_MS}`);

  const store = await startEventStore({ databaseUrl: DATABASE_URL, host: HOST, port, log: say, limits: { lockMs } });
  let stopping = false;
  const stop = async (reason: string, exitCode: number): Promise<void> => {
    if (stopping) return;
    stopping = true;
    say('info', 'stopping', { reason });
    await store.close();
    process.exit(exitCode);
  };
  const supervised = BALADOS_SUPERVISED === '1';
  process.on('SIGTERM', () => void stop('SIGTERM', 0));
  process.on('SIGINT', () => void (supervised || stop('SIGINT', 0)));
  if (supervised) process.stdin.resume().on('end', () => void stop('the parent is gone', 0));
  void store.failed.then((error) => {
    say('error', error.message);
    return stop('the store cannot write', 1);
  });
  say('info', 'listening', { port: store.port });
}

main().catch((error: Error) => {
  say('error', error.message);
  process.exitCode = 1;
});
