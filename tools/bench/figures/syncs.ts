import { encodeBase64 } from '@balados/feeds-ids';
import { Figure, SYNC_CONNECTIONS, SYNC_PLAYS } from '../bench';
import { episodeOf } from '../events';
import { send } from '../http';
import { createListeners } from '../listeners';
import { generate } from '../load';
import { settled } from '../progress';
import { processorTimes, timePerRequest } from '../processor-time';
import { loadDetails, percentiles, perSecond, say, spread } from '../report';

const PLAYS = 2_000;
const BODY_LIMIT_BYTES = 1_000_000;
const WARM_UP_SYNCS = 10;
const SYNCS = 60;
const UNCHANGED_GOAL_MS = 20;

interface Answer {
  data: { play_statuses: unknown[] };
  rejected: unknown[];
  sync_token: string;
}

function wholeLibrary(): unknown[] {
  const updatedAt = new Date().toISOString();
  return Array.from({ length: PLAYS }, (_, n) => {
    const { feed, item } = episodeOf(0, n);
    return {
      rss_source_feed: encodeBase64(feed),
      rss_source_item: encodeBase64(item),
      position: n + 0.5,
      played: n % 3 === 0,
      updated_at: updatedAt,
    };
  });
}

/** A device sends its whole library, of which nothing changed: with the token of its last answer, and without. */
export const unchangedSync: Figure = {
  name: 'sync',
  async measure({ kind, listeners: base, database }) {
    const [listener] = await createListeners(database, base, 1);
    const plays = wholeLibrary();
    const sync = async (body: string): Promise<Answer> =>
      JSON.parse((await send(base, listener!, 'POST', '/sync', body)).toString()) as Answer;
    const whole = JSON.stringify({ play_statuses: plays });
    if (Buffer.byteLength(whole) >= BODY_LIMIT_BYTES) throw new Error('the body is not under 1 MB');
    const first = await sync(whole);
    if (first.rejected.length > 0 || first.data.play_statuses.length !== PLAYS)
      throw new Error(`the first sync answered ${first.data.play_statuses.length} plays`);
    const incremental = JSON.stringify({ play_statuses: plays, since: first.sync_token });

    const parsing = spread(timesOf(SYNCS, () => JSON.stringify(JSON.parse(whole))));
    const rows = [];
    for (const [name, body, answered] of [
      ['since the last', incremental, 0],
      ['whole answer', whole, PLAYS],
    ] as const) {
      const { data, rejected } = await sync(body);
      if (rejected.length > 0 || data.play_statuses.length !== answered)
        throw new Error(`an unchanged sync (${name}) answered ${data.play_statuses.length} plays`);
      const times: number[] = [];
      for (let n = 0; n < WARM_UP_SYNCS + SYNCS; n += 1) {
        const started = performance.now();
        await send(base, listener!, 'POST', '/sync', body);
        if (n >= WARM_UP_SYNCS) times.push(performance.now() - started);
      }
      const measured = spread(times);
      rows.push({
        what: `sync of ${PLAYS.toLocaleString('en')} unchanged plays, ${name}, ${kind}`,
        measured: percentiles(measured),
        ceiling: `${percentiles(parsing)}: JSON of the body read and written`,
        goal: `p50 < ${UNCHANGED_GOAL_MS} ms`,
        met: measured.p50 < UNCHANGED_GOAL_MS,
      });
    }
    return rows;
  },
};

function timesOf(count: number, work: () => unknown): number[] {
  return Array.from({ length: count }, () => {
    const started = performance.now();
    work();
    return performance.now() - started;
  });
}

const LISTENERS = 64;
const WARM_UP_SECONDS = 10;
const SECONDS = 6;
const SMALL_SYNC_GOAL = 500;

/** Devices of many listeners that each report some new plays. */
export const smallSyncs: Figure = {
  name: 'small-syncs',
  ceilings: ['smallBatchesPerSecond'],
  async measure(system, { smallBatchesPerSecond }) {
    const { kind, listeners: base, database } = system;
    const load = { kind: 'syncs', base, connections: SYNC_CONNECTIONS, playsEach: SYNC_PLAYS } as const;
    const [warming, listeners] = [
      await createListeners(database, base, LISTENERS),
      await createListeners(database, base, LISTENERS),
    ];
    await generate({ ...load, listeners: warming, seconds: WARM_UP_SECONDS });
    const before = processorTimes();
    const measured = await generate({ ...load, listeners, seconds: SECONDS });
    const stored = await settled(system, listeners);
    say(`  processor time of a sync, all done: ${timePerRequest(before, processorTimes(), measured.requests)} ms`);
    const [least, most] = [measured.requests, measured.requests + SYNC_CONNECTIONS];
    // What the connections had under way at the end may have been stored.
    if (stored < least || stored > most)
      throw new Error(`${least} syncs were acknowledged, and ${stored} are in the log`);
    return [
      {
        what: `syncs of ${SYNC_PLAYS} new plays, ${SYNC_CONNECTIONS} connections, ${kind}`,
        measured: `${perSecond(measured.perSecond)} (${loadDetails(measured)}; ${measured.requests} sent, none failed)`,
        ceiling: `${perSecond(smallBatchesPerSecond)} appends of as many events as one by the raw client`,
        goal: `≥ ${perSecond(SMALL_SYNC_GOAL)}, none failing`,
        met: measured.perSecond >= SMALL_SYNC_GOAL,
      },
    ];
  },
};
