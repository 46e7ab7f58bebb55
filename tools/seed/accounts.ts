import { randomUUID } from 'node:crypto';
import { usernameKey } from '@balados/users-accounts';
import { Client } from 'pg';
import { Api, DemoFailed } from '../demo/api';

/** Somebody seeded, who can log in. */
export interface Account {
  userId: string;
  username: string;
}

/**
 * Makes accounts `seed-<run>-<n>` with one password. The first is made through the front door and lends the others its hash: hashing
 * a thousand passwords takes a minute.
 * @throws DemoFailed when the database is not that of the system
 */
export async function createAccounts(
  api: Api,
  database: string,
  { run, count, password }: { run: string; count: number; password: string },
): Promise<Account[]> {
  const username = (n: number): string => `seed-${run}-${n}`;
  const { user_id: first } = await api.send<{ user_id: string }>('POST', '/accounts', {
    username: username(1),
    password,
  });
  const accounts = [{ userId: first, username: username(1) }];
  for (let n = 2; n <= count; n += 1) accounts.push({ userId: randomUUID(), username: username(n) });
  const others = accounts.slice(1);
  const client = new Client({ connectionString: database });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM users.accounts WHERE user_id = $1', [first]);
    if (rowCount !== 1) throw new DemoFailed(`the system at ${api.url} keeps its accounts in another database`);
    await client.query(
      `INSERT INTO users.accounts (user_id, username, username_key, password_hash)
       SELECT made.*, first.password_hash FROM unnest($2::uuid[], $3::text[], $4::text[]) AS made
       CROSS JOIN users.accounts first WHERE first.user_id = $1`,
      [
        first,
        others.map(({ userId }) => userId),
        others.map(({ username }) => username),
        others.map(({ username }) => usernameKey(username)),
      ],
    );
  } finally {
    await client.end();
  }
  return accounts;
}
