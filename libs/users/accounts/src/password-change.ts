import { Refusal } from '@balados/event-sourcing';
import { AccountRow } from '@balados/users-schema';
import { DataSource } from 'typeorm';
import { BasicCredentials } from './basic-credentials';
import { withoutSecrets } from './errors';
import { Passwords } from './passwords';
import { SessionChecks } from './session-checks';

/** Changes the password of an account, and ends what may have come of the old one. */
export class PasswordChange {
  constructor(
    private readonly parts: {
      dataSource: DataSource;
      passwords: Passwords;
      checks: SessionChecks;
      basic: BasicCredentials;
    },
  ) {}

  /**
   * All sessions but this one end, everywhere within five seconds, and with them their refresh tokens; what was granted to apps that
   * have not fetched it is granted no more. Keys, personal tokens and apps' passwords stay. To try a password here takes as long as at
   * a login.
   * @throws Refusal `wrong_password`, `invalid_password`; Busy
   */
  async change(
    { userId, sessionId }: { userId: string; sessionId: string },
    { password, newPassword }: { password: string; newPassword: string },
  ): Promise<void> {
    const { dataSource, passwords, checks, basic } = this.parts;
    const wrong = new Refusal('wrong_password', 'This is not the password of the account.');
    const account = await dataSource.getRepository(AccountRow).findOneBy({ userId });
    if (!(await passwords.verify(account?.passwordHash, password)) || !account) throw wrong;
    const passwordHash = await passwords.hash(newPassword);
    const ended = await dataSource.transaction(async (sql) => {
      const [changed] = await withoutSecrets(
        sql.query<[unknown[], number]>(
          `UPDATE users.accounts SET password_hash = $2, password_version = password_version + 1
           WHERE user_id = $1 AND password_version = $3 RETURNING 1`,
          [userId, passwordHash, account.passwordVersion],
        ),
      );
      // Somebody else has changed it since.
      if (changed.length === 0) throw wrong;
      const [sessions] = await sql.query<[{ id: string }[], number]>(
        `UPDATE users.api_tokens SET revoked_at = now()
         WHERE user_id = $1 AND kind = 'session' AND id <> $2 AND revoked_at IS NULL RETURNING id`,
        [userId, sessionId],
      );
      await sql.query('DELETE FROM users.login_flows WHERE user_id = $1', [userId]);
      return sessions;
    });
    for (const { id } of ended) checks.markRevoked(id);
    basic.markPassword(userId, passwordHash);
  }
}
