import { createHash, randomBytes } from 'node:crypto';
import { Client } from 'pg';

/** Postgres cuts longer names without a word. */
const MAX_NAME_LENGTH = 63;
/** File by file. Postgres's other way, page by page through its log, takes a server that does not sync five times the processor time. */
const COPIED = 'STRATEGY FILE_COPY';

export interface TestDatabase {
  /** Connection URL as superuser. */
  readonly url: string;
  /** Drops it, also when connections to it are still open. */
  drop(): Promise<void>;
}

/** Makes a new database on the server of TEST_POSTGRES_URL: an empty one, or a copy of what `templateDatabase` returned. */
export async function createDatabase(template = 'template1'): Promise<TestDatabase> {
  const name = `test_${required('TEST_RUN_ID')}_${randomBytes(6).toString('hex')}`;
  await asSuperuser((server) => server.query(`CREATE DATABASE "${name}" TEMPLATE "${template}" ${COPIED}`));
  return {
    url: databaseUrl(name),
    drop: () => asSuperuser(async (server) => void (await server.query(`DROP DATABASE "${name}" WITH (FORCE)`))),
  };
}

/**
 * Makes a template database once for the whole test run, by whichever suite comes first; the others wait for it.
 * `prepare` gets its URL, and must have closed its connections when it resolves. Returns the name for `createDatabase`.
 */
export async function templateDatabase(name: string, prepare: (url: string) => Promise<void>): Promise<string> {
  const content = createHash('sha256').update(prepare.toString()).digest('hex').slice(0, 12);
  // Named after the run as well: what `prepare` calls may have changed since the last one.
  const template = `test_${required('TEST_RUN_ID')}_${name}_${content}`;
  if (template.length > MAX_NAME_LENGTH) throw new Error(`The template name ${name} is too long`);
  await asSuperuser(async (server) => {
    await server.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [template]); // given back as we disconnect
    const { rowCount } = await server.query('SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate', [
      template,
    ]);
    if (rowCount) return;
    await server.query(`DROP DATABASE IF EXISTS "${template}" WITH (FORCE)`); // half-made by a suite that was killed
    await server.query(`CREATE DATABASE "${template}" ${COPIED}`);
    await prepare(databaseUrl(template));
    await server.query(`ALTER DATABASE "${template}" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`);
  });
  return template;
}

async function asSuperuser<Result>(work: (server: Client) => Promise<Result>): Promise<Result> {
  const server = new Client({ connectionString: required('TEST_POSTGRES_URL') });
  await server.connect();
  try {
    return await work(server);
  } finally {
    await server.end();
  }
}

function databaseUrl(name: string): string {
  const url = new URL(required('TEST_POSTGRES_URL'));
  url.pathname = `/${name}`;
  return url.href;
}

function required(variable: string): string {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set: run the tests by Jest with the root's jest.config.js`);
  return value;
}
