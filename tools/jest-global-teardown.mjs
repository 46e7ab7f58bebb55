// Stops the Postgres that the setup started and removes its files; on a server that was given to us, drops the
// databases of this run instead, those of killed suites too.
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import pg from 'pg';

export default async function globalTeardown() {
  const { baladosPostgres } = globalThis;
  if (!baladosPostgres) return process.env.TEST_STAGE === 'unit' ? undefined : dropDatabases();
  const { child, dataDirectory } = baladosPostgres;
  if (child.exitCode === null && child.signalCode === null) {
    child.stdin.end();
    await once(child, 'close');
  }
  rmSync(dataDirectory, { recursive: true, force: true });
}

async function dropDatabases() {
  if (!process.env.TEST_POSTGRES_URL) return;
  const server = new pg.Client({ connectionString: process.env.TEST_POSTGRES_URL });
  await server.connect();
  const ours = 'SELECT datname FROM pg_database WHERE starts_with(datname, $1)';
  for (const { datname } of (await server.query(ours, [`test_${process.env.TEST_RUN_ID}_`])).rows) {
    await server.query(`ALTER DATABASE "${datname}" WITH IS_TEMPLATE false`);
    await server.query(`DROP DATABASE "${datname}" WITH (FORCE)`);
  }
  await server.end();
}
