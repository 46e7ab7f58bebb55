import { randomBytes, randomUUID } from 'node:crypto';
import { PURGE_BATCH, purgeIdempotencyKeys, purgeSessions } from './purge-sessions';
import { accountsOnPostgres, TestAccounts } from './testing';

let test: TestAccounts;
beforeAll(async () => {
  test = await accountsOnPostgres();
});
afterAll(() => test.close());

const now = new Date('2030-06-30T12:00:00Z');
const daysAgo = (days: number) => new Date(now.getTime() - days * 86_400_000);

const insert = (name: string, kind: string, expires: Date | null, revoked: Date | null) =>
  test.dataSource.query(
    `INSERT INTO users.api_tokens (id, user_id, kind, name, family_hash, secret_hash, expires_at, revoked_at)
     VALUES ($1, $1, $2, $3, $4, $5, $6, $7)`,
    [randomUUID(), kind, name, randomBytes(32), randomBytes(32), expires, revoked],
  );

it('deletes sessions and tokens that ended more than thirty days ago, and nothing else', async () => {
  await insert('lives', 'session', daysAgo(-60), null);
  await insert('ran out lately', 'session', daysAgo(29.9), null);
  await insert('ran out long ago', 'session', daysAgo(30.1), null);
  await insert('revoked lately', 'session', daysAgo(-60), daysAgo(29.9));
  await insert('revoked long ago', 'session', daysAgo(-60), daysAgo(30.1));
  await insert('personal', 'personal', null, null);
  await insert('personal, revoked lately', 'personal', null, daysAgo(29.9));
  await insert('personal, revoked long ago', 'personal', null, daysAgo(30.1));
  expect(await purgeSessions(test.dataSource, now)).toBe(3);
  const kept: { name: string }[] = await test.dataSource.query('SELECT name FROM users.api_tokens ORDER BY name');
  expect(kept.map(({ name }) => name)).toEqual([
    'lives',
    'personal',
    'personal, revoked lately',
    'ran out lately',
    'revoked lately',
  ]);
  expect(await purgeSessions(test.dataSource, now)).toBe(0);
});

it('deletes more than one batch holds', async () => {
  await test.dataSource.query(
    `INSERT INTO users.api_tokens (id, user_id, kind, family_hash, secret_hash, expires_at)
     SELECT gen_random_uuid(), gen_random_uuid(), 'session', sha256(n::text::bytea), sha256(n::text::bytea), $1
     FROM generate_series(1, $2::int) n`,
    [daysAgo(31), 2 * PURGE_BATCH + 1],
  );
  expect(await purgeSessions(test.dataSource, now)).toBe(2 * PURGE_BATCH + 1);
});

it('deletes idempotency keys that are older than a day, and no others', async () => {
  await test.dataSource.query(
    `INSERT INTO users.idempotency_keys (key_hash, user_id, request_hash, salt, created_at)
     SELECT sha256(n::text::bytea), gen_random_uuid(), 'request', 'salt', $1::timestamptz - make_interval(hours => n)
     FROM generate_series(1, 48) n`,
    [now],
  );
  expect(await purgeIdempotencyKeys(test.dataSource, now)).toBe(24);
  expect(await purgeIdempotencyKeys(test.dataSource, now)).toBe(0);
});
