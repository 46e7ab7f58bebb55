import { randomUUID } from 'node:crypto';
import { Refusal } from '@balados/event-sourcing';
import { Sql } from '@balados/platform-stores';
import { AccountRow } from '@balados/users-schema';
import { DataSource } from 'typeorm';
import { withoutSecrets } from './errors';
import { IdempotencyKeys, reused } from './idempotency-keys';
import { Passwords } from './passwords';
import { isUsername, toUsername, usernameKey } from './usernames';

export interface Account {
  userId: string;
  username: string;
  createdAt: Date;
}

/** Who a listener is; without a username when an outside issuer vouches for them. */
export type Self = Omit<Account, 'username'> & { username: string | null };

export interface Credentials {
  username: string;
  password: string;
}

/** An account as it is remembered under an idempotency key. */
interface Made {
  user_id: string;
  username: string;
  created_at: string;
}

const toAccount = ({ userId, username, createdAt }: AccountRow): Account => ({ userId, username, createdAt });

export class Accounts {
  constructor(
    private readonly dataSource: DataSource,
    private readonly passwords: Passwords,
    private readonly idempotency: IdempotencyKeys,
  ) {}

  /** @throws Refusal `invalid_username`, `invalid_password`, `username_taken`, `idempotency_key_reused`; Busy */
  async create(credentials: Credentials, idempotencyKey?: string): Promise<Account> {
    const { password } = credentials;
    const username = toUsername(credentials.username);
    // A fast hash of the password must not be stored: what is sent again is checked against the account's own, slow one.
    const attempt = { key: idempotencyKey, route: 'POST /accounts', caller: '', request: { username } };
    const isTaken = await this.rows.existsBy({ usernameKey: usernameKey(username) });
    const before = await this.idempotency.find<Made>(attempt);
    if (before) return this.again(before.answer, password);
    if (isTaken) throw taken();
    const passwordHash = await this.passwords.hash(password);
    const userId = randomUUID();
    const { answer, repeated } = await this.idempotency.once({ ...attempt, userId }, (sql) =>
      insert(sql, { userId, username, passwordHash }),
    );
    return repeated ? this.again(answer, password) : wasMade(answer);
  }

  /** Also of a listener without an account of ours. */
  async find(userId: string): Promise<Self | undefined> {
    const [row] = await this.dataSource.query<Self[]>(
      `SELECT user_id AS "userId", username, created_at AS "createdAt" FROM users.accounts WHERE user_id = $1
       UNION ALL SELECT user_id, NULL, created_at FROM users.outside_listeners WHERE user_id = $1`,
      [userId],
    );
    return row;
  }

  /** Whose credentials these are; a hash of outdated parameters is renewed. @throws Refusal `invalid_credentials`; Busy */
  async verify(credentials: Credentials): Promise<Account> {
    return toAccount(await this.check(credentials));
  }

  /** As `verify`, with the row. */
  async check({ username, password }: Credentials): Promise<AccountRow> {
    const row = isUsername(username) ? await this.rows.findOneBy({ usernameKey: usernameKey(username) }) : null;
    const isRight = await this.passwords.verify(row?.passwordHash, password);
    if (!isRight || !row || row.closedAt) throw invalidCredentials();
    if (this.passwords.isOutdated(row.passwordHash)) await this.renew(row, password);
    return row;
  }

  private async again(made: Made, password: string): Promise<Account> {
    const row = await this.rows.findOneBy({ userId: made.user_id });
    if (!(await this.passwords.verify(row?.passwordHash, password))) throw reused();
    return wasMade(made);
  }

  /** Unless the password was changed meanwhile. */
  private async renew(row: AccountRow, password: string): Promise<void> {
    const { userId, passwordHash } = row;
    row.passwordHash = await this.passwords.hash(password);
    await withoutSecrets(this.rows.update({ userId, passwordHash }, { passwordHash: row.passwordHash }));
  }

  private get rows() {
    return this.dataSource.getRepository(AccountRow);
  }
}

export const invalidCredentials = (): Refusal =>
  new Refusal('invalid_credentials', 'Username and password do not belong together.');

const taken = (): Refusal => new Refusal('username_taken', 'Another account has this username.');

const wasMade = ({ user_id: userId, username, created_at }: Made): Account => ({
  userId,
  username,
  createdAt: new Date(created_at),
});

async function insert(sql: Sql, account: Pick<AccountRow, 'userId' | 'username' | 'passwordHash'>): Promise<Made> {
  const { userId, username, passwordHash } = account;
  const [created] = await withoutSecrets(
    sql.query<{ created_at: Date }[]>(
      `INSERT INTO users.accounts (user_id, username, username_key, password_hash) VALUES ($1, $2, $3, $4)
       ON CONFLICT (username_key) DO NOTHING RETURNING created_at`,
      [userId, username, usernameKey(username), passwordHash],
    ),
  );
  if (!created) throw taken();
  return { user_id: userId, username, created_at: created.created_at.toISOString() };
}
