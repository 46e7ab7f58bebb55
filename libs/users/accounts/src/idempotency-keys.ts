import { createHmac, hkdfSync, KeyObject, randomBytes } from 'node:crypto';
import { Refusal } from '@balados/event-sourcing';
import { Sql } from '@balados/platform-stores';
import { DataSource } from 'typeorm';
import { withoutSecrets } from './errors';
import { newSalt, SECRET_BYTES } from './refresh-token';

/** A key is remembered for this long, in hours; used again after that, it is a new one. */
export const IDEMPOTENCY_KEY_HOURS = 24;
/** Longest key, in characters. */
export const IDEMPOTENCY_KEY_MAX_LENGTH = 255;
/** Visible ASCII; a key in the quotes of a structured field is another key than one without, which harms nobody. */
const FORM = new RegExp(`^[\\x21-\\x7e]{1,${IDEMPOTENCY_KEY_MAX_LENGTH}}$`);

export const isIdempotencyKey = (text: string): boolean => FORM.test(text);

/** A write that a client may send again under a key of its own. */
export interface Attempt {
  /** What the client chose; without it the write is done each time. */
  key: string | undefined;
  route: string;
  /** Keys of different callers do not meet. */
  caller: string;
  /** What makes it the same request; no secrets, since its hash is stored. */
  request: unknown;
}

export interface Outcome<Answer> {
  answer: Answer;
  /** 32 bytes in base64url that nobody can guess: the same for the same attempt, and not stored. */
  secret: string;
  /** Whether it had been done before. */
  repeated: boolean;
}

interface KeyRow {
  request_hash: Buffer;
  salt: Buffer;
  answer: unknown;
}

/**
 * Remembers what was done under which key, in the transaction that did it. A key is kept as a hash, and the secret of what it
 * made is derived from the key, a random salt in its row and a key of the server: nobody who reads the table learns it.
 */
export class IdempotencyKeys {
  private readonly serverKey: Buffer;

  constructor(
    private readonly dataSource: DataSource,
    signingKey: KeyObject,
  ) {
    const material = signingKey.export({ type: 'pkcs8', format: 'der' });
    this.serverKey = Buffer.from(hkdfSync('sha256', material, '', 'idempotency keys', SECRET_BYTES));
  }

  /** Does `work` and remembers its answer, which holds no secret; or answers what was done before under this key.
   * @throws Refusal `idempotency_key_reused` when that was another request; whatever `work` throws, and then nothing is done */
  async once<Answer extends object>(
    attempt: Attempt & { userId: string },
    work: (sql: Sql, secret: string) => Promise<Answer>,
  ): Promise<Outcome<Answer>> {
    const { key, userId } = attempt;
    return this.dataSource.transaction(async (sql) => {
      if (key === undefined) {
        const secret = randomBytes(SECRET_BYTES).toString('base64url');
        return { answer: await work(sql, secret), secret, repeated: false };
      }
      const [keyHash, salt] = [this.hashOfKey(attempt, key), newSalt()];
      // Of requests at the same moment one makes the row, and the others wait here until it is done.
      const claimed = await withoutSecrets(
        sql.query<unknown[]>(
          `INSERT INTO users.idempotency_keys AS known (key_hash, user_id, request_hash, salt) VALUES ($1, $2, $3, $4)
           ON CONFLICT (key_hash) DO UPDATE SET user_id = excluded.user_id, request_hash = excluded.request_hash,
             salt = excluded.salt, answer = NULL, created_at = now()
             WHERE known.created_at < now() - make_interval(hours => $5)
           RETURNING 1`,
          [keyHash, userId, this.hashOfRequest(attempt), salt, IDEMPOTENCY_KEY_HOURS],
        ),
      );
      if (claimed.length === 0) {
        const before = await this.look<Answer>(sql, attempt, key);
        if (before) return before;
        // Purged between the two statements, or a row older than our clock thinks: the client may simply send it again.
        throw new Refusal('idempotency_key_reused', 'The Idempotency-Key has just run out; choose another.');
      }
      const secret = this.secretOf(salt, key);
      const answer = await work(sql, secret);
      await sql.query('UPDATE users.idempotency_keys SET answer = $2 WHERE key_hash = $1', [
        keyHash,
        JSON.stringify(answer),
      ]);
      return { answer, secret, repeated: false };
    });
  }

  /** What was done under this key, if anything. @throws Refusal `idempotency_key_reused` */
  async find<Answer extends object>(attempt: Attempt): Promise<Outcome<Answer> | undefined> {
    return attempt.key === undefined ? undefined : this.look(this.dataSource, attempt, attempt.key);
  }

  private async look<Answer>(sql: Sql, attempt: Attempt, key: string): Promise<Outcome<Answer> | undefined> {
    const [row] = await withoutSecrets(
      sql.query<KeyRow[]>(
        `SELECT request_hash, salt, answer FROM users.idempotency_keys
         WHERE key_hash = $1 AND created_at >= now() - make_interval(hours => $2)`,
        [this.hashOfKey(attempt, key), IDEMPOTENCY_KEY_HOURS],
      ),
    );
    if (!row) return undefined;
    if (!row.request_hash.equals(this.hashOfRequest(attempt))) throw reused();
    return { answer: row.answer as Answer, secret: this.secretOf(row.salt, key), repeated: true };
  }

  private hashOfKey({ route, caller }: Attempt, key: string): Buffer {
    return this.hmac(JSON.stringify(['key', route, caller, key]));
  }

  private hashOfRequest({ request }: Attempt): Buffer {
    return this.hmac(JSON.stringify(['request', request]));
  }

  private secretOf(salt: Buffer, key: string): string {
    return createHmac('sha256', this.hmac(JSON.stringify(['secret', key])))
      .update(salt)
      .digest('base64url');
  }

  private hmac(text: string): Buffer {
    return createHmac('sha256', this.serverKey).update(text).digest();
  }
}

export const reused = (): Refusal =>
  new Refusal('idempotency_key_reused', 'This Idempotency-Key came with another request before; choose another.');
