import { setTimeout as delay } from 'node:timers/promises';
import { CommandHandler, DomainEvent, StoreUnavailable } from '@balados/event-sourcing';
import { Sql } from '@balados/platform-stores';

/** An own read waits this long for the projections, in milliseconds, before it answers from the folded state. */
export const PROJECTION_WAIT_MS = 250;
const FIRST_PAUSE_MS = 2;
/** A larger state is not searched for a page: the index of Postgres finds it sooner. In bytes, of about 2,000 episodes. */
export const SEARCHED_STATE_MAX_BYTES = 1_048_576;

/** `stale`: the event store is away, and what is answered may lack the newest writes. */
export interface OwnRead<Answer> {
  answer: Answer;
  stale: boolean;
}

/** A stream of listeners, and where its read model is. */
export interface Owned<State> {
  streams: CommandHandler<never, State, DomainEvent>;
  sql: Sql;
  userId: string;
}

/**
 * A listener's reads show all that was acknowledged. What this process holds folded is topped up from the store and answers at once;
 * otherwise Postgres does when it has come to the stream's head, perhaps after a short wait, and the folded state when it has not.
 * When the event store is away, Postgres answers, with a warning.
 */
export async function ownRead<State, Answer>(
  { streams, sql, userId }: Owned<State>,
  fromState: (state: State) => Answer,
  fromPostgres: () => Promise<Answer>,
): Promise<OwnRead<Answer>> {
  const answerFromState = () => streams.query(userId, ({ state }) => fromState(state));
  try {
    const bytes = streams.heldBytes(userId);
    if (bytes !== undefined && bytes <= SEARCHED_STATE_MAX_BYTES)
      return { answer: await answerFromState(), stale: false };
    const head = await streams.head(userId);
    if (!(await hasComeTo(head, sql, streams.category, userId)))
      return { answer: await answerFromState(), stale: false };
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    return { answer: await fromPostgres(), stale: true };
  }
  return { answer: await fromPostgres(), stale: false };
}

/** Whether Postgres has a stream up to its head, within PROJECTION_WAIT_MS. */
async function hasComeTo(head: number, sql: Sql, category: string, userId: string): Promise<boolean> {
  if (head < 0) return true;
  const deadline = performance.now() + PROJECTION_WAIT_MS;
  for (let pause = FIRST_PAUSE_MS; ; pause *= 2) {
    const [row] = await sql.query<{ revision: string }[]>(
      'SELECT revision FROM users.listener_revisions WHERE user_id = $1 AND category = $2',
      [userId, category],
    );
    if (row && Number(row.revision) >= head) return true;
    const left = deadline - performance.now();
    if (left <= 0) return false;
    await delay(Math.min(pause, left));
  }
}
