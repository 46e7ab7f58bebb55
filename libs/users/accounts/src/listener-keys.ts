import { randomUUID } from 'node:crypto';
import { Refusal } from '@balados/event-sourcing';
import { DataSource } from 'typeorm';
import { Unauthenticated, withoutSecrets } from './errors';
import { IdempotencyKeys } from './idempotency-keys';
import { inTime, LAST_USED_SECONDS, LiveAnswers } from './live-answers';
import { readPublicKey } from './public-key';

/** Keys that one listener may have registered; a token without `kid` is tried with each. */
export const KEYS_PER_LISTENER = 10;

/** A registered key as its owner sees it. Times as RFC 3339. */
export interface ListedKey {
  kid: string;
  name: string;
  /** SPKI in PEM. */
  public_key: string;
  created_at: string;
  last_used_at: string | null;
}

/** A registered key as a token is checked with it. */
export interface RegisteredKey {
  kid: string;
  userId: string;
  pem: string;
  lastUseIsOld: boolean;
}

const NO_KEY: RegisteredKey = { kid: '', userId: '', pem: '', lastUseIsOld: false };
const REGISTERED = `kid, user_id AS "userId", public_key AS pem,
  coalesce(last_used_at < now() - make_interval(secs => $2), true) AS "lastUseIsOld"`;
const LISTED = 'kid, name, public_key, created_at, last_used_at';

type Row = Omit<ListedKey, 'created_at' | 'last_used_at'> & { created_at: Date; last_used_at: Date | null };
const listed = (row: Row): ListedKey => ({
  ...row,
  created_at: row.created_at.toISOString(),
  last_used_at: row.last_used_at?.toISOString() ?? null,
});

/** Public keys of listeners who sign tokens themselves. */
export class ListenerKeys {
  private readonly keys: LiveAnswers<RegisteredKey>;

  constructor(private readonly parts: { dataSource: DataSource; idempotency: IdempotencyKeys }) {
    this.keys = new LiveAnswers(NO_KEY, (kids) => this.read(kids));
  }

  /**
   * The same key of the same listener is registered once, under the name that it was given last.
   * @throws Refusal `private_key_sent`, `invalid_public_key`, `keys_full`, `idempotency_key_reused`; Unauthenticated without an account
   */
  async register(
    userId: string,
    { name, publicKey }: { name: string; publicKey: string | Record<string, unknown> },
    idempotencyKey?: string,
  ): Promise<ListedKey> {
    const { pem, thumbprint } = readPublicKey(publicKey);
    const request = { name, pem };
    const { answer } = await this.parts.idempotency.once(
      { key: idempotencyKey, route: 'POST /keys', caller: userId, userId, request },
      async (sql) => {
        // Takes a listener's new keys one by one, and sees an account that was deleted a moment ago.
        const account = 'SELECT 1 FROM users.accounts WHERE user_id = $1 AND closed_at IS NULL FOR NO KEY UPDATE';
        if ((await sql.query<unknown[]>(account, [userId])).length === 0)
          throw new Unauthenticated('revoked_session', 'There is no such account any more.');
        const [row] = await withoutSecrets(
          sql.query<Row[]>(
            `INSERT INTO users.listener_keys (kid, user_id, name, public_key, thumbprint)
             SELECT $1, $2::uuid, $3, $4, $5
             WHERE (SELECT count(*) FROM users.listener_keys WHERE user_id = $2::uuid AND thumbprint <> $5) < $6
             ON CONFLICT (user_id, thumbprint) DO UPDATE SET name = excluded.name RETURNING ${LISTED}`,
            [randomUUID(), userId, name, pem, thumbprint, KEYS_PER_LISTENER],
          ),
        );
        if (!row) throw new Refusal('keys_full', `A listener has at most ${KEYS_PER_LISTENER} keys; remove one first.`);
        return listed(row);
      },
    );
    return answer;
  }

  /** The newest first. */
  async list(userId: string): Promise<ListedKey[]> {
    const rows = await this.parts.dataSource.query<Row[]>(
      `SELECT ${LISTED} FROM users.listener_keys WHERE user_id = $1 ORDER BY created_at DESC, kid`,
      [userId],
    );
    return rows.map(listed);
  }

  /** What the key signed is worth nothing from now on here, and everywhere within five seconds. @throws Refusal `key_unknown` */
  async remove(userId: string, kid: string): Promise<void> {
    const [rows] = await this.parts.dataSource.query<[unknown[], number]>(
      'DELETE FROM users.listener_keys WHERE kid = $1 AND user_id = $2 RETURNING 1',
      [kid, userId],
    );
    if (rows.length === 0) throw new Refusal('key_unknown', 'This listener has no such key.');
    this.markRemoved(kid);
  }

  /** For the process that removes it: from now on, here. */
  markRemoved(kid: string): void {
    this.keys.set(kid, NO_KEY);
  }

  /** The key of this id, a uuid in lower case; without there being one, a key of nobody. @throws AccountsUnavailable (as a rejection) */
  byKid(kid: string): RegisteredKey | Promise<RegisteredKey> {
    return this.keys.of(kid);
  }

  /** Read anew each time: a token is known by heart once one of them has checked it. @throws AccountsUnavailable */
  async ofListener(userId: string): Promise<RegisteredKey[]> {
    return inTime(
      this.parts.dataSource.query<RegisteredKey[]>(
        `SELECT ${REGISTERED} FROM users.listener_keys WHERE user_id = $1 LIMIT ${KEYS_PER_LISTENER}`,
        [userId, LAST_USED_SECONDS],
      ),
    );
  }

  /** That a token of this key was let in. Nobody waits for it, and it may fail: the next reading tries again. */
  noteUse(key: RegisteredKey): void {
    if (!key.lastUseIsOld) return;
    key.lastUseIsOld = false;
    this.parts.dataSource
      .query(
        `UPDATE users.listener_keys SET last_used_at = now()
         WHERE kid = $1 AND coalesce(last_used_at < now() - make_interval(secs => $2), true)`,
        [key.kid, LAST_USED_SECONDS],
      )
      .catch(() => undefined);
  }

  private async read(kids: string[]): Promise<Map<string, RegisteredKey>> {
    const rows = await this.parts.dataSource.query<RegisteredKey[]>(
      `SELECT ${REGISTERED} FROM users.listener_keys WHERE kid = ANY ($1::uuid[])`,
      [kids, LAST_USED_SECONDS],
    );
    return new Map(rows.map((key) => [key.kid, key]));
  }
}
