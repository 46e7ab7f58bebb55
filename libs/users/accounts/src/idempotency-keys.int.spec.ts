import { randomUUID } from 'node:crypto';
import { AccountRow } from '@balados/users-schema';
import { isIdempotencyKey } from './idempotency-keys';
import { accountsOnPostgres, Instance, password, pemOf, rsaPair, TestAccounts } from './testing';

const reused = expect.objectContaining({ name: 'Refusal', code: 'idempotency_key_reused' });

let test: TestAccounts;
let one: Instance;
let two: Instance;

beforeAll(async () => {
  test = await accountsOnPostgres();
  [one, two] = await Promise.all([test.start(), test.start()]);
});
afterAll(() => test.close());

const age = (hours: number) =>
  test.dataSource.query('UPDATE users.idempotency_keys SET created_at = created_at - make_interval(hours => $1)', [
    hours,
  ]);

describe('a token', () => {
  it('is made once and answered again, secret and all, by every copy', async () => {
    const [userId, key] = [randomUUID(), randomUUID()];
    const made = await one.tokens.create(userId, 'feeds', key);
    expect(await one.tokens.create(userId, 'feeds', key)).toEqual(made);
    expect(await two.tokens.create(userId, 'feeds', key)).toEqual(made);
    expect(await one.tokens.list(userId)).toHaveLength(1);
  });

  it('is one when it is asked for many times at once', async () => {
    const [userId, key] = [randomUUID(), randomUUID()];
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => (index % 2 ? one : two).tokens.create(userId, 'feeds', key)),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await one.tokens.list(userId)).toHaveLength(1);
  });

  it('of another name is another request', async () => {
    const [userId, key] = [randomUUID(), randomUUID()];
    await one.tokens.create(userId, 'feeds', key);
    await expect(two.tokens.create(userId, 'play links', key)).rejects.toEqual(reused);
    const results = await Promise.allSettled(
      ['a', 'b', 'a', 'b'].map((name) => one.tokens.create(userId, name, 'both')),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    expect(await one.tokens.list(userId)).toHaveLength(2);
  });

  it('of another listener, or under another key, is another one', async () => {
    const [ann, bob, key] = [randomUUID(), randomUUID(), randomUUID()];
    const made = await Promise.all([
      one.tokens.create(ann, 'feeds', key),
      one.tokens.create(bob, 'feeds', key),
      one.tokens.create(ann, 'feeds', randomUUID()),
      one.tokens.create(ann, 'feeds'),
      one.tokens.create(ann, 'feeds'),
    ]);
    expect(new Set(made.map(({ token }) => token)).size).toBe(5);
  });

  it('is a new one after a day, and so is its secret', async () => {
    const [userId, key] = [randomUUID(), randomUUID()];
    const first = await one.tokens.create(userId, 'feeds', key);
    await age(23);
    expect(await one.tokens.create(userId, 'feeds', key)).toEqual(first);
    await age(2);
    const second = await one.tokens.create(userId, 'another name', key);
    expect([second.id === first.id, second.token === first.token]).toEqual([false, false]);
    expect(await two.tokens.create(userId, 'another name', key)).toEqual(second);
  });

  it('that could not be made leaves the key free', async () => {
    const [userId, key] = [randomUUID(), randomUUID()];
    await test.dataSource.query(`ALTER TABLE users.api_tokens ADD CONSTRAINT never CHECK (name <> 'never') NOT VALID`);
    await expect(one.tokens.create(userId, 'never', key)).rejects.toMatchObject({ code: '23514' });
    await test.dataSource.query('ALTER TABLE users.api_tokens DROP CONSTRAINT never');
    expect(await one.tokens.create(userId, 'at last', key)).toMatchObject({ name: 'at last' });
  });
});

describe('a key of a listener', () => {
  it('is registered once, and another body is another request', async () => {
    const { userId } = await one.accounts.create({ username: 'keeper', password });
    const publicKey = pemOf(rsaPair().publicKey);
    const idempotencyKey = randomUUID();
    const made = await one.keys.register(userId, { name: 'player', publicKey }, idempotencyKey);
    expect(await two.keys.register(userId, { name: 'player', publicKey }, idempotencyKey)).toEqual(made);
    const others = [
      { name: 'radio', publicKey },
      { name: 'player', publicKey: pemOf(rsaPair().publicKey) },
    ];
    for (const other of others) await expect(one.keys.register(userId, other, idempotencyKey)).rejects.toEqual(reused);
    expect(await one.keys.list(userId)).toEqual([made]);
  });
});

describe('an account', () => {
  const count = (username: string) => test.dataSource.getRepository(AccountRow).countBy({ username });

  it('is made once and answered again, also when it is asked for many times at once', async () => {
    const credentials = { username: 'ann', password };
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, index) => (index % 2 ? one : two).accounts.create(credentials, key)),
    );
    answers.push(await one.accounts.create(credentials, key));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await count('ann')).toBe(1);
    await expect(one.accounts.create(credentials)).rejects.toMatchObject({ code: 'username_taken' });
    await expect(one.accounts.create(credentials, randomUUID())).rejects.toMatchObject({ code: 'username_taken' });
  });

  it('of another name or password is another request', async () => {
    const key = randomUUID();
    await one.accounts.create({ username: 'bob', password }, key);
    for (const other of [
      { username: 'bob', password: 'incorrect horse' },
      { username: 'bobby', password },
    ])
      await expect(two.accounts.create(other, key)).rejects.toEqual(reused);
    expect(await count('bobby')).toBe(0);
  });

  it('leaves nothing behind by which a password could be tried fast', async () => {
    await one.accounts.create({ username: 'carla', password }, 'the-key-of-carla');
    const requests = await test.dataSource.query(
      'SELECT count(DISTINCT request_hash)::int AS hashes FROM users.idempotency_keys',
    );
    // The same name with another password has the same hash: the password is no part of it.
    await test.dataSource.query('DELETE FROM users.accounts WHERE username = $1', ['carla']);
    await one.accounts.create({ username: 'carla', password: 'another password' }, 'another-key-of-carla');
    expect(
      await test.dataSource.query('SELECT count(DISTINCT request_hash)::int AS hashes FROM users.idempotency_keys'),
    ).toEqual(requests);
  });
});

it('is of visible ASCII, and not longer than it may be', () => {
  expect(['k', randomUUID(), '"quoted"', 'x'.repeat(255)].map(isIdempotencyKey)).toEqual([true, true, true, true]);
  for (const key of ['', ' ', 'a b', 'ü', 'a\n', 'x'.repeat(256)]) expect(isIdempotencyKey(key)).toBe(false);
});
