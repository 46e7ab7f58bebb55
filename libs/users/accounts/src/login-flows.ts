import { randomBytes } from 'node:crypto';
import { Refusal } from '@balados/event-sourcing';
import { Sql } from '@balados/platform-stores';
import { DataSource } from 'typeorm';
import { Accounts, Credentials } from './accounts';
import { APP_PASSWORD_BYTES, formatAppPassword } from './app-password';
import { assertRoomForToken, insertToken } from './listener-tokens';
import { SECRET_BYTES, sha256 } from './refresh-token';

/** From its beginning a login flow is open for this long, in seconds, granted or not; as Nextcloud has it. */
export const LOGIN_FLOW_SECONDS = 1_200;
/** Open at a time, of all apps together. */
export const LOGIN_FLOWS_MAX = 10_000;

/** SQL: by Postgres' clock, so that all copies go by one. */
const OPEN = `created_at > now() - interval '${LOGIN_FLOW_SECONDS} s'`;

/** What an app that begins a flow is told: each 32 random bytes in base64url, of which we keep a hash. */
export interface BegunFlow {
  /** Known to the app alone: what it asks by whether somebody has granted it. */
  pollToken: string;
  /** Stands in the address of the page on which somebody does. */
  pageToken: string;
}

/**
 * An app asks for a password of its own, somebody signs in on a page and grants it, the app fetches it. The password is made when it is
 * fetched, in the transaction that ends the flow: until then there is none, and it is told once.
 */
export class LoginFlows {
  constructor(private readonly parts: { dataSource: DataSource; accounts: Accounts }) {}

  /** @param client as the app calls itself; undefined when LOGIN_FLOWS_MAX are open */
  async begin(client: string): Promise<BegunFlow | undefined> {
    const { dataSource } = this.parts;
    await purgeLoginFlows(dataSource);
    const [pollToken, pageToken] = [newToken(), newToken()];
    const made = await dataSource.query<unknown[]>(
      `INSERT INTO users.login_flows (poll_hash, page_hash, client)
       SELECT $1, $2, $3 WHERE (SELECT count(*) FROM users.login_flows WHERE ${OPEN}) < $4 RETURNING 1`,
      [sha256(pollToken), sha256(pageToken), client, LOGIN_FLOWS_MAX],
    );
    return made.length > 0 ? { pollToken, pageToken } : undefined;
  }

  /** Which app waits for an answer; undefined when none does (any more). */
  async find(pageToken: string): Promise<{ client: string } | undefined> {
    const [flow] = await this.parts.dataSource.query<{ client: string }[]>(
      `SELECT client FROM users.login_flows WHERE page_hash = $1 AND user_id IS NULL AND ${OPEN}`,
      [sha256(pageToken)],
    );
    return flow;
  }

  /** @returns false when no app waits for it (any more). @throws Refusal `invalid_credentials`, `tokens_full`; Busy */
  async grant(pageToken: string, credentials: Credentials): Promise<boolean> {
    const { dataSource, accounts } = this.parts;
    // The account's password alone: one of an app begets no other.
    const { userId, passwordVersion } = await accounts.check(credentials);
    await assertRoomForToken(dataSource, { userId, kind: 'app' });
    const [granted] = await dataSource.query<[unknown[], number]>(
      `UPDATE users.login_flows SET user_id = $2, password_version = $3
       WHERE page_hash = $1 AND user_id IS NULL AND ${OPEN} RETURNING 1`,
      [sha256(pageToken), userId, passwordVersion],
    );
    return granted.length > 0;
  }

  /** Ends it. @returns false when no app waits for an answer (any more) */
  async refuse(pageToken: string): Promise<boolean> {
    const [refused] = await this.parts.dataSource.query<[unknown[], number]>(
      `DELETE FROM users.login_flows WHERE page_hash = $1 AND user_id IS NULL AND ${OPEN} RETURNING 1`,
      [sha256(pageToken)],
    );
    return refused.length > 0;
  }

  /**
   * What the app signs in by from now on, told this once; undefined while nobody has granted it, and when it is refused, fetched or over. A
   * password of the account that was changed since, or an account that is closed, grants nothing.
   */
  async fetch(pollToken: string): Promise<Credentials | undefined> {
    try {
      return await this.parts.dataSource.transaction((sql) => fetchOnce(sql, sha256(pollToken)));
    } catch (error) {
      // Filled up since it was granted: the flow stays, and goes on when there is room.
      if (error instanceof Refusal && error.code === 'tokens_full') return undefined;
      throw error;
    }
  }
}

async function fetchOnce(sql: Sql, pollHash: Buffer): Promise<Credentials | undefined> {
  // The account before the flow, as who changes or closes the account locks them.
  const [flow] = await sql.query<{ userId: string; username: string; client: string }[]>(
    `SELECT account.user_id AS "userId", username, client
     FROM users.login_flows flow JOIN users.accounts account USING (user_id, password_version)
     WHERE poll_hash = $1 AND closed_at IS NULL AND flow.${OPEN} FOR SHARE OF account`,
    [pollHash],
  );
  if (!flow) return undefined;
  // Of two that ask at once one ends it.
  const [ended] = await sql.query<[unknown[], number]>(
    'DELETE FROM users.login_flows WHERE poll_hash = $1 RETURNING 1',
    [pollHash],
  );
  if (ended.length === 0) return undefined;
  const password = formatAppPassword(randomBytes(APP_PASSWORD_BYTES));
  await insertToken(sql, { userId: flow.userId, kind: 'app', name: flow.client, secret: password });
  return { username: flow.username, password };
}

/** Deletes those that are over; answers how many. */
export async function purgeLoginFlows(sql: Sql): Promise<number> {
  const [, deleted] = await sql.query<[unknown[], number]>(`DELETE FROM users.login_flows WHERE NOT (${OPEN})`);
  return deleted;
}

/** How many would be deleted. */
export async function endedLoginFlows(sql: Sql): Promise<number> {
  const [row] = await sql.query<{ count: number }[]>(
    `SELECT count(*)::integer AS count FROM users.login_flows WHERE NOT (${OPEN})`,
  );
  return row!.count;
}

const newToken = (): string => randomBytes(SECRET_BYTES).toString('base64url');
