import { createSign, generateKeyPairSync, KeyObject } from 'node:crypto';
import { createDatabase, waitFor } from '@balados/testing';
import { migrate, openPostgres } from '@balados/platform-stores';
import { usersContext } from '@balados/users-schema';
import { DataSource } from 'typeorm';
import { accountsConfig, AccountsConfig } from './config';
import { AccountsParts, createAccounts } from './create-accounts';

export const password = 'correct horse battery staple';
export const phone = { deviceId: 'phone-1', deviceName: 'Phone of Ann' };

export interface Instance extends AccountsParts {
  dataSource: DataSource;
}

export interface TestAccounts {
  dataSource: DataSource;
  /** Another copy of the service on the same database. */
  start(config?: Partial<AccountsConfig>): Promise<Instance>;
  close(): Promise<void>;
}

/** A migrated database of its own, and copies of this room on it. */
export async function accountsOnPostgres(): Promise<TestAccounts> {
  const database = await createDatabase();
  const opened: DataSource[] = [];
  const open = async (): Promise<DataSource> => {
    const dataSource = await openPostgres(database.url, usersContext, { service: 'accounts test', poolSize: 5 });
    opened.push(dataSource);
    return dataSource;
  };
  const dataSource = await open();
  await migrate(dataSource, usersContext);
  return {
    dataSource,
    async start(config = {}) {
      const own = await open();
      const parts = await createAccounts({ dataSource: own, config: { ...accountsConfig.parse({}), ...config } });
      return { ...parts, dataSource: own };
    },
    async close() {
      for (const each of opened) if (each.isInitialized) await each.destroy();
      await database.drop();
    },
  };
}

/** A request with these words behind `Authorization: Bearer`. */
export const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

const base64url = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token made by hand, RS256 unless `signature` says otherwise: what a library would not sign, too. */
export function makeToken({
  key,
  header = {},
  claims,
  signature = (text) => createSign('sha256').update(text).sign(key, 'base64url'),
}: {
  key: KeyObject;
  header?: object;
  claims: object | string;
  signature?: (text: string) => string;
}): string {
  const text = `${base64url({ alg: 'RS256', typ: 'JWT', ...header })}.${base64url(claims)}`;
  return `${text}.${signature(text)}`;
}

export const rsaPair = () => generateKeyPairSync('rsa', { modulusLength: 2_048 });
export const pemOf = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }) as string;
/** Now, in seconds since 1970. */
export const seconds = (): number => Math.floor(Date.now() / 1_000);

/** Holds all writes to users.api_tokens; `release` lets them go together once `waiting` connections stand in line. */
export async function holdTokens(dataSource: DataSource) {
  const runner = dataSource.createQueryRunner();
  await runner.startTransaction();
  await runner.query('LOCK TABLE users.api_tokens IN SHARE ROW EXCLUSIVE MODE');
  const inLine = async (waiting: number): Promise<void> => {
    const count = `SELECT count(DISTINCT pid)::int AS waiting FROM pg_locks
      WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
    const isReached = async () => (await runner.query(count))[0].waiting >= waiting;
    await waitFor(isReached, { what: `${waiting} connections in line` });
  };
  const release = async (): Promise<void> => {
    await runner.commitTransaction();
    await runner.release();
  };
  return { inLine, release };
}
