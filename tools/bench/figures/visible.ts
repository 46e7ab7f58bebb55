import { setTimeout as delay } from 'node:timers/promises';
import { encodeBase64, episodeId } from '@balados/feeds-ids';
import { Pool } from 'pg';
import { Figure, OPEN_LOOP_WRITES, WRITES_PER_SECOND } from '../bench';
import { episodeOf } from '../events';
import { send } from '../http';
import { createListeners, Listener } from '../listeners';
import { processorTimes, timePerRequest } from '../processor-time';
import { milliseconds, percentiles, say, spread } from '../report';

/** So many that nobody writes again before the last write is answered; whoever would, waits, and that counts. */
const LISTENERS = 400;
const WARM_UP_WRITES = 2_000;
/** Of so many writes one is looked for in Postgres. */
const SAMPLED = 5;
const POLL_MS = 5;
const ROW_LIMIT_MS = 10_000;
const GOAL = { p50: 15, p99: 60 };

interface Times {
  /** From when the write was due to the answer of the GET that shows it. */
  visible: number[];
  /** From the write's answer until the row is in Postgres. */
  row: number[];
  /** Of the write alone. */
  write: number[];
}

/** Writes at a steady rate, whatever the answers do; each is read back at once by the same listener. */
export const visible: Figure = {
  name: 'visible',
  ceilings: ['appendToSubscriber', 'commit'],
  async measure({ kind, listeners: base, database }, ceilings) {
    const listeners = await createListeners(database, base, LISTENERS);
    const pool = new Pool({ connectionString: database, max: 8 });
    try {
      await openLoop(base, pool, listeners, { count: WARM_UP_WRITES, firstEpisode: 0 });
      const before = processorTimes();
      const times = await openLoop(base, pool, listeners, { count: OPEN_LOOP_WRITES, firstEpisode: 1_000 });
      say(`  processor time of a write and its read: ${timePerRequest(before, processorTimes(), OPEN_LOOP_WRITES)} ms`);
      const [shown, row] = [spread(times.visible), spread(times.row)];
      return [
        {
          what: `append to visible in GET, ${WRITES_PER_SECOND} writes/s, ${kind}`,
          measured: `${percentiles(shown)} (the write alone: ${percentiles(spread(times.write))})`,
          ceiling: `${percentiles(ceilings.appendToSubscriber)}: append to subscription, raw client`,
          goal: `p50 < ${milliseconds(GOAL.p50)}, p99 < ${milliseconds(GOAL.p99)}`,
          met: shown.p50 < GOAL.p50 && shown.p99 < GOAL.p99,
        },
        {
          what: `the write's answer to its row in Postgres, ${kind}`,
          measured: percentiles(row),
          ceiling: `${percentiles(ceilings.commit)}: one commit of Postgres`,
        },
      ];
    } finally {
      await pool.end();
    }
  },
};

async function openLoop(
  base: string,
  pool: Pool,
  listeners: readonly Listener[],
  { count, firstEpisode }: { count: number; firstEpisode: number },
): Promise<Times> {
  const times: Times = { visible: [], row: [], write: [] };
  const underWay: Promise<void>[] = listeners.map(() => Promise.resolve());
  const started = performance.now();
  for (let n = 0; n < count; n += 1) {
    const early = started + (n * 1_000) / WRITES_PER_SECOND - performance.now();
    if (early > 0) await delay(early);
    const index = n % listeners.length;
    const play = { ...episodeOf(index, firstEpisode + Math.floor(n / listeners.length)), position: n + 0.25 };
    const due = performance.now();
    underWay[index] = underWay[index]!.then(() =>
      writeAndRead(base, pool, listeners[index]!, { ...play, due, sampled: n % SAMPLED === 0 }, times),
    );
    underWay[index].catch(() => undefined); // waited for below
  }
  await Promise.all(underWay);
  return times;
}

async function writeAndRead(
  base: string,
  pool: Pool,
  listener: Listener,
  {
    feed,
    item,
    position,
    due,
    sampled,
  }: ReturnType<typeof episodeOf> & { position: number; due: number; sampled: boolean },
  times: Times,
): Promise<void> {
  const body = JSON.stringify({ rss_source_feed: encodeBase64(feed), rss_source_item: encodeBase64(item), position });
  await send(base, listener, 'POST', '/play', body);
  const answered = performance.now();
  times.write.push(answered - due);
  const row = sampled ? rowOf(pool, listener.userId, episodeId(feed, item), position) : undefined;
  row?.catch(() => undefined); // waited for below, unless the GET fails first
  const answer = await send(base, listener, 'GET', '/play?limit=1');
  times.visible.push(performance.now() - due);
  const [newest] = (JSON.parse(answer.toString()) as { play_statuses: { rss_source_item: string; position: number }[] })
    .play_statuses;
  if (newest?.rss_source_item !== encodeBase64(item) || newest.position !== position)
    throw new Error(`an acknowledged play is not shown: ${answer.subarray(0, 500)}`);
  if (row) times.row.push((await row) - answered);
}

/** When Postgres has the row. */
async function rowOf(pool: Pool, userId: string, episode: string, position: number): Promise<number> {
  const limit = performance.now() + ROW_LIMIT_MS;
  for (;;) {
    const { rowCount } = await pool.query(
      'SELECT 1 FROM users.play_statuses WHERE user_id = $1 AND episode_id = $2 AND position = $3',
      [userId, episode, position],
    );
    const now = performance.now();
    if (rowCount) return now;
    if (now > limit) throw new Error(`a play is not in Postgres after ${ROW_LIMIT_MS} ms`);
    await delay(POLL_MS);
  }
}
