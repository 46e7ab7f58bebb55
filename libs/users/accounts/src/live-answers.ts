import { LRUCache } from 'lru-cache';
import { AccountsUnavailable } from './errors';

/** An answer is used for this long after its question was sent, in milliseconds: a revocation is to work within five seconds. */
export const ANSWER_MS = 4_000;
/** Answers of one kind kept in one process. */
export const ANSWERS_KEPT = 100_000;
/** The tables count as unreadable when they do not answer within this time, in milliseconds. */
export const READ_TIMEOUT_MS = 2_000;
/** A last use is written at most this often, in seconds. */
export const LAST_USED_SECONDS = 300;

/**
 * What the database says of ids, kept for ANSWER_MS; what is asked in one turn of the event loop, and is not known, is read by
 * one query. Without the table there is no answer: better 503 than a revoked token that works.
 */
export class LiveAnswers<Answer extends object | string> {
  private readonly answers = new LRUCache<string, Answer>({ max: ANSWERS_KEPT, ttl: ANSWER_MS });
  private readonly flights = new Map<string, Promise<Answer>>();
  private batch: { ids: string[]; found: Promise<Map<string, Answer>> } | undefined;

  /** `read` answers for the ids that there are; `missing` is the answer for the others. */
  constructor(
    private readonly missing: Answer,
    private readonly read: (ids: string[]) => Promise<Map<string, Answer>>,
  ) {}

  /** At once when it is known. @throws AccountsUnavailable (as a rejection) */
  of(id: string): Answer | Promise<Answer> {
    return this.answers.get(id) ?? this.ask(id);
  }

  /** For the process that changes it: from now on, here. */
  set(id: string, answer: Answer): void {
    this.answers.set(id, answer);
  }

  private ask(id: string): Promise<Answer> {
    let flight = this.flights.get(id);
    if (!flight) {
      this.batch ??= this.nextBatch();
      this.batch.ids.push(id);
      flight = this.batch.found.then((found) => found.get(id) ?? this.missing).finally(() => this.flights.delete(id));
      this.flights.set(id, flight);
    }
    return flight;
  }

  private nextBatch() {
    const ids: string[] = [];
    const found = new Promise<void>((turn) => setImmediate(turn)).then(async () => {
      this.batch = undefined;
      const start = performance.now();
      const answers = await inTime(this.read(ids));
      for (const id of ids) this.answers.set(id, answers.get(id) ?? this.missing, { start });
      return answers;
    });
    return { ids, found };
  }
}

/** The answer of a reading, or after READ_TIMEOUT_MS none. @throws AccountsUnavailable when it fails or is late */
export async function inTime<Result>(answer: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const fail = () => reject(new Error(`no answer within ${READ_TIMEOUT_MS} ms`));
    timer = setTimeout(fail, READ_TIMEOUT_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } catch (error) {
    throw new AccountsUnavailable((error as Error).message);
  } finally {
    clearTimeout(timer);
  }
}
