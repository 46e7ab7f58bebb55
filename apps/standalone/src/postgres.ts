import { join } from 'node:path';
import { runAsChild, startPostgres } from '@balados/embedded';

// The embedded Postgres as a child process. DATA_DIR: its files are in postgres/ there, the password among them.
// POSTGRES_PORT: 0 is any free one. POSTGRES_FSYNC=off: for throw-away databases only, a power cut destroys them.
const { DATA_DIR = '.data', POSTGRES_PORT = '0', POSTGRES_FSYNC = 'on' } = process.env;

void runAsChild((log) =>
  startPostgres({
    dataDirectory: join(DATA_DIR, 'postgres'),
    port: Number(POSTGRES_PORT),
    settings: { fsync: POSTGRES_FSYNC },
    log,
  }),
);
