import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

export interface TestDatabase {
  /** Connection URL as superuser. */
  readonly url: string;
  /** Drops it, also when connections to it are still open. */
  drop(): Promise<void>;
}

/** Makes a new database on the server of TEST_POSTGRES_URL: an empty one, or a copy of what `templateDatabase` returned. */
export async function createDatabase(template = 'template1'): Promise<TestDatabase> {
  const name = `test_${required('TEST_RUN_ID')}_${randomBytes(6).toString('hex')}`;
  await asSuperuser((server) => server.query(`CREATE DATABASE "${name}" TEMPLATE "${template}"`));
  return {
    url: databaseUrl(name),
    drop: () => asSuperuser(async (server) => void (await server.query(`DROP DATABASE "${name}" WITH (FORCE)`))),
  };
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
