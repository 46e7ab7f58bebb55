import { Sql } from '@balados/platform-stores';
import { LAST_USED_SECONDS, LiveAnswers } from './live-answers';

/** The owner of what is no live session. */
const NOBODY = '';

/** Whose sessions are alive. */
export class SessionChecks {
  private readonly owners: LiveAnswers<string>;

  constructor(private readonly sql: Sql) {
    this.owners = new LiveAnswers(NOBODY, (ids) => this.read(ids));
  }

  /**
   * Whether the session is revoked, has run out, or is not this listener's; at once when the answer is known. `sessionId` is
   * a uuid in lower case. @throws AccountsUnavailable (as a rejection)
   */
  isRevoked(sessionId: string, userId: string): boolean | Promise<boolean> {
    const owner = this.owners.of(sessionId);
    return typeof owner === 'string' ? owner !== userId : owner.then((answer) => answer !== userId);
  }

  /** For the process that revokes: from now on, here. */
  markRevoked(sessionId: string): void {
    this.owners.set(sessionId, NOBODY);
  }

  private async read(ids: string[]): Promise<Map<string, string>> {
    const live = await this.sql.query<{ id: string; user_id: string; used: boolean }[]>(
      `SELECT id, user_id, coalesce(last_used_at < now() - make_interval(secs => $2), true) AS used
       FROM users.api_tokens
       WHERE id = ANY ($1::uuid[]) AND kind = 'session' AND revoked_at IS NULL AND expires_at > now()`,
      [ids, LAST_USED_SECONDS],
    );
    writeUse(
      this.sql,
      live.filter(({ used }) => used).map(({ id }) => id),
    );
    return new Map(live.map((session) => [session.id, session.user_id]));
  }
}

/** That these sessions or personal tokens were used now. Nobody waits for it, and it may fail: the next reading tries again. */
export function writeUse(sql: Sql, ids: string[]): void {
  if (ids.length === 0) return;
  sql
    .query(
      `UPDATE users.api_tokens SET last_used_at = now()
       WHERE id = ANY ($1::uuid[]) AND coalesce(last_used_at < now() - make_interval(secs => $2), true)`,
      [ids, LAST_USED_SECONDS],
    )
    .catch(() => undefined);
}
