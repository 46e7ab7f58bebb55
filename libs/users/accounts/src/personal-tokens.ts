import { hash } from 'node:crypto';
import { Sql } from '@balados/platform-stores';
import { LAST_USED_SECONDS, LiveAnswers } from './live-answers';
import { writeUse } from './session-checks';

const NOBODY = '';
/** 32 bytes in base64url. */
const FORM = /^[\w-]{43}$/;

/** What is kept of a token: its SHA-256, in hexadecimal. Undefined for what is no token. */
export const hashOfPersonalToken = (token: string): string | undefined =>
  FORM.test(token) ? hash('sha256', token, 'hex') : undefined;

/**
 * Whose personal tokens these are: for personal feeds and play links, where a token stands in the path. A token that was
 * revoked is nobody's after at most ANSWER_MS (`live-answers.ts`), in every process.
 */
export class PersonalTokens {
  private readonly owners: LiveAnswers<string>;

  /** @param options.notesUse false for a service that may only read: then `last_used_at` stays as it is */
  constructor(
    private readonly sql: Sql,
    private readonly options: { notesUse: boolean } = { notesUse: true },
  ) {
    this.owners = new LiveAnswers(NOBODY, (hashes) => this.read(hashes));
  }

  /**
   * The user id of the token's owner; undefined for what is no token, and for one that was revoked or never was, which take
   * the same work. @throws AccountsUnavailable when the table cannot be read
   */
  async ownerOf(token: string): Promise<string | undefined> {
    const hash = hashOfPersonalToken(token);
    return hash === undefined ? undefined : (await this.ownerOfHash(hash)) || undefined;
  }

  /** The same for a token of which only the hash is kept; empty for nobody, and at once when the answer is known. */
  ownerOfHash(hash: string): string | Promise<string> {
    return this.owners.of(hash);
  }

  private async read(hashes: string[]): Promise<Map<string, string>> {
    const live = await this.sql.query<{ id: string; hash: string; user_id: string; used: boolean }[]>(
      `SELECT id, encode(secret_hash, 'hex') AS hash, user_id,
         coalesce(last_used_at < now() - make_interval(secs => $2), true) AS used
       FROM users.api_tokens WHERE secret_hash = ANY ($1::bytea[]) AND kind = 'personal' AND revoked_at IS NULL`,
      [hashes.map((hash) => Buffer.from(hash, 'hex')), LAST_USED_SECONDS],
    );
    const used = live.filter((token) => token.used).map(({ id }) => id);
    if (this.options.notesUse) writeUse(this.sql, used);
    return new Map(live.map((token) => [token.hash, token.user_id]));
  }
}
