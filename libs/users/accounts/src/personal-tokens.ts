import { Sql } from '@balados/platform-stores';
import { LAST_USED_SECONDS, LiveAnswers } from './live-answers';
import { sha256 } from './refresh-token';
import { writeUse } from './session-checks';

const NOBODY = '';
/** 32 bytes in base64url. */
const FORM = /^[\w-]{43}$/;

/**
 * Whose personal tokens these are: for personal feeds and play links, where a token stands in the path. A token that was
 * revoked is nobody's after at most ANSWER_MS (`live-answers.ts`), in every process.
 */
export class PersonalTokens {
  private readonly owners: LiveAnswers<string>;

  constructor(private readonly sql: Sql) {
    this.owners = new LiveAnswers(NOBODY, (hashes) => this.read(hashes));
  }

  /**
   * The user id of the token's owner; undefined for what is no token, and for one that was revoked or never was, which take
   * the same work. @throws AccountsUnavailable when the table cannot be read
   */
  async ownerOf(token: string): Promise<string | undefined> {
    if (!FORM.test(token)) return undefined;
    return (await this.owners.of(sha256(token).toString('hex'))) || undefined;
  }

  private async read(hashes: string[]): Promise<Map<string, string>> {
    const live = await this.sql.query<{ id: string; hash: string; user_id: string; used: boolean }[]>(
      `SELECT id, encode(secret_hash, 'hex') AS hash, user_id,
         coalesce(last_used_at < now() - make_interval(secs => $2), true) AS used
       FROM users.api_tokens WHERE secret_hash = ANY ($1::bytea[]) AND kind = 'personal' AND revoked_at IS NULL`,
      [hashes.map((hash) => Buffer.from(hash, 'hex')), LAST_USED_SECONDS],
    );
    writeUse(
      this.sql,
      live.filter(({ used }) => used).map(({ id }) => id),
    );
    return new Map(live.map((token) => [token.hash, token.user_id]));
  }
}
