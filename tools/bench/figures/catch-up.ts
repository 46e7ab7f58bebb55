import { randomUUID } from 'node:crypto';
import { streamOf } from '@balados/event-sourcing';
import { UsersEvent } from '@balados/users-contracts';
import { Pool } from 'pg';
import { Figure } from '../bench';
import { episodeOf, feedUrl, positionEvent } from '../events';
import { projectedTo } from '../progress';
import { connect, fill, Filling, newestOfListeners, readRate } from '../raw-client';
import { percent, perSecond, say } from '../report';

const LISTENERS = 500;
const SUBSCRIPTIONS = 10;
const EPISODES = 45;
/** Each episode is played, and its position moves once. */
const EVENTS = LISTENERS * (SUBSCRIPTIONS + 2 * EPISODES);
const LIMIT_MS = 90_000;
const GOAL_SHARE = 0.5;

/** What the listeners of a small town did while the projections were away. */
function* backlog(): Generator<Filling> {
  for (let listener = 0; listener < LISTENERS; listener += 1) {
    const userId = randomUUID();
    const now = new Date().toISOString();
    yield {
      stream: streamOf('subscriptions', userId),
      events: Array.from({ length: SUBSCRIPTIONS }, (_, n) => ({
        type: 'PodcastSubscribed' as const,
        data: { feed: feedUrl((listener * 7 + n) % 200), sourceId: null, subscribedAt: now, unsubscribedAt: null },
      })),
    };
    yield {
      stream: streamOf('listening', userId),
      events: Array.from({ length: EPISODES }, (_, n): UsersEvent[] => [
        {
          type: 'PlayRecorded',
          data: { ...episodeOf(listener, n), position: 0, played: false, updatedAt: now },
        },
        positionEvent(listener, n, n + 0.5),
      ]).flat(),
    };
  }
}

/** Projections start on a log that grew without them. */
export const catchUp: Figure = {
  name: 'catch-up',
  async measure({ processes, database, eventStore }) {
    const projections = processes['projections']!;
    const store = connect(eventStore);
    const pool = new Pool({ connectionString: database, max: 1 });
    const rows = async (): Promise<number> =>
      Number((await pool.query('SELECT count(*) FROM users.play_statuses')).rows[0].count);
    try {
      const from = (await newestOfListeners(store)) ?? 0n;
      await projectedTo(database, { from: -1n, position: from, limitMs: LIMIT_MS });
      const rowsBefore = await rows();
      await projections.stop();
      const filling = performance.now();
      const filled = await fill(store, backlog());
      const fillRate = (filled * 1_000) / (performance.now() - filling);
      say(`  ${filled} events appended in batches, ${perSecond(fillRate)}`);
      const position = (await newestOfListeners(store))!;
      const ceiling = await readRate(store, { after: from, count: filled });

      const started = performance.now();
      await projections.start();
      const { firstMoved, done } = await projectedTo(database, { from, position, limitMs: LIMIT_MS });
      const added = (await rows()) - rowsBefore;
      if (added !== LISTENERS * EPISODES) throw new Error(`${added} rows came of ${LISTENERS * EPISODES} episodes`);
      const rate = (filled * 1_000) / (done - started);
      return [
        {
          what: `catch-up of ${EVENTS.toLocaleString('en')} events, users and site`,
          measured:
            `${perSecond(rate)} (${percent(rate / ceiling)}; ` +
            `${((done - started) / 1_000).toFixed(1)} s, of which ${((firstMoved - started) / 1_000).toFixed(1)} s to the first batch)`,
          ceiling: `${perSecond(ceiling)} read by the raw client's filtered subscription`,
          goal: `≥ ${percent(GOAL_SHARE)} of it`,
          met: rate >= GOAL_SHARE * ceiling,
        },
      ];
    } finally {
      await pool.end();
      await store.dispose();
    }
  },
};
