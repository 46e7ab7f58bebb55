import { randomUUID } from 'node:crypto';
import { streamOf } from '@balados/event-sourcing';
import { UsersEvent } from '@balados/users-contracts';
import { Figure } from '../bench';
import { episodeOf, FEEDS, feedUrl, positionEvent } from '../events';
import { Mark, projected } from '../progress';
import { connect, disconnect, fill, Filling, newestOfListeners, readRate } from '../raw-client';
import { percent, perSecond, say } from '../report';

const LISTENERS = 500;
const SUBSCRIPTIONS = 10;
const EPISODES = 45;
/** Each episode is played, and its position moves once. */
export const EVENTS_OF_A_LISTENER = SUBSCRIPTIONS + 2 * EPISODES;
const EVENTS = LISTENERS * EVENTS_OF_A_LISTENER;
const GOAL_SHARE = 0.5;

/** What the listeners of a small town did while the projections were away, and how far users and site are to come. */
export function backlog(listeners: readonly string[]): { fillings: Filling[]; users: Mark[]; site: Mark[] } {
  const now = new Date().toISOString();
  const subscriptions = (listener: number): UsersEvent[] =>
    Array.from({ length: SUBSCRIPTIONS }, (_, n) => ({
      type: 'PodcastSubscribed',
      data: { feed: feedUrl((listener * 7 + n) % FEEDS), sourceId: null, subscribedAt: now, unsubscribedAt: null },
    }));
  const plays = (listener: number): UsersEvent[] =>
    Array.from({ length: EPISODES }, (_, n): UsersEvent[] => [
      { type: 'PlayRecorded', data: { ...episodeOf(listener, n), position: 0, played: false, updatedAt: now } },
      positionEvent(listener, n, n + 0.5),
    ]).flat();
  const marks = (lastOfListening: number): Mark[] =>
    listeners.flatMap((userId) => [
      { userId, category: 'subscriptions', revision: SUBSCRIPTIONS - 1 },
      { userId, category: 'listening', revision: lastOfListening },
    ]);
  return {
    fillings: listeners.flatMap((userId, listener) => [
      { stream: streamOf('subscriptions', userId), events: subscriptions(listener) },
      { stream: streamOf('listening', userId), events: plays(listener) },
    ]),
    users: marks(2 * EPISODES - 1),
    // The last event is a position, which counts nothing there.
    site: marks(2 * EPISODES - 2),
  };
}

/** Projections start on a log that grew without them. */
export const catchUp: Figure = {
  name: 'catch-up',
  async measure({ processes, database, eventStore }) {
    const projections = processes['projections']!;
    const store = connect(eventStore);
    try {
      await projections.stop();
      const after = await newestOfListeners(store);
      const { fillings, users, site } = backlog(Array.from({ length: LISTENERS }, () => randomUUID()));
      const filling = performance.now();
      await fill(store, fillings);
      say(`  ${EVENTS} events appended in batches, ${perSecond((EVENTS * 1_000) / (performance.now() - filling))}`);
      const ceiling = await readRate(store, { after, count: EVENTS });

      const started = performance.now();
      await projections.start();
      const [ofUsers, ofSite] = await Promise.all([
        projected(database, 'users', users),
        projected(database, 'site_private', site),
      ]);
      const seconds = (time: number): string => `${((time - started) / 1_000).toFixed(1)} s`;
      const rate = (EVENTS * 1_000) / (Math.max(ofUsers.last, ofSite.last) - started);
      return [
        {
          what: `catch-up of ${EVENTS.toLocaleString('en')} events, from the start of projections to the last row`,
          measured:
            `${perSecond(rate)} (${percent(rate / ceiling)}; first rows after ${seconds(ofUsers.first)}, ` +
            `users whole after ${seconds(ofUsers.last)}, site after ${seconds(ofSite.last)})`,
          ceiling: `${perSecond(ceiling)} read by the raw client's filtered subscription`,
          goal: `≥ ${percent(GOAL_SHARE)} of it`,
          met: rate >= GOAL_SHARE * ceiling,
        },
      ];
    } finally {
      await disconnect(store);
    }
  },
};
