// Stops the Postgres that the setup started and removes its files.
import { once } from 'node:events';
import { rmSync } from 'node:fs';

export default async function globalTeardown() {
  const { baladosPostgres } = globalThis;
  if (!baladosPostgres) return;
  const { child, dataDirectory } = baladosPostgres;
  if (child.exitCode === null && child.signalCode === null) {
    child.stdin.end();
    await once(child, 'close');
  }
  rmSync(dataDirectory, { recursive: true, force: true });
}
