import { waitFor } from '@balados/testing';
import { decode, JwtPayload } from 'jsonwebtoken';
import {
  accountsOnPostgres,
  bearer,
  holdTokens,
  Instance,
  password,
  pemOf,
  phone,
  rsaPair,
  TestAccounts,
} from './testing';

const refusal = (code: string) => expect.objectContaining({ name: 'Refusal', code });
const newPassword = 'a new sentence of mine';

let test: TestAccounts;
let one: Instance;
let two: Instance;

beforeAll(async () => {
  test = await accountsOnPostgres();
  [one, two] = await Promise.all([test.start(), test.start()]);
});
afterAll(() => test.close());

let names = 0;
async function listener() {
  const username = `listener-${names++}`;
  const { userId } = await one.accounts.create({ username, password });
  const login = (secret = password, instance = one) =>
    instance.sessions.login({ username, password: secret, ...phone });
  const here = await login();
  const sessionId = (decode(here.accessToken) as JwtPayload).jti!;
  return { username, userId, login, here, sessionId };
}
const isIn = (instance: Instance, { accessToken }: { accessToken: string }) =>
  Promise.resolve()
    .then(() => instance.authenticate(bearer(accessToken)))
    .then(
      () => true,
      () => false,
    );

it('ends every session but this one, everywhere within five seconds, and their refresh tokens', async () => {
  const { userId, sessionId, here, login } = await listener();
  const others = [await login(), await login(password, two)];
  const stranger = (await listener()).here;
  for (const tokens of [here, ...others]) expect(await isIn(two, tokens)).toBe(true);

  await one.passwordChange.change({ userId, sessionId }, { password, newPassword });
  const start = performance.now();
  for (const tokens of others) expect(await isIn(one, tokens)).toBe(false);
  const ended = async () => (await Promise.all(others.map((tokens) => isIn(two, tokens)))).every((isAlive) => !isAlive);
  await waitFor(ended, { what: 'the other copy to hear of it', timeoutMs: 6_000 });
  expect(performance.now() - start).toBeLessThan(5_000);
  for (const { refreshToken } of others)
    await expect(two.sessions.refresh(refreshToken)).rejects.toEqual(refusal('invalid_refresh_token'));

  expect(await isIn(two, here)).toBe(true);
  expect(await isIn(two, await two.sessions.refresh(here.refreshToken))).toBe(true);
  expect(await isIn(two, stranger)).toBe(true);
  await expect(login()).rejects.toEqual(refusal('invalid_credentials'));
  expect(await isIn(two, await login(newPassword))).toBe(true);
});

it('leaves keys and personal tokens alone', async () => {
  const { userId, sessionId } = await listener();
  await one.keys.register(userId, { name: 'player', publicKey: pemOf(rsaPair().publicKey) });
  const { id } = await one.tokens.create(userId, 'feeds');
  await one.passwordChange.change({ userId, sessionId }, { password, newPassword });
  expect(await one.keys.list(userId)).toHaveLength(1);
  expect((await one.tokens.list(userId)).map((token) => token.id).sort()).toEqual([id, sessionId].sort());
});

it.each([
  ['the old password is wrong', 'incorrect horse', newPassword, 'wrong_password'],
  ['the old password is impossible', '', newPassword, 'wrong_password'],
  ['the new password is too short', password, 'short', 'invalid_password'],
  ['the new password is not well-formed', password, 'a password \ud800', 'invalid_password'],
  ['both are bad', 'incorrect horse', 'short', 'wrong_password'],
])('changes nothing when %s', async (_what, old, next, code) => {
  const { userId, sessionId, login } = await listener();
  const other = await login();
  const change = one.passwordChange.change({ userId, sessionId }, { password: old, newPassword: next });
  await expect(change).rejects.toEqual(refusal(code));
  expect(await isIn(one, other)).toBe(true);
  expect(await isIn(one, await login())).toBe(true);
});

it('takes as long to refuse a password as a login does, in processor time', async () => {
  const { userId, sessionId, login } = await listener();
  const work = async (attempt: () => Promise<unknown>): Promise<number> => {
    const before = process.cpuUsage();
    for (let round = 0; round < 5; round++) await expect(attempt()).rejects.toMatchObject({ name: 'Refusal' });
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  const change = () => one.passwordChange.change({ userId, sessionId }, { password: 'incorrect horse', newPassword });
  await work(change);
  expect(await work(change)).toBeGreaterThan(0.6 * (await work(() => login('incorrect horse'))));
});

it('of two changes at once one wins, and the other session is out', async () => {
  const { userId, sessionId, login } = await listener();
  const there = await login();
  const elsewhere = (decode(there.accessToken) as JwtPayload).jti!;
  const results = await Promise.allSettled([
    one.passwordChange.change({ userId, sessionId }, { password, newPassword: 'the first of two' }),
    two.passwordChange.change({ userId, sessionId: elsewhere }, { password, newPassword: 'the second of two' }),
  ]);
  expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const kept = results[0]!.status === 'fulfilled' ? sessionId : elsewhere;
  expect((await one.tokens.list(userId)).map(({ id }) => id)).toEqual([kept]);
});

it('leaves no session to a login whose password was right when it was checked', async () => {
  const { userId, sessionId, login } = await listener();
  const { inLine, release } = await holdTokens(test.dataSource);
  const late = login(password, two).catch((error: unknown) => error);
  await inLine(1);
  const change = one.passwordChange.change({ userId, sessionId }, { password, newPassword });
  await inLine(2);
  await release();
  await change;
  expect(await late).toEqual(refusal('invalid_credentials'));
  expect((await one.tokens.list(userId)).map(({ id }) => id)).toEqual([sessionId]);
});
