import { createHmac, randomBytes } from 'node:crypto';
import { Sql } from '@balados/platform-stores';
import { LRUCache } from 'lru-cache';
import { Accounts, Credentials } from './accounts';
import { readAppPassword } from './app-password';
import { withoutSecrets } from './errors';
import { LAST_USED_SECONDS, LiveAnswers } from './live-answers';
import { sha256 } from './refresh-token';
import { writeUse } from './session-checks';
import { usernameKey } from './usernames';

/** Names with their passwords, known by heart in one process, some 300 bytes each. */
export const CREDENTIALS_REMEMBERED = 10_000;
/** For this long after they were checked, in milliseconds: to hash a password takes 45 ms of a core, and some apps send it each time. */
export const CREDENTIALS_REMEMBERED_MS = 600_000;

/**
 * By what a listener signed in: one of their apps' passwords, by its id, or the account's, by a digest of what is kept of it. It may end, so
 * it is asked each time.
 */
export type Means = { appPassword: string } | { password: string };

export interface SignedIn {
  userId: string;
  /** As it stands in the account. */
  username: string;
  by: Means;
}

const ENDED = '';

/**
 * Name and password, as HTTP's Basic sends them with each request: the account's password, or one of an app. What was right is remembered
 * under an HMAC by a key of this process; whether it still holds is asked at every request, and read again after ANSWER_MS.
 */
export class BasicCredentials {
  private readonly remembered = new LRUCache<string, SignedIn>({
    max: CREDENTIALS_REMEMBERED,
    ttl: CREDENTIALS_REMEMBERED_MS,
  });
  private readonly secret = randomBytes(32);
  /** By token's id → its owner. */
  private readonly apps: LiveAnswers<string>;
  /** By user id → the digest of the password's hash. */
  private readonly passwords: LiveAnswers<string>;

  constructor(
    private readonly accounts: Accounts,
    private readonly sql: Sql,
  ) {
    this.apps = new LiveAnswers(ENDED, (ids) => this.readApps(ids));
    this.passwords = new LiveAnswers(ENDED, (ids) => this.readPasswords(ids));
  }

  /** Who was right before and still is, if anybody: no password is hashed for this. @throws AccountsUnavailable */
  async recall(credentials: Credentials): Promise<SignedIn | undefined> {
    const key = this.keyOf(credentials);
    const signedIn = this.remembered.get(key);
    if (!signedIn || (await this.holds(signedIn))) return signedIn;
    // It may have become right again, by another account of the name or a password that was changed back.
    this.remembered.delete(key);
    return undefined;
  }

  /** @throws Refusal `invalid_credentials`; Busy */
  async check(credentials: Credentials): Promise<SignedIn> {
    const signedIn = (await this.ofApp(credentials)) ?? (await this.ofAccount(credentials));
    this.remembered.set(this.keyOf(credentials), signedIn);
    return signedIn;
  }

  /** Whether what they signed in by still holds: it was not revoked, the password not changed, the account not closed. @throws AccountsUnavailable */
  async holds({ userId, by }: Pick<SignedIn, 'userId' | 'by'>): Promise<boolean> {
    if ('appPassword' in by) return (await this.apps.of(by.appPassword)) === userId;
    return (await this.passwords.of(userId)) === by.password;
  }

  /** For the process that revokes: from now on, here. */
  markRevoked(id: string): void {
    this.apps.set(id, ENDED);
  }

  /** The same for the account's password: none holds any more, or the one with this hash alone. */
  markPassword(userId: string, passwordHash?: string): void {
    this.passwords.set(userId, passwordHash === undefined ? ENDED : digestOf(passwordHash));
  }

  private keyOf({ username, password }: Credentials): string {
    return createHmac('sha256', this.secret)
      .update(JSON.stringify([username, password]))
      .digest('base64');
  }

  private async ofApp({ username, password }: Credentials): Promise<SignedIn | undefined> {
    const appPassword = readAppPassword(password);
    if (appPassword === undefined) return undefined;
    const [row] = await this.sql.query<{ id: string; userId: string; username: string }[]>(
      `SELECT token.id, user_id AS "userId", username FROM users.api_tokens token JOIN users.accounts USING (user_id)
       WHERE secret_hash = $1 AND kind = 'app' AND revoked_at IS NULL AND username_key = $2 AND closed_at IS NULL`,
      [sha256(appPassword), usernameKey(username)],
    );
    return row && { userId: row.userId, username: row.username, by: { appPassword: row.id } };
  }

  private async ofAccount(credentials: Credentials): Promise<SignedIn> {
    const { userId, username, passwordHash } = await this.accounts.check(credentials);
    return { userId, username, by: { password: digestOf(passwordHash) } };
  }

  private async readApps(ids: string[]): Promise<Map<string, string>> {
    const live = await this.sql.query<{ id: string; user_id: string; used: boolean }[]>(
      `SELECT id, user_id, coalesce(last_used_at < now() - make_interval(secs => $2), true) AS used
       FROM users.api_tokens WHERE id = ANY ($1::uuid[]) AND kind = 'app' AND revoked_at IS NULL`,
      [ids, LAST_USED_SECONDS],
    );
    writeUse(
      this.sql,
      live.filter(({ used }) => used).map(({ id }) => id),
    );
    return new Map(live.map(({ id, user_id }) => [id, user_id]));
  }

  private async readPasswords(ids: string[]): Promise<Map<string, string>> {
    const open = await withoutSecrets(
      this.sql.query<{ user_id: string; password_hash: string }[]>(
        `SELECT user_id, password_hash FROM users.accounts WHERE user_id = ANY ($1::uuid[]) AND closed_at IS NULL`,
        [ids],
      ),
    );
    return new Map(open.map(({ user_id, password_hash }) => [user_id, digestOf(password_hash)]));
  }
}

/** With the salt in it, so that nobody can make it up who knows the account. */
const digestOf = (passwordHash: string): string => sha256(passwordHash).toString('base64url');
