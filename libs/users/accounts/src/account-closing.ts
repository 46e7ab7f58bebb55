import { Refusal } from '@balados/event-sourcing';
import { Sql } from '@balados/platform-stores';
import { WHOLE_ACCOUNT } from '@balados/users-contracts';
import { AccountRow } from '@balados/users-schema';
import { DataSource } from 'typeorm';
import { BasicCredentials } from './basic-credentials';
import { Erasure, requestErasure } from './erasures';
import { Listener } from './listener';
import { ListenerKeys } from './listener-keys';
import { Passwords } from './passwords';
import { SessionChecks } from './session-checks';

/** The beginning of an account's end: nobody signs in any more, and its erasure is requested. */
export class AccountClosing {
  constructor(
    private readonly parts: {
      dataSource: DataSource;
      passwords: Passwords;
      checks: SessionChecks;
      basic: BasicCredentials;
      keys: ListenerKeys;
    },
  ) {}

  /**
   * In one transaction; sessions, tokens and keys are gone here at once, and everywhere within five seconds. Of a listener of an outside
   * issuer, who has no password with us, the issuer's token is enough.
   * @throws Refusal `wrong_password`, `login_required`; Busy
   */
  async close({ userId, sessionId }: Listener, password: string): Promise<Erasure> {
    const { dataSource } = this.parts;
    const account = await dataSource.getRepository(AccountRow).findOneBy({ userId });
    if (account && sessionId === null)
      throw new Refusal('login_required', 'This wants the access token of a login, not one that was signed elsewhere.');
    const isOutside = !account && sessionId === null;
    const wrong = new Refusal('wrong_password', 'This is not the password of the account.');
    if (!isOutside && !(await this.parts.passwords.verify(account?.passwordHash, password))) throw wrong;
    const { erasure, sessions, keys } = await dataSource.transaction(async (sql) => {
      if (account && !(await closeAccount(sql, account))) throw wrong;
      await sql.query('UPDATE users.outside_listeners SET closed_at = coalesce(closed_at, now()) WHERE user_id = $1', [
        userId,
      ]);
      return {
        erasure: await requestErasure(sql, userId, WHOLE_ACCOUNT),
        sessions: await deleteReturning(sql, 'api_tokens', 'id', userId),
        keys: await deleteReturning(sql, 'listener_keys', 'kid', userId),
        devices: await deleteReturning(sql, 'devices', 'device_id', userId),
        names: await deleteReturning(sql, 'feed_names', 'feed_id', userId),
        flows: await deleteReturning(sql, 'login_flows', 'user_id', userId),
        // Its answers name the account, and it must not be made again under the same key.
        answers: await deleteReturning(sql, 'idempotency_keys', 'user_id', userId),
      };
    });
    for (const id of sessions) {
      this.parts.checks.markRevoked(id);
      this.parts.basic.markRevoked(id);
    }
    this.parts.basic.markPassword(userId);
    for (const kid of keys) this.parts.keys.markRemoved(kid);
    return erasure;
  }
}

/** Logins and changes of the password that are under way fail by its new version. @returns false when the password was changed meanwhile */
async function closeAccount(sql: Sql, { userId, passwordVersion, closedAt }: AccountRow): Promise<boolean> {
  if (closedAt) return true;
  const [closed] = await sql.query<[unknown[], number]>(
    `UPDATE users.accounts SET closed_at = now(), password_version = password_version + 1
     WHERE user_id = $1 AND password_version = $2 RETURNING 1`,
    [userId, passwordVersion],
  );
  return closed.length > 0;
}

async function deleteReturning(sql: Sql, table: string, column: string, userId: string): Promise<string[]> {
  const [rows] = await sql.query<[{ id: string }[], number]>(
    `DELETE FROM users.${table} WHERE user_id = $1 RETURNING ${column} AS id`,
    [userId],
  );
  return rows.map(({ id }) => id);
}
