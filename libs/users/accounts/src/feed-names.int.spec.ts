import { feedId } from '@balados/feeds-ids';
import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase, TestDatabase } from '@balados/testing';
import { usersContext } from '@balados/users-schema';
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { FEED_NAMES_PER_LISTENER, FeedNames, forgetFeedNames } from './feed-names';

const url = (name: number | string): string => `https://feeds.example/${name}`;

let database: TestDatabase;
let dataSource: DataSource;
let names: FeedNames;
beforeAll(async () => {
  database = await createDatabase();
  dataSource = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 2 });
  await migrate(dataSource, usersContext);
  names = new FeedNames(dataSource);
});
afterAll(async () => {
  await dataSource?.destroy();
  await database?.drop();
});

async function listener({ isClosed = false } = {}): Promise<string> {
  const id = randomUUID();
  await dataSource.query(
    `INSERT INTO users.accounts (user_id, username, username_key, password_hash, closed_at)
     VALUES ($1::uuid, $1::uuid::text, $1::uuid::text, 'hash', CASE WHEN $2 THEN now() END)`,
    [id, isClosed],
  );
  return id;
}

it('each client has its own name for a feed, the last that it told, until it calls it as we do', async () => {
  const ada = await listener();
  await names.tell(ada, [
    { client: 'device phone', feed: url(1), knownAs: 'one' },
    { client: 'account', feed: url(1), knownAs: 'ONE' },
  ]);
  await names.tell(ada, [
    { client: 'device phone', feed: url(1), knownAs: 'first' },
    { client: 'device phone', feed: url(2), knownAs: 'two' },
    { client: 'account', feed: url(1), knownAs: null },
    { client: 'account', feed: url(2), knownAs: null },
  ]);
  expect(new Set(await names.of(ada))).toEqual(
    new Set([
      { client: 'device phone', feed: url(1), knownAs: 'first' },
      { client: 'device phone', feed: url(2), knownAs: 'two' },
    ]),
  );
  expect(await names.of(await listener())).toEqual([]);
});

it('of too many those that were told first go, and those of a closed account are not kept', async () => {
  const ada = await listener();
  await names.tell(ada, [{ client: 'account', feed: url('first'), knownAs: 'x' }]);
  const many = Array.from({ length: FEED_NAMES_PER_LISTENER }, (_, n) => ({
    client: 'account',
    feed: url(n),
    knownAs: `${n}`,
  }));
  await names.tell(ada, many);
  const kept = await names.of(ada);
  expect(kept).toHaveLength(FEED_NAMES_PER_LISTENER);
  expect(kept.filter(({ knownAs }) => knownAs === 'x')).toEqual([]);

  const gone = await listener({ isClosed: true });
  await names.tell(gone, many.slice(0, 1));
  expect(await names.of(gone)).toEqual([]);
});

it('what was told of a podcast is forgotten, or all of it, but not what was told after that was asked for', async () => {
  const ada = await listener();
  const told = [1, 2].map((n) => ({ client: 'account', feed: url(n), knownAs: `${n}` }));
  await names.tell(ada, told);
  const [{ now: before }] = await dataSource.query('SELECT clock_timestamp() AS now');
  await forgetFeedNames(dataSource, ada, { feedId: feedId(url(1)), before });
  expect(await names.of(ada)).toMatchObject([{ knownAs: '2' }]);
  await names.tell(ada, told.slice(0, 1));
  await forgetFeedNames(dataSource, ada, { feedId: null, before });
  expect(await names.of(ada)).toMatchObject([{ knownAs: '1' }]);
});

it('tells from which of some feeds an address was moved', async () => {
  await dataSource.query('INSERT INTO users.feed_moves VALUES ($1, $2)', [feedId(url('old')), url('new')]);
  expect(await names.movedTo([url('old'), url('other')])).toEqual(new Map([[url('new'), url('old')]]));
  expect(await names.movedTo([url('other')])).toEqual(new Map());
});
