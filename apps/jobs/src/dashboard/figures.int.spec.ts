import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, explaining, TestDatabase } from '@balados/testing';
import { usersContext } from '@balados/users-schema';
import { Registry } from 'prom-client';
import type { DataSource } from 'typeorm';
import { countActive, COUNTED_FOR_MS, countFigures } from './figures';
import { exposeFigures } from './gauges';

let database: TestDatabase;
let users: DataSource;
beforeAll(async () => {
  database = await createDatabase();
  users = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 2 });
  await migrate(users, usersContext);
});
afterAll(async () => {
  await users?.destroy();
  await database?.drop();
});
beforeEach(() => users.query('TRUNCATE users.listener_revisions'));

/** A listener's streams, each with a number of events, when something was done in it, and up to where it was cut. */
const hear = (nth: number, streams: readonly [events: number, ago: string | null, cut?: number][]): Promise<unknown> =>
  Promise.all(
    streams.map(([events, ago, cut = -1], index) =>
      users.query(
        `INSERT INTO users.listener_revisions (user_id, category, revision, cut, active_at)
         VALUES (md5($1::text)::uuid, $2, $3, $4, now() - $5::interval)`,
        [nth, ['listening', 'subscriptions', 'playlists'][index], events - 1, cut, ago],
      ),
    ),
  );

it('counts each listener once, by the last thing that they did, and nobody whom a wrong clock puts into the future', async () => {
  await hear(1, [
    [1, '1 minute'],
    [1, '2 minutes'],
  ]);
  // Rounded down: it may have been less than an hour ago.
  await hear(2, [[1, '64 minutes']]);
  await hear(3, [[1, '66 minutes']]);
  await hear(4, [
    [1, '23 hours'],
    [1, '40 days'],
  ]);
  await hear(5, [[1, '24 hours 6 minutes']]);
  await hear(6, [[1, null]]);
  await hear(7, [[1, '-6 minutes']]);
  expect(await countActive(users.manager)).toEqual({ '1h': 2, '24h': 4 });
});

it('finds them by an index among many', async () => {
  await users.query('TRUNCATE users.listener_revisions');
  await users.query(
    `INSERT INTO users.listener_revisions (user_id, category, revision, active_at)
     SELECT md5(n::text)::uuid, 'listening', 1, now() - n * interval '1 minute' - interval '10 seconds' FROM generate_series(1, 20000) AS n`,
  );
  await users.query('ANALYZE users.listener_revisions');
  const indexes: string[] = [];
  const sql = explaining(users.manager, { small: [], seen: (_, used) => indexes.push(...used) });
  expect(await countActive(sql)).toEqual({ '1h': 64, '24h': 1444 });
  expect(indexes).toEqual(['listener_revisions_active']);
});

it('counts the events that were recorded and that are left, and how large the tables are, the stand-in included where it is here', async () => {
  await hear(1, [
    [10, null],
    // Cut before a checkpoint that is its event 29.
    [31, null, 29],
  ]);
  expect(await countFigures(users.manager)()).toMatchObject({
    recorded: 41,
    kept: 12,
    logBytes: null,
    tablesBytes: expect.any(Number),
  });
  await users.query('CREATE SCHEMA events; CREATE TABLE events.events AS SELECT generate_series(1, 1000) AS position');
  const { logBytes, tablesBytes } = await countFigures(users.manager)();
  expect([logBytes! > 8_192, tablesBytes > 8_192]).toEqual([true, true]);
  await users.query('DROP SCHEMA events CASCADE');
});

it('tells again for a moment what was counted, and asks anew after that, or when it failed', async () => {
  let now = 0;
  let asked = 0;
  const sql = {
    query: (text: string, parameters?: unknown[]): Promise<never> => {
      asked += 1;
      return now === 1 ? Promise.reject(new Error('away')) : (users.query(text, parameters) as never);
    },
  };
  const figures = countFigures(sql as never, () => now);
  await Promise.all([figures(), figures()]);
  const once = asked;
  now = COUNTED_FOR_MS;
  await figures();
  expect(asked).toBe(once);
  now += 1;
  await figures();
  expect(asked).toBe(2 * once);
  const failing = countFigures(sql as never, () => now);
  now = 1;
  await expect(failing()).rejects.toThrow('away');
  now = 2;
  expect(await failing()).toMatchObject({ kept: 0 });
});

it('shows Prometheus the same, and no size that it does not know', async () => {
  const registry = new Registry();
  exposeFigures(registry, countFigures(users.manager));
  await hear(1, [[3, '1 minute']]);
  await hear(2, [[2, '2 hours']]);
  const lines = (await registry.metrics()).split('\n');
  for (const line of ['listeners_active{window="1h"} 1', 'listeners_active{window="24h"} 2', 'store_events 5'])
    expect(lines).toContain(line);
  const figuresIn = (text: string): string[] => text.split('\n').filter((line) => line && !line.startsWith('#'));
  expect(figuresIn(lines.join('\n')).filter((line) => line.startsWith('store_bytes'))).toEqual([]);
  const away = new Registry();
  exposeFigures(away, () => Promise.reject(new Error('away')));
  expect(figuresIn(await away.metrics())).toEqual([]);
});
