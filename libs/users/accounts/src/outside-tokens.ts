import { randomUUID } from 'node:crypto';
import { Sql } from '@balados/platform-stores';
import { Unauthenticated } from './errors';
import { Claimed, ForeignClaims, invalidToken, Verified, verifyForeign } from './foreign-token';
import { Listener } from './listener';
import { inTime, LiveAnswers } from './live-answers';
import { OUTSIDE_KEYS_FRESH_MS, OutsideKeys } from './outside-keys';

/** Longest key id that the issuer is asked for, in characters. */
const KID_MAX_LENGTH = 255;
const NOBODY = '';
/** Stands for a listener who is being deleted. */
const GONE = 'gone';

export interface OutsideIssuer {
  issuer: string;
  audience: string;
  jwksUri: string;
}

/** Tokens of the one outside issuer that the operator trusts, for the one audience that is us. */
export class OutsideTokens {
  private readonly keys: OutsideKeys;
  private readonly userIds: LiveAnswers<string>;

  constructor(
    private readonly sql: Sql,
    private readonly trusted: OutsideIssuer,
  ) {
    this.keys = new OutsideKeys(trusted.jwksUri);
    this.userIds = new LiveAnswers(NOBODY, (subjects) => this.read(subjects));
  }

  /** @throws Unauthenticated; AccountsUnavailable also when the issuer's keys cannot be fetched */
  async verify(token: string, { kid }: Claimed): Promise<Verified> {
    if (kid !== undefined && (typeof kid !== 'string' || kid.length > KID_MAX_LENGTH)) throw invalidToken();
    const pem = await this.keys.find(kid);
    if (!pem) throw invalidToken();
    const { issuer, audience } = this.trusted;
    const claims = verifyForeign(token, pem, { issuer, audience });
    return {
      // A key that the issuer withdraws is to be missed here, too.
      expiresAt: Math.min(claims.exp * 1_000, Date.now() + OUTSIDE_KEYS_FRESH_MS),
      admit: () => this.admit(claims),
    };
  }

  private admit({ sub, device_id: deviceId, device_name: deviceName }: ForeignClaims): Listener | Promise<Listener> {
    const listener = (userId: string): Listener => {
      if (userId === GONE) throw new Unauthenticated('account_gone', 'This listener is being deleted.');
      return { userId, sessionId: null, deviceId, deviceName };
    };
    const known = this.userIds.of(sub);
    if (typeof known === 'string' && known !== NOBODY) return listener(known);
    return Promise.resolve(known).then(async (userId) => listener(userId || (await this.welcome(sub))));
  }

  /** Gives a user id to a subject at first sight; copies that see it together agree. */
  private async welcome(subject: string): Promise<string> {
    const { issuer } = this.trusted;
    await inTime(
      this.sql.query(
        `INSERT INTO users.outside_listeners (issuer, subject, user_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
        [issuer, subject, randomUUID()],
      ),
    );
    const userId = (await inTime(this.read([subject]))).get(subject);
    // Erased in the same moment.
    if (!userId) throw invalidToken();
    this.userIds.set(subject, userId);
    return userId;
  }

  private async read(subjects: string[]): Promise<Map<string, string>> {
    const rows = await this.sql.query<{ subject: string; user_id: string }[]>(
      `SELECT subject, CASE WHEN closed_at IS NULL THEN user_id::text ELSE '${GONE}' END AS user_id
       FROM users.outside_listeners WHERE issuer = $1 AND subject = ANY ($2::text[])`,
      [this.trusted.issuer, subjects],
    );
    return new Map(rows.map((row) => [row.subject, row.user_id]));
  }
}
