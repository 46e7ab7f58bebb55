import { randomBytes, randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { waitFor } from '@balados/testing';
import { decode, JwtPayload } from 'jsonwebtoken';
import { PERSONAL_TOKENS_PER_LISTENER } from './listener-tokens';
import { PersonalTokens } from './personal-tokens';
import { accountsOnPostgres, bearer, holdTokens, Instance, password, phone, TestAccounts } from './testing';

const refusal = (code: string) => expect.objectContaining({ name: 'Refusal', code });
const unavailable = expect.objectContaining({ name: 'AccountsUnavailable' });

let test: TestAccounts;
let one: Instance;
let two: Instance;

beforeAll(async () => {
  test = await accountsOnPostgres();
  [one, two] = await Promise.all([test.start(), test.start()]);
});
afterAll(() => test.close());

it('is 32 bytes that speak for their owner', async () => {
  const userId = randomUUID();
  const made = await one.tokens.create(userId, 'feeds');
  expect(made).toEqual({
    token: expect.stringMatching(/^[\w-]{43}$/),
    user_id: userId,
    id: expect.any(String),
    kind: 'personal',
    name: 'feeds',
    created_at: expect.stringMatching(/Z$/),
  });
  const reader = new PersonalTokens(two.dataSource);
  expect(await reader.ownerOf(made.token)).toBe(userId);
  expect((await one.tokens.create(userId, 'feeds')).token).not.toBe(made.token);
});

it('of no token there is no owner', async () => {
  const { userId } = await one.accounts.create({ username: 'ann', password });
  const { refreshToken, accessToken } = await one.sessions.login({ username: 'ann', password, ...phone });
  const { token, id } = await one.tokens.create(userId, 'feeds');
  const reader = new PersonalTokens(one.dataSource);
  const others = ['', 'x', `${token}=`, `${token}\n`, token.slice(1), id, accessToken, refreshToken, "' OR 1=1 --"];
  const unknown = randomBytes(32).toString('base64url');
  // The secret of a session is one, too, but not in its own right.
  const [, secret] = refreshToken.split('.') as [string, string];
  for (const text of [...others, unknown, secret]) expect(await reader.ownerOf(text)).toBeUndefined();
  await expect((async () => one.authenticate(bearer(token)))()).rejects.toMatchObject({ reason: 'invalid_token' });
});

it('lists personal tokens and sessions of the listener, and no secret', async () => {
  const { userId } = await one.accounts.create({ username: 'bob', password });
  const session = await one.sessions.login({ username: 'bob', password, ...phone });
  const ended = await one.sessions.login({ username: 'bob', password, deviceId: null, deviceName: null });
  const { jti } = decode(ended.accessToken) as JwtPayload;
  const { token, id, created_at } = await one.tokens.create(userId, 'feeds');
  expect((await one.tokens.list(userId)).map(({ kind, name }) => [kind, name])).toEqual([
    ['personal', 'feeds'],
    ['session', null],
    ['session', phone.deviceName],
  ]);
  await one.tokens.revoke(userId, jti!);
  const listed = await one.tokens.list(userId);
  expect(listed).toEqual([
    { id, name: 'feeds', kind: 'personal', created_at, last_used_at: null },
    {
      id: (decode(session.accessToken) as JwtPayload).jti,
      name: phone.deviceName,
      kind: 'session',
      created_at: expect.any(String),
      last_used_at: expect.any(String),
    },
  ]);
  expect(JSON.stringify(listed)).not.toContain(token);
  expect(await one.tokens.list(randomUUID())).toEqual([]);

  expect(await new PersonalTokens(one.dataSource).ownerOf(token)).toBe(userId);
  const used = async () => (await one.tokens.list(userId)).every(({ last_used_at }) => last_used_at !== null);
  await waitFor(used, { what: 'the last use' });
});

it('revokes either kind, also twice, everywhere within five seconds', async () => {
  const { userId } = await one.accounts.create({ username: 'carla', password });
  const { accessToken } = await one.sessions.login({ username: 'carla', password, ...phone });
  const { token, id } = await one.tokens.create(userId, 'feeds');
  const reader = new PersonalTokens(two.dataSource);
  expect(await reader.ownerOf(token)).toBe(userId);
  expect(await two.authenticate(bearer(accessToken))).toMatchObject({ userId });

  const sessionId = (decode(accessToken) as JwtPayload).jti!;
  const start = performance.now();
  for (const each of [id, sessionId, id, sessionId]) await one.tokens.revoke(userId, each);
  await expect((async () => one.authenticate(bearer(accessToken)))()).rejects.toMatchObject({
    reason: 'revoked_session',
  });
  const refused = async () =>
    (await reader.ownerOf(token)) === undefined &&
    (await Promise.resolve(two.authenticate(bearer(accessToken))).then(
      () => false,
      () => true,
    ));
  await waitFor(refused, { what: 'the other copy to refuse both', timeoutMs: 6_000 });
  expect(performance.now() - start).toBeLessThan(5_000);
  expect(await one.tokens.list(userId)).toEqual([]);
});

it("says of another listener's token what it says of one that never was, and leaves it alone", async () => {
  const [userId, other] = [randomUUID(), randomUUID()];
  const { token, id } = await one.tokens.create(userId, 'feeds');
  const errors = await Promise.all(
    [id, randomUUID()].map((each) => one.tokens.revoke(other, each).catch((error: unknown) => error)),
  );
  expect(errors).toEqual([refusal('token_unknown'), refusal('token_unknown')]);
  expect((errors[0] as Error).message).toBe((errors[1] as Error).message);
  expect(await new PersonalTokens(one.dataSource).ownerOf(token)).toBe(userId);
});

it('makes no more than there may be, also when they are asked for at once', async () => {
  const userId = randomUUID();
  await test.dataSource.query(
    `INSERT INTO users.api_tokens (id, user_id, kind, name, secret_hash)
     SELECT gen_random_uuid(), $1::uuid, 'personal', 'n', sha256(($1::text || n)::bytea) FROM generate_series(1, $2::int) n`,
    [userId, PERSONAL_TOKENS_PER_LISTENER - 2],
  );
  const { inLine, release } = await holdTokens(test.dataSource);
  const attempts = Array.from({ length: 6 }, (_, index) => (index % 2 ? one : two).tokens.create(userId, 'more'));
  await inLine(attempts.length);
  await release();
  const results = await Promise.allSettled(attempts);
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
  const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  expect(reasons).toEqual(Array(4).fill(refusal('tokens_full')));
  const [any] = await one.tokens.list(userId);
  await one.tokens.revoke(userId, any!.id);
  expect(await one.tokens.create(userId, 'in its place')).toMatchObject({ name: 'in its place' });
});

it('knows nobody without the table, until it can be read again', async () => {
  const { token, user_id } = await one.tokens.create(randomUUID(), 'feeds');
  const reader = new PersonalTokens(one.dataSource);
  await test.dataSource.query('ALTER TABLE users.api_tokens RENAME TO hidden');
  try {
    await expect(reader.ownerOf(token)).rejects.toEqual(unavailable);
  } finally {
    await test.dataSource.query('ALTER TABLE users.hidden RENAME TO api_tokens');
  }
  expect(await reader.ownerOf(token)).toBe(user_id);
});

it('keeps the secret out of rows and errors', async () => {
  const key = 'a key of the client';
  const made = [
    await one.tokens.create(randomUUID(), 'plain'),
    await one.tokens.create(randomUUID(), 'again', 'k'.repeat(9)),
  ];
  const keyed = await one.tokens.create(randomUUID(), 'keyed', key.replaceAll(' ', '-'));
  const rows: { text: string }[] = await test.dataSource.query(
    'SELECT t::text AS text FROM users.api_tokens t UNION ALL SELECT i::text FROM users.idempotency_keys i',
  );
  const stored = rows.map(({ text }) => text).join('\n');
  expect(stored).toContain(keyed.id);
  for (const secret of [...made, keyed].map(({ token }) => token).concat('a-key-of-the-client')) {
    expect(stored).not.toContain(secret);
    expect(stored).not.toContain(Buffer.from(secret).toString('hex'));
    expect(stored).not.toContain(Buffer.from(secret, 'base64url').toString('hex'));
  }
  const copy = await accountsOnPostgres();
  const instance = await copy.start();
  await copy.dataSource.query('ALTER TABLE users.api_tokens ADD CHECK (false)');
  const error: unknown = await instance.tokens.create(randomUUID(), 'never').catch((reason: unknown) => reason);
  await copy.close();
  expect(error).toMatchObject({ code: '23514' });
  expect(inspect(error, { depth: null, showHidden: true })).not.toMatch(/Buffer|\\x[\da-f]{32}/);
});
