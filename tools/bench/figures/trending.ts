import { randomUUID } from 'node:crypto';
import { streamOf } from '@balados/event-sourcing';
import { UsersEvent } from '@balados/users-contracts';
import { besideFastify } from '../beside-fastify';
import { Figure } from '../bench';
import { feedUrl, itemOf } from '../events';
import { projected } from '../progress';
import { connect, disconnect, fill } from '../raw-client';

const CONNECTIONS = 32;
const WARM_UP_SECONDS = 6;
const GOAL_SHARE = 0.7;
const PODCASTS = 20;
const PATH = `/api/v1/public/trending/podcasts?limit=${PODCASTS}`;
/** Two make a podcast public. */
const LISTENERS = 3;

/** The public list, as every visitor of a site asks for it, beside Fastify alone with as many bytes. */
export const trending: Figure = {
  name: 'trending',
  async measure({ kind, public: base, database, eventStore }) {
    await listenTo(eventStore, database);
    const expected = await (await fetch(`${base}${PATH}`)).text();
    const { podcasts } = JSON.parse(expected) as { podcasts: unknown[] };
    if (podcasts.length !== PODCASTS) throw new Error(`${podcasts.length} podcasts are trending, not ${PODCASTS}`);
    return [
      await besideFastify(
        `trending podcasts (${PODCASTS} of them), ${kind}`,
        { base, path: PATH, expected },
        { connections: CONNECTIONS, warmUpSeconds: WARM_UP_SECONDS, goalShare: GOAL_SHARE },
      ),
    ];
  },
};

/** A few listeners who each played every podcast of a list. */
async function listenTo(eventStore: string, database: string): Promise<void> {
  const userIds = Array.from({ length: LISTENERS }, () => randomUUID());
  const updatedAt = new Date().toISOString();
  const events = Array.from({ length: 2 * PODCASTS }, (_, feed): UsersEvent => ({
    type: 'PlayRecorded',
    data: { feed: feedUrl(feed), item: itemOf(feed, 0), position: 0, played: false, updatedAt },
  }));
  const store = connect(eventStore);
  await fill(
    store,
    userIds.map((userId) => ({ stream: streamOf('listening', userId), events })),
  );
  await disconnect(store);
  await projected(
    database,
    'site_private',
    userIds.map((userId) => ({ userId, category: 'listening', revision: events.length - 1 })),
  );
}
