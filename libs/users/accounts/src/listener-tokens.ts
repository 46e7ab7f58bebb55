import { randomUUID } from 'node:crypto';
import { Refusal } from '@balados/event-sourcing';
import { Sql } from '@balados/platform-stores';
import { DataSource } from 'typeorm';
import { formatAppPassword } from './app-password';
import type { BasicCredentials } from './basic-credentials';
import { withoutSecrets } from './errors';
import { IdempotencyKeys } from './idempotency-keys';
import { sha256 } from './refresh-token';
import { SessionChecks } from './session-checks';

/** Live personal tokens of one listener, and as many passwords of apps. */
export const PERSONAL_TOKENS_PER_LISTENER = 100;
/** First half of the advisory lock that takes a listener's new tokens one by one ("toke" in hexadecimal). */
const TOKENS_LOCK = 0x746f6b65;

/** A session, a personal token or an app's password, without its secret. Times as RFC 3339. */
export interface ListedToken {
  id: string;
  /** A session's is the name of its device. */
  name: string | null;
  kind: 'session' | TokenKind;
  created_at: string;
  last_used_at: string | null;
}

export interface NewToken {
  /** 32 bytes in base64url, or of an app a password to be typed; we keep a hash of it. */
  token: string;
  kind: TokenKind;
  user_id: string;
  id: string;
  name: string;
  created_at: string;
}

/** `personal`: for feeds and play links. `app`: for an app that knows name and password alone. */
export type TokenKind = 'personal' | 'app';

/** What speaks for a listener: personal tokens for feeds and play links, passwords of apps, and the sessions of devices beside them. */
export class ListenerTokens {
  constructor(
    private readonly parts: {
      dataSource: DataSource;
      idempotency: IdempotencyKeys;
      checks: SessionChecks;
      basic: BasicCredentials;
    },
  ) {}

  /** @throws Refusal `tokens_full`, `username_missing`, `idempotency_key_reused` */
  async create(userId: string, name: string, idempotencyKey?: string, kind: TokenKind = 'personal'): Promise<NewToken> {
    // As it was before there was another kind: a write that is sent again across an upgrade is the same.
    const request = kind === 'personal' ? { name } : { name, kind };
    const shown = (secret: string): string =>
      kind === 'app' ? formatAppPassword(Buffer.from(secret, 'base64url')) : secret;
    const { answer, secret } = await this.parts.idempotency.once(
      { key: idempotencyKey, route: 'POST /tokens', caller: userId, userId, request },
      async (sql, secret) => {
        if (kind === 'app') await assertUsername(sql, userId);
        const { id, createdAt } = await insertToken(sql, { userId, kind, name, secret: shown(secret) });
        return { user_id: userId, id, name, created_at: createdAt.toISOString() };
      },
    );
    return { token: shown(secret), kind, ...answer };
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

  /** Ends one of them, everywhere within five seconds; a second time changes nothing. @throws Refusal `token_unknown` */
  async revoke(userId: string, id: string): Promise<void> {
    const [rows] = await this.parts.dataSource.query<[unknown[], number]>(
      `UPDATE users.api_tokens SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 AND user_id = $2 RETURNING 1`,
      [id, userId],
    );
    if (rows.length === 0) throw new Refusal('token_unknown', 'This listener has no such token.');
    this.parts.checks.markRevoked(id);
    this.parts.basic.markRevoked(id);
  }
}

/** Where the listener has room for one more, in a transaction. @throws Refusal `tokens_full` */
export async function insertToken(
  sql: Sql,
  { userId, kind, name, secret }: { userId: string; kind: TokenKind; name: string; secret: string },
): Promise<{ id: string; createdAt: Date }> {
  await sql.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [TOKENS_LOCK, userId]);
  await assertRoomForToken(sql, { userId, kind });
  const [row] = await withoutSecrets(
    sql.query<{ id: string; createdAt: Date }[]>(
      `INSERT INTO users.api_tokens (id, user_id, kind, name, secret_hash) VALUES ($1, $2, $3, $4, $5)
       RETURNING id, created_at AS "createdAt"`,
      [randomUUID(), userId, kind, name, sha256(secret)],
    ),
  );
  return row!;
}

/** @throws Refusal `tokens_full` */
export async function assertRoomForToken(
  sql: Sql,
  { userId, kind }: { userId: string; kind: TokenKind },
): Promise<void> {
  const [row] = await sql.query<{ live: number }[]>(
    `SELECT count(*)::integer AS live FROM users.api_tokens WHERE user_id = $1 AND kind = $2 AND revoked_at IS NULL`,
    [userId, kind],
  );
  if (row!.live >= PERSONAL_TOKENS_PER_LISTENER)
    throw new Refusal(
      'tokens_full',
      `A listener has at most ${PERSONAL_TOKENS_PER_LISTENER} of them; revoke one first.`,
    );
}

/** @throws Refusal `username_missing`: an app signs in by name */
async function assertUsername(sql: Sql, userId: string): Promise<void> {
  const known = await sql.query<unknown[]>('SELECT 1 FROM users.accounts WHERE user_id = $1', [userId]);
  if (known.length === 0)
    throw new Refusal(
      'username_missing',
      'An app signs in by username and password, and this listener has no username.',
    );
}
