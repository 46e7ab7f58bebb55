import { randomUUID } from 'node:crypto';
import { StoredEvent, streamOf } from '@balados/event-sourcing';
import { episodeId, feedId } from '@balados/feeds-ids';
import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase } from '@balados/testing';
import { PRIVACIES, PrivacyEvent, usersEvents } from '@balados/users-contracts';
import { usersContext } from '@balados/users-schema';
import fc from 'fast-check';
import { DataSource } from 'typeorm';
import { usersProjector } from './index';

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

/** A log of several listeners: each one's events numbered within their stream, positions growing. */
function logOf(said: readonly { userId: string; event: PrivacyEvent }[]): StoredEvent[] {
  const revisions = new Map<string, number>();
  return said.map(({ userId, event }, index) => {
    const revision = (revisions.get(userId) ?? -1) + 1;
    revisions.set(userId, revision);
    const metadata = { recordedAt: '2026-01-01T00:00:00.000Z', correlationId: 'test' };
    const encoded = usersEvents.encode(event, metadata, randomUUID());
    return { ...encoded, stream: streamOf('privacy', userId), revision, position: BigInt(index * 7) };
  });
}

const project = (events: readonly StoredEvent[]): Promise<void> =>
  users.transaction((transaction) => usersProjector.project(transaction, events));

const byKey = (rows: { user_id: string; scope_id: string }[]) =>
  rows.sort((a, b) => (a.user_id + a.scope_id < b.user_id + b.scope_id ? -1 : 1));
const settingsOf = async (userIds: readonly string[]) =>
  byKey(await users.query('SELECT * FROM users.user_privacy WHERE user_id = ANY ($1)', [userIds]));

/** The last word on each listener's account, podcast and episode. */
function expected(said: readonly { userId: string; event: PrivacyEvent }[]) {
  const rows = new Map<string, { user_id: string; scope_id: string }>();
  const revisions = new Map<string, number>();
  for (const { userId, event } of said) {
    const revision = (revisions.get(userId) ?? -1) + 1;
    revisions.set(userId, revision);
    const { feed, item, changedAt } = event.data;
    const scope = feed === null ? userId : item === null ? feedId(feed) : episodeId(feed, item);
    rows.set(`${userId} ${scope}`, {
      user_id: userId,
      scope_id: scope,
      ...{ feed, item, changed_at: new Date(changedAt), revision: String(revision) },
      ...{ privacy: event.type === 'PrivacyChanged' ? event.data.privacy : null },
    });
  }
  return byKey([...rows.values()]);
}

const feed = fc.constantFrom('https://a.example/feed', 'http://c.example/ü');
// Two enclosures of one guid are one episode.
const item = fc.constantFrom(
  'guid,https://a.example/1.mp3',
  'guid,https://b.example/1.mp3',
  ',https://a.example/2.mp3',
);
const none = fc.constant(null);
const scope = fc.oneof(
  fc.record({ feed: none, item: none }),
  fc.record({ feed, item: none }),
  fc.record({ feed, item }),
);
const changedAt = fc.nat(1_000).map((step) => new Date(Date.UTC(2026, 0, 1) + step).toISOString());
const event: fc.Arbitrary<PrivacyEvent> = fc
  .record({ scope, changedAt, privacy: fc.option(fc.constantFrom(...PRIVACIES)) })
  .map(({ scope, changedAt, privacy }) =>
    privacy === null
      ? { type: 'PrivacyReset', data: { ...scope, changedAt } }
      : { type: 'PrivacyChanged', data: { ...scope, privacy, changedAt } },
  );

it('holds the last word on each scope, in whatever batches the log comes and however often', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(1), event), { maxLength: 30 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 8 })),
      fc.nat(30),
      async (drawn, sizes, until) => {
        const listeners = [randomUUID(), randomUUID()];
        const said = drawn.map(([listener, event]) => ({ userId: listeners[listener]!, event }));
        const log = logOf(said);
        for (let next = 0; next < log.length;) {
          const size = sizes.next().value;
          await project(log.slice(next, next + size));
          next += size;
        }
        expect(await settingsOf(listeners)).toEqual(expected(said));
        // Older events again, without those that came after them, write nothing.
        await project(log.slice(0, until));
        for (const stored of log) await project([stored]);
        expect(await settingsOf(listeners)).toEqual(expected(said));
      },
    ),
    { numRuns: 40 },
  );
});

it('says how far the stream has come, beside the listener’s other streams', async () => {
  const userId = randomUUID();
  const data = { feed: null, item: null, changedAt: '2026-01-01T00:00:00.000Z' };
  const set: PrivacyEvent = { type: 'PrivacyChanged', data: { ...data, privacy: 'private' } };
  await project(logOf([set, { type: 'PrivacyReset' as const, data }].map((event) => ({ userId, event }))));
  expect(
    await users.query('SELECT category, revision::int FROM users.listener_revisions WHERE user_id = $1', [userId]),
  ).toEqual([{ category: 'privacy', revision: 1 }]);
});
