import { randomUUID } from 'node:crypto';
import { StoredEvent } from '@balados/event-sourcing';
import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase } from '@balados/testing';
import { UsersEvent, usersEvents, WHOLE_HISTORY } from '@balados/users-contracts';
import { usersContext } from '@balados/users-schema';
import { DataSource } from 'typeorm';
import { usersProjector } from './users-projector';

const FEED = 'https://feeds.example/a.xml';
const at = (time: string): string => `2026-03-01T${time}.000Z`;

let database: TestDatabase;
let users: DataSource;
beforeAll(async () => {
  database = await createDatabase();
  users = await openPostgres(database.url, usersContext, { service: 'test' });
  await migrate(users, usersContext);
});
afterAll(async () => {
  await users?.destroy();
  await database?.drop();
});

const subscribed: UsersEvent = {
  type: 'PodcastSubscribed',
  data: { feed: FEED, sourceId: null, subscribedAt: at('00:00:00'), unsubscribedAt: null },
};
const dropped: UsersEvent = { type: 'ContentDropped', data: { upTo: 0 } };
const erased: UsersEvent = {
  type: 'HistoryErased',
  data: { ...WHOLE_HISTORY, requestedAt: at('13:00:00'), before: at('13:00:00') },
};

/** A listener's events, each recorded at a time of the same day, in batches of so many. @returns when they were active */
async function activeAfter(said: readonly [time: string, event: UsersEvent][], batch: number): Promise<Date | null> {
  const userId = randomUUID();
  const log = said.map(([time, event], revision): StoredEvent => ({
    ...usersEvents.encode(event, { recordedAt: at(time), correlationId: 'test' }, randomUUID()),
    stream: `subscriptions-${userId}`,
    revision,
    position: BigInt(revision),
  }));
  for (let next = 0; next < log.length; next += batch)
    await users.transaction((transaction) => usersProjector.project(transaction, log.slice(next, next + batch)));
  const [row] = await users.query('SELECT active_at FROM users.listener_revisions WHERE user_id = $1', [userId]);
  return row.active_at;
}

describe.each([1, 10])('in batches of %s', (batch) => {
  it('keeps when a listener did something last, in steps of five minutes', async () => {
    expect(await activeAfter([['12:07:31', subscribed]], batch)).toEqual(new Date(at('12:05:00')));
    const more: [string, UsersEvent][] = [
      ['12:07:31', subscribed],
      ['12:59:59', subscribed],
    ];
    expect(await activeAfter(more, batch)).toEqual(new Date(at('12:55:00')));
  });

  it('takes what jobs append for nothing that the listener did', async () => {
    const log: [string, UsersEvent][] = [
      ['12:07:31', subscribed],
      ['18:00:00', dropped],
    ];
    expect(await activeAfter(log, batch)).toEqual(new Date(at('12:05:00')));
  });

  it('forgets it with a history that is erased, and knows what came after', async () => {
    const log: [string, UsersEvent][] = [
      ['12:07:31', subscribed],
      ['13:00:00', erased],
    ];
    expect(await activeAfter(log, batch)).toBeNull();
    expect(await activeAfter([...log, ['14:00:00', subscribed]], batch)).toEqual(new Date(at('14:00:00')));
  });
});
