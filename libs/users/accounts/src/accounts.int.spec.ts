import { AccountRow } from '@balados/users-schema';
import * as argon2 from 'argon2';
import { accountsOnPostgres, Instance, password, TestAccounts } from './testing';

const UUID_V4 = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
const refusal = (code: string) => expect.objectContaining({ name: 'Refusal', code });

let test: TestAccounts;
let one: Instance;

beforeAll(async () => {
  test = await accountsOnPostgres();
  one = await test.start();
});
afterAll(() => test.close());

it('makes an account and finds it again', async () => {
  const account = await one.accounts.create({ username: ' Ann ', password });
  expect(account).toEqual({ userId: expect.stringMatching(UUID_V4), username: 'Ann', createdAt: expect.any(Date) });
  expect(await one.accounts.find(account.userId)).toEqual(account);
  expect(await one.accounts.find('00000000-0000-4000-8000-000000000000')).toBeUndefined();
});

it.each([
  ['case', 'Bertha', 'bERTHA'],
  ['sharp s', 'Weiß', 'WEISS'],
  ['full width', 'carla', 'ｃａｒｌａ'],
  ['decomposition', 'Zo\u00eb', 'ZOE\u0308'],
])('takes names that differ in %s for one', async (_what, first, second) => {
  const account = await one.accounts.create({ username: first, password });
  await expect(one.accounts.create({ username: second, password })).rejects.toEqual(refusal('username_taken'));
  expect(await one.accounts.verify({ username: second, password })).toEqual(account);
});

it('gives a name to one of those who ask at the same time', async () => {
  const other = await test.start();
  const attempts = [one, other, one, other].map(({ accounts }, index) =>
    accounts.create({ username: index < 2 ? 'dora' : 'DORA', password }),
  );
  const results = await Promise.allSettled(attempts);
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  expect(reasons).toEqual(Array(3).fill(refusal('username_taken')));
});

it.each([
  ['a name that nobody may have', { username: 'a\0b', password }, 'invalid_username'],
  ['a short password', { username: 'emil', password: 'short' }, 'invalid_password'],
])('refuses %s', async (_what, credentials, code) => {
  await expect(one.accounts.create(credentials)).rejects.toEqual(refusal(code));
});

it('says the same of a wrong password, an unknown name and an impossible one', async () => {
  await one.accounts.create({ username: 'fritz', password });
  const wrong = [
    { username: 'fritz', password: 'incorrect horse' },
    { username: 'fritz', password: '' },
    { username: 'nobody', password },
    { username: 'fritz\0', password },
    { username: 'fritz\ud800', password },
    { username: '', password },
    { username: 'fritz', password: 'x'.repeat(1_000_000) },
  ];
  const messages = await Promise.all(
    wrong.map((credentials) =>
      one.accounts.verify(credentials).catch((error: Error) => {
        expect(error).toEqual(refusal('invalid_credentials'));
        return error.message;
      }),
    ),
  );
  expect(new Set(messages).size).toBe(1);
});

it('renews a hash of outdated parameters at the next login', async () => {
  const { userId, username } = await one.accounts.create({ username: 'greta', password });
  const rows = test.dataSource.getRepository(AccountRow);
  const weak = await argon2.hash(password, { memoryCost: 4_096, timeCost: 2, parallelism: 1 });
  await rows.update({ userId }, { passwordHash: weak });
  await expect(one.accounts.verify({ username, password: 'incorrect horse' })).rejects.toThrow();
  expect((await rows.findOneByOrFail({ userId })).passwordHash).toBe(weak);
  await one.accounts.verify({ username, password });
  expect((await rows.findOneByOrFail({ userId })).passwordHash).toContain('$m=19456,t=2,p=1$');
  await one.accounts.verify({ username, password });
});
