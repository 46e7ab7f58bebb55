import { randomUUID } from 'node:crypto';
import { Refusal } from '@balados/event-sourcing';
import { DataSource } from 'typeorm';
import { withoutSecrets } from './errors';
import { IdempotencyKeys } from './idempotency-keys';
import { sha256 } from './refresh-token';
import { SessionChecks } from './session-checks';

/** Live personal tokens of one listener. */
export const PERSONAL_TOKENS_PER_LISTENER = 100;
/** First half of the advisory lock that takes a listener's new tokens one by one ("toke" in hexadecimal). */
const TOKENS_LOCK = 0x746f6b65;

/** A personal token or a session, without its secret. Times as RFC 3339. */
export interface ListedToken {
  id: string;
  /** A session's is the name of its device. */
  name: string | null;
  kind: 'session' | 'personal';
  created_at: string;
  last_used_at: string | null;
}

export interface NewToken {
  /** 32 bytes in base64url; we keep a hash of it. */
  token: string;
  user_id: string;
  id: string;
  name: string;
  created_at: string;
}

/** The tokens that speak for a listener: personal ones for feeds and play links, and the sessions of devices beside them. */
export class ListenerTokens {
  constructor(
    private readonly parts: { dataSource: DataSource; idempotency: IdempotencyKeys; checks: SessionChecks },
  ) {}

  /** @throws Refusal `tokens_full`, `idempotency_key_reused` */
  async create(userId: string, name: string, idempotencyKey?: string): Promise<NewToken> {
    const { answer, secret } = await this.parts.idempotency.once(
      { key: idempotencyKey, route: 'POST /tokens', caller: userId, userId, request: { name } },
      async (sql, token) => {
        await sql.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [TOKENS_LOCK, userId]);
        const [row] = await withoutSecrets(
          sql.query<{ id: string; created_at: Date }[]>(
            `INSERT INTO users.api_tokens (id, user_id, kind, name, secret_hash)
             SELECT $1, $2::uuid, 'personal', $3, $4
             WHERE (SELECT count(*) FROM users.api_tokens
                    WHERE user_id = $2::uuid AND kind = 'personal' AND revoked_at IS NULL) < $5
             RETURNING id, created_at`,
            [randomUUID(), userId, name, sha256(token), PERSONAL_TOKENS_PER_LISTENER],
          ),
        );
        if (!row)
          throw new Refusal(
            'tokens_full',
            `A listener has at most ${PERSONAL_TOKENS_PER_LISTENER} personal tokens; revoke one first.`,
          );
        return { user_id: userId, id: row.id, name, created_at: row.created_at.toISOString() };
      },
    );
    return { token: secret, ...answer };
  }

  /** Those that live, the newest first. */
  async list(userId: string): Promise<ListedToken[]> {
    const rows = await this.parts.dataSource.query<
      (Omit<ListedToken, 'created_at' | 'last_used_at'> & { created_at: Date; last_used_at: Date | null })[]
    >(
      `SELECT id, CASE kind WHEN 'session' THEN device_name ELSE name END AS name, kind, created_at, last_used_at
       FROM users.api_tokens WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
       ORDER BY created_at DESC, id`,
      [userId],
    );
    return rows.map((row) => ({
      ...row,
      created_at: row.created_at.toISOString(),
      last_used_at: row.last_used_at?.toISOString() ?? null,
    }));
  }

  /** Ends a session or a personal token, everywhere within five seconds; a second time changes nothing. @throws Refusal `token_unknown` */
  async revoke(userId: string, id: string): Promise<void> {
    const [rows] = await this.parts.dataSource.query<[unknown[], number]>(
      `UPDATE users.api_tokens SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 AND user_id = $2 RETURNING 1`,
      [id, userId],
    );
    if (rows.length === 0) throw new Refusal('token_unknown', 'This listener has no such token.');
    this.parts.checks.markRevoked(id);
  }
}
