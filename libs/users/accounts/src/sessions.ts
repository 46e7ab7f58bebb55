import { randomUUID } from 'node:crypto';
import { Refusal } from '@balados/event-sourcing';
import { DataSource } from 'typeorm';
import { AccessTokens } from './access-token';
import { Accounts, Credentials, invalidCredentials } from './accounts';
import { AccountsConfig } from './config';
import { withoutSecrets } from './errors';
import {
  formatRefreshToken,
  newRefreshToken,
  newSalt,
  nextRefreshToken,
  parseRefreshToken,
  RefreshToken,
  sha256,
} from './refresh-token';
import { SessionChecks } from './session-checks';

/** For this long after a rotation the token before it still gets the answer that may have been lost, in seconds. */
export const REFRESH_RETRY_SECONDS = 60;
/** Live sessions of one listener; a login beyond ends those unused for longest. */
export const SESSIONS_PER_LISTENER = 100;

/** What the listener's app says of its device, plain text that the edge has checked; null when it says nothing. */
export interface Device {
  deviceId: string | null;
  deviceName: string | null;
}

/** The answer to a login or a refresh. */
export interface Tokens {
  accessToken: string;
  /** Seconds that the access token lasts. */
  expiresIn: number;
  refreshToken: string;
  userId: string;
}

interface SessionRow {
  id: string;
  user_id: string;
  device_id: string | null;
  device_name: string | null;
}

const ROW = 'id, user_id, device_id, device_name';
const LIVE = `kind = 'session' AND revoked_at IS NULL AND expires_at > now()`;

/** Sessions of devices. Times are the database's, so that all copies go by one clock. */
export class Sessions {
  constructor(
    private readonly parts: {
      dataSource: DataSource;
      accounts: Accounts;
      accessTokens: AccessTokens;
      checks: SessionChecks;
      config: AccountsConfig;
    },
  ) {}

  /** @throws Refusal `invalid_credentials`; Busy */
  async login({ deviceId, deviceName, ...credentials }: Credentials & Device): Promise<Tokens> {
    const { userId, passwordVersion } = await this.parts.accounts.check(credentials);
    const token = newRefreshToken();
    const session: SessionRow = { id: randomUUID(), user_id: userId, device_id: deviceId, device_name: deviceName };
    // A change of the password at this moment either waits for this row, and ends the session, or is seen here.
    const made = await this.sql<unknown[]>(
      `INSERT INTO users.api_tokens
         (kind, id, user_id, device_id, device_name, family_hash, secret_hash, last_used_at, expires_at)
       SELECT 'session', $1, $2::uuid, $3, $4, $5, $6, now(), now() + make_interval(secs => $7)
       FROM users.accounts WHERE user_id = $2::uuid AND password_version = $8 FOR SHARE RETURNING 1`,
      [
        session.id,
        userId,
        deviceId,
        deviceName,
        sha256(token.family),
        sha256(token.secret),
        this.lifetime,
        passwordVersion,
      ],
    );
    if (made.length === 0) throw invalidCredentials();
    await this.sql(
      `UPDATE users.api_tokens SET revoked_at = now() WHERE id IN (
         SELECT id FROM users.api_tokens WHERE user_id = $1 AND ${LIVE} ORDER BY last_used_at DESC OFFSET $2)`,
      [userId, SESSIONS_PER_LISTENER],
    );
    return this.tokens(session, token);
  }

  /**
   * Replaces the refresh token. The token before the newest gets the same answer again for REFRESH_RETRY_SECONDS; any
   * other use of an old token means that two hold it, and ends the session. @throws Refusal `invalid_refresh_token`
   */
  async refresh(refreshToken: string): Promise<Tokens> {
    const token = parseRefreshToken(refreshToken);
    const session = token && ((await this.rotate(token)) ?? (await this.retry(token)));
    if (session) return session;
    if (token) await this.revokeFamily(token);
    throw new Refusal('invalid_refresh_token', 'The refresh token is not valid (any more); log in again.');
  }

  /** Ends the session: here at once, everywhere within five seconds. A second time changes nothing. */
  async logout({ userId, sessionId }: { userId: string; sessionId: string }): Promise<void> {
    await this.sql(
      `UPDATE users.api_tokens SET revoked_at = now()
       WHERE id = $1 AND user_id = $2 AND kind = 'session' AND revoked_at IS NULL`,
      [sessionId, userId],
    );
    this.parts.checks.markRevoked(sessionId);
  }

  /** One statement decides between requests that come at once; the loser finds the token to be the previous one. */
  private async rotate(token: RefreshToken): Promise<Tokens | undefined> {
    const salt = newSalt();
    const next = nextRefreshToken(token, salt);
    const [rows] = await this.sql<[SessionRow[], number]>(
      `UPDATE users.api_tokens SET secret_hash = $3, previous_secret_hash = secret_hash, rotation_salt = $4,
         rotated_at = now(), last_used_at = now(), expires_at = now() + make_interval(secs => $5)
       WHERE family_hash = $1 AND secret_hash = $2 AND ${LIVE} RETURNING ${ROW}`,
      [sha256(token.family), sha256(token.secret), sha256(next.secret), salt, this.lifetime],
    );
    return rows[0] && this.tokens(rows[0], next);
  }

  private async retry(token: RefreshToken): Promise<Tokens | undefined> {
    const [row] = await this.sql<(SessionRow & { rotation_salt: Buffer })[]>(
      `SELECT ${ROW}, rotation_salt FROM users.api_tokens
       WHERE family_hash = $1 AND previous_secret_hash = $2 AND ${LIVE}
         AND rotated_at > now() - make_interval(secs => $3)`,
      [sha256(token.family), sha256(token.secret), REFRESH_RETRY_SECONDS],
    );
    return row && this.tokens(row, nextRefreshToken(token, row.rotation_salt));
  }

  private async revokeFamily({ family }: RefreshToken): Promise<void> {
    const [rows] = await this.sql<[{ id: string }[], number]>(
      `UPDATE users.api_tokens SET revoked_at = now() WHERE family_hash = $1 AND revoked_at IS NULL RETURNING id`,
      [sha256(family)],
    );
    for (const { id } of rows) this.parts.checks.markRevoked(id);
  }

  private tokens(session: SessionRow, refreshToken: RefreshToken): Tokens {
    const { accessTokens } = this.parts;
    const accessToken = accessTokens.sign({
      userId: session.user_id,
      sessionId: session.id,
      deviceId: session.device_id,
      deviceName: session.device_name,
    });
    return {
      accessToken,
      expiresIn: accessTokens.lifetime,
      refreshToken: formatRefreshToken(refreshToken),
      userId: session.user_id,
    };
  }

  private get lifetime(): number {
    return this.parts.config.REFRESH_TOKEN_TTL;
  }

  private sql<Result>(statement: string, values: unknown[]): Promise<Result> {
    return withoutSecrets(this.parts.dataSource.query<Result>(statement, values));
  }
}
