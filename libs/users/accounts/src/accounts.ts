import { randomUUID } from 'node:crypto';
import { Refusal } from '@balados/event-sourcing';
import { AccountRow } from '@balados/users-schema';
import { DataSource } from 'typeorm';
import { withoutSecrets } from './errors';
import { Passwords } from './passwords';
import { isUsername, toUsername, usernameKey } from './usernames';

export interface Account {
  userId: string;
  username: string;
  createdAt: Date;
}

export interface Credentials {
  username: string;
  password: string;
}

const toAccount = ({ userId, username, createdAt }: AccountRow): Account => ({ userId, username, createdAt });

export class Accounts {
  constructor(
    private readonly dataSource: DataSource,
    private readonly passwords: Passwords,
  ) {}

  /** @throws Refusal `invalid_username`, `invalid_password`, `username_taken`; Busy */
  async create(credentials: Credentials): Promise<Account> {
    const username = toUsername(credentials.username);
    const key = usernameKey(username);
    const taken = new Refusal('username_taken', 'Another account has this username.');
    if (await this.rows.existsBy({ usernameKey: key })) throw taken;
    const passwordHash = await this.passwords.hash(credentials.password);
    const [created] = await withoutSecrets(
      this.dataSource.query<Pick<AccountRow, 'userId' | 'createdAt'>[]>(
        `INSERT INTO users.accounts (user_id, username, username_key, password_hash) VALUES ($1, $2, $3, $4)
         ON CONFLICT (username_key) DO NOTHING RETURNING user_id AS "userId", created_at AS "createdAt"`,
        [randomUUID(), username, key, passwordHash],
      ),
    );
    if (!created) throw taken;
    return { ...created, username };
  }

  async find(userId: string): Promise<Account | undefined> {
    const row = await this.rows.findOneBy({ userId });
    return row ? toAccount(row) : undefined;
  }

  /** Whose credentials these are; a hash of outdated parameters is renewed. @throws Refusal `invalid_credentials`; Busy */
  async verify({ username, password }: Credentials): Promise<Account> {
    const row = isUsername(username) ? await this.rows.findOneBy({ usernameKey: usernameKey(username) }) : null;
    if (!(await this.passwords.verify(row?.passwordHash, password)) || !row)
      throw new Refusal('invalid_credentials', 'Username and password do not belong together.');
    if (this.passwords.isOutdated(row.passwordHash)) await this.renew(row, password);
    return toAccount(row);
  }

  /** Unless the password was changed meanwhile. */
  private async renew({ userId, passwordHash }: AccountRow, password: string): Promise<void> {
    const renewed = await this.passwords.hash(password);
    await withoutSecrets(this.rows.update({ userId, passwordHash }, { passwordHash: renewed }));
  }

  private get rows() {
    return this.dataSource.getRepository(AccountRow);
  }
}
