import { Sql } from '@balados/platform-stores';
import { LRUCache } from 'lru-cache';
import { AccountsUnavailable } from './errors';

/** An answer is used for this long after its question was sent, in milliseconds: a revocation is to work within five seconds. */
export const SESSION_ANSWER_MS = 4_000;
/** Answers kept in one process. */
export const SESSION_ANSWERS = 100_000;
/** The sessions count as unreadable when they do not answer within this time, in milliseconds. */
export const SESSION_READ_TIMEOUT_MS = 2_000;
/** A session's last use is written at most this often, in seconds. */
export const LAST_USED_SECONDS = 300;

/** The owner of what is no live session. */
const NOBODY = '';

interface LiveSession {
  id: string;
  user_id: string;
  /** Whether its last use is to be written again. */
  used: boolean;
}

/**
 * Whose sessions are alive. Answers are kept for SESSION_ANSWER_MS; what is asked in one turn of the event loop, and is not
 * known, is read by one query. Without the table there is no answer: better 503 than a revoked token that works.
 */
export class SessionChecks {
  private readonly answers = new LRUCache<string, string>({ max: SESSION_ANSWERS, ttl: SESSION_ANSWER_MS });
  private readonly flights = new Map<string, Promise<string>>();
  private batch: { ids: string[]; owners: Promise<Map<string, string>> } | undefined;

  constructor(private readonly sql: Sql) {}

  /**
   * Whether the session is revoked, has run out, or is not this listener's; at once when the answer is known. `sessionId` is
   * a uuid in lower case. @throws AccountsUnavailable (as a rejection)
   */
  isRevoked(sessionId: string, userId: string): boolean | Promise<boolean> {
    const owner = this.answers.get(sessionId);
    if (owner !== undefined) return owner !== userId;
    return this.ask(sessionId).then((answer) => answer !== userId);
  }

  /** For the process that revokes: from now on, here. */
  markRevoked(sessionId: string): void {
    this.answers.set(sessionId, NOBODY);
  }

  private ask(sessionId: string): Promise<string> {
    let flight = this.flights.get(sessionId);
    if (!flight) {
      this.batch ??= this.nextBatch();
      this.batch.ids.push(sessionId);
      flight = this.batch.owners
        .then((owners) => owners.get(sessionId) ?? NOBODY)
        .finally(() => this.flights.delete(sessionId));
      this.flights.set(sessionId, flight);
    }
    return flight;
  }

  private nextBatch() {
    const ids: string[] = [];
    const owners = new Promise<void>((turn) => setImmediate(turn)).then(() => {
      this.batch = undefined;
      return this.read(ids);
    });
    return { ids, owners };
  }

  private async read(ids: string[]): Promise<Map<string, string>> {
    const start = performance.now();
    const live = await this.within(
      this.sql.query<LiveSession[]>(
        `SELECT id, user_id, coalesce(last_used_at < now() - make_interval(secs => $2), true) AS used
         FROM users.api_tokens
         WHERE id = ANY ($1::uuid[]) AND kind = 'session' AND revoked_at IS NULL AND expires_at > now()`,
        [ids, LAST_USED_SECONDS],
      ),
    );
    const owners = new Map(live.map((session) => [session.id, session.user_id]));
    for (const id of ids) this.answers.set(id, owners.get(id) ?? NOBODY, { start });
    this.writeUse(live.filter(({ used }) => used).map(({ id }) => id));
    return owners;
  }

  /** Nobody waits for it, and it may fail: the next reading tries again. */
  private writeUse(ids: string[]): void {
    if (ids.length === 0) return;
    this.sql
      .query(
        `UPDATE users.api_tokens SET last_used_at = now()
         WHERE id = ANY ($1::uuid[]) AND coalesce(last_used_at < now() - make_interval(secs => $2), true)`,
        [ids, LAST_USED_SECONDS],
      )
      .catch(() => undefined);
  }

  private async within<Result>(answer: Promise<Result>): Promise<Result> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const fail = () => reject(new Error(`no answer within ${SESSION_READ_TIMEOUT_MS} ms`));
      timer = setTimeout(fail, SESSION_READ_TIMEOUT_MS);
    });
    try {
      return await Promise.race([answer, late]);
    } catch (error) {
      throw new AccountsUnavailable((error as Error).message);
    } finally {
      clearTimeout(timer);
    }
  }
}
