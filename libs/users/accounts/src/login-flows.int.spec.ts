import { createHash } from 'node:crypto';
import { Refusal } from '@balados/event-sourcing';
import { waitFor } from '@balados/testing';
import { decode, JwtPayload } from 'jsonwebtoken';
import { accountRecords } from './account-records';
import { BegunFlow, endedLoginFlows, LOGIN_FLOW_SECONDS, LOGIN_FLOWS_MAX, purgeLoginFlows } from './login-flows';
import { PERSONAL_TOKENS_PER_LISTENER } from './listener-tokens';
import { accountsOnPostgres, bearer, Instance, password, phone, TestAccounts } from './testing';

let test: TestAccounts;
let one: Instance;
let two: Instance;
beforeAll(async () => {
  test = await accountsOnPostgres();
  [one, two] = await Promise.all([test.start(), test.start()]);
});
afterAll(() => test?.close());

let names = 0;
async function listener() {
  const username = `Listener-${(names += 1)}`;
  const { userId } = await one.accounts.create({ username, password });
  return { username, userId, credentials: { username, password } };
}
/** As one who has just logged in. */
async function sessionOf(credentials: { username: string; password: string }) {
  const { accessToken } = await one.sessions.login({ ...credentials, ...phone });
  return { sessionId: (decode(accessToken) as JwtPayload).jti!, listener: await one.authenticate(bearer(accessToken)) };
}
const begin = async (client = 'AntennaPod/3.7.0'): Promise<BegunFlow> => (await one.loginFlows.begin(client))!;
async function granted() {
  const { username, userId, credentials } = await listener();
  const flow = await begin();
  expect(await one.loginFlows.grant(flow.pageToken, credentials)).toBe(true);
  return { ...flow, username, userId, credentials };
}
/** As if it had begun so many seconds earlier. */
const age = ({ pollToken }: BegunFlow, seconds: number): Promise<unknown> =>
  test.dataSource.query(
    `UPDATE users.login_flows SET created_at = created_at - make_interval(secs => $2) WHERE poll_hash = $1`,
    [hashOf(pollToken), seconds],
  );
const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest();
const rows = async (): Promise<number> =>
  (await test.dataSource.query('SELECT count(*)::int AS rows FROM users.login_flows'))[0].rows;

it('gives an app that a listener has granted it a password of its own, once, in another copy as well', async () => {
  const { username, userId, credentials } = await listener();
  const flow = await begin();
  expect(await two.loginFlows.find(flow.pageToken)).toEqual({ client: 'AntennaPod/3.7.0' });
  expect(await two.loginFlows.fetch(flow.pollToken)).toBeUndefined();
  expect(await one.loginFlows.grant(flow.pageToken, { ...credentials, username: username.toUpperCase() })).toBe(true);
  expect(await two.loginFlows.find(flow.pageToken)).toBeUndefined();
  expect(await one.tokens.list(userId)).toEqual([]);
  const own = (await two.loginFlows.fetch(flow.pollToken))!;
  expect(own.username).toBe(username);
  expect(await one.tokens.list(userId)).toMatchObject([{ kind: 'app', name: 'AntennaPod/3.7.0', last_used_at: null }]);
  expect(await one.basic.check(own)).toMatchObject({ userId, by: { appPassword: expect.any(String) } });
  for (const copy of [one, two]) expect(await copy.loginFlows.fetch(flow.pollToken)).toBeUndefined();
  // What it was given begets no other.
  const another = await begin();
  await expect(one.loginFlows.grant(another.pageToken, own)).rejects.toMatchObject({ code: 'invalid_credentials' });
});

it('keeps of its tokens the hashes, and no password', async () => {
  const { pollToken, pageToken } = await granted();
  const [row] = await test.dataSource.query('SELECT * FROM users.login_flows WHERE poll_hash = $1', [
    hashOf(pollToken),
  ]);
  expect(row).toEqual({
    poll_hash: hashOf(pollToken),
    page_hash: hashOf(pageToken),
    client: 'AntennaPod/3.7.0',
    created_at: expect.any(Date),
    user_id: expect.any(String),
    password_version: 1,
  });
  // Neither is the other.
  expect(await one.loginFlows.fetch(pageToken)).toBeUndefined();
  expect(await one.loginFlows.find(pollToken)).toBeUndefined();
});

it('answers one of those that ask at once', async () => {
  const { pollToken, userId } = await granted();
  const told = await Promise.all([one, two, one, two].map((copy) => copy.loginFlows.fetch(pollToken)));
  expect(told.filter((each) => each !== undefined)).toHaveLength(1);
  expect(await one.tokens.list(userId)).toHaveLength(1);
});

it('is granted by one of those who grant at once, and not by who refuses after that', async () => {
  const [ada, bob] = [await listener(), await listener()];
  const { pageToken, pollToken } = await begin();
  const grants = await Promise.all([ada, bob].map(({ credentials }) => one.loginFlows.grant(pageToken, credentials)));
  expect(grants.sort()).toEqual([false, true]);
  expect(await two.loginFlows.refuse(pageToken)).toBe(false);
  expect([ada.username, bob.username]).toContain((await one.loginFlows.fetch(pollToken))!.username);
});

it('gives nothing when it was refused, or to a wrong password', async () => {
  const { credentials } = await listener();
  const flow = await begin();
  await expect(one.loginFlows.grant(flow.pageToken, { ...credentials, password: 'another sentence' })).rejects.toThrow(
    Refusal,
  );
  expect(await one.loginFlows.fetch(flow.pollToken)).toBeUndefined();
  expect(await one.loginFlows.refuse(flow.pageToken)).toBe(true);
  expect(await two.loginFlows.refuse(flow.pageToken)).toBe(false);
  expect(await one.loginFlows.grant(flow.pageToken, credentials)).toBe(false);
  expect(await one.loginFlows.fetch(flow.pollToken)).toBeUndefined();
});

it('is over after its time, granted or not, and is deleted then', async () => {
  const { credentials } = await listener();
  const [waiting, given, late] = [await begin(), await granted(), await begin()];
  for (const flow of [waiting, given]) await age(flow, LOGIN_FLOW_SECONDS);
  await age(late, LOGIN_FLOW_SECONDS - 60);
  expect(await endedLoginFlows(test.dataSource)).toBe(2);
  expect(await one.loginFlows.find(waiting.pageToken)).toBeUndefined();
  expect(await one.loginFlows.grant(waiting.pageToken, credentials)).toBe(false);
  expect(await one.loginFlows.refuse(waiting.pageToken)).toBe(false);
  expect(await one.loginFlows.fetch(given.pollToken)).toBeUndefined();
  expect(await one.loginFlows.find(late.pageToken)).toBeDefined();
  const before = await rows();
  expect(await purgeLoginFlows(test.dataSource)).toBe(2);
  expect(await rows()).toBe(before - 2);
  await age(late, 60);
  await begin();
  expect(await endedLoginFlows(test.dataSource)).toBe(0);
});

it('so many are open at a time', async () => {
  await test.dataSource.query(
    `INSERT INTO users.login_flows (poll_hash, page_hash, client)
     SELECT sha256(n::text::bytea), sha256(n::text::bytea), 'many' FROM generate_series(1, $1::int) n`,
    [LOGIN_FLOWS_MAX - (await rows())],
  );
  expect(await one.loginFlows.begin('one too many')).toBeUndefined();
  await test.dataSource.query(`DELETE FROM users.login_flows WHERE poll_hash = sha256('1'::bytea)`);
  expect(await one.loginFlows.begin('the last')).toBeDefined();
  await test.dataSource.query(`DELETE FROM users.login_flows WHERE client = 'many'`);
});

describe('what was granted and not fetched', () => {
  it('ends with the password that granted it', async () => {
    const { userId, pollToken, credentials } = await granted();
    const { sessionId } = await sessionOf(credentials);
    const newPassword = 'a new sentence of mine';
    await two.passwordChange.change({ userId, sessionId }, { password, newPassword });
    expect(await one.loginFlows.fetch(pollToken)).toBeUndefined();
    expect((await accountRecords(test.dataSource, userId))!.login_flows).toEqual([]);
  });

  it('ends with that password also where the row has outlived it', async () => {
    const { userId, pollToken } = await granted();
    const change = 'UPDATE users.accounts SET password_version = password_version + 1 WHERE user_id = $1';
    await test.dataSource.query(change, [userId]);
    expect(await one.loginFlows.fetch(pollToken)).toBeUndefined();
    expect(await one.tokens.list(userId)).toEqual([]);
  });

  it('ends with the account', async () => {
    const { userId, pollToken, credentials } = await granted();
    const { listener } = await sessionOf(credentials);
    await two.closing.close(listener, password);
    expect(await one.loginFlows.fetch(pollToken)).toBeUndefined();
    expect(await test.dataSource.query('SELECT FROM users.login_flows WHERE user_id = $1', [userId])).toEqual([]);
  });

  it('waits for a change of the password that is under way, and is gone after it', async () => {
    const { userId, pollToken } = await granted();
    const runner = test.dataSource.createQueryRunner();
    await runner.startTransaction();
    const change = 'UPDATE users.accounts SET password_version = password_version + 1 WHERE user_id = $1';
    await runner.query(change, [userId]);
    const late = one.loginFlows.fetch(pollToken);
    const waiting = `SELECT count(*)::int AS waiting FROM pg_locks
      WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())`;
    await waitFor(async () => (await test.dataSource.query(waiting))[0].waiting > 0, { what: 'the app to wait' });
    await runner.query('DELETE FROM users.login_flows WHERE user_id = $1', [userId]);
    await runner.commitTransaction();
    await runner.release();
    expect(await late).toBeUndefined();
    expect(await one.tokens.list(userId)).toEqual([]);
  });

  it('is told to whom it is of, and to nobody else', async () => {
    const { userId } = await granted();
    expect((await accountRecords(test.dataSource, userId))!.login_flows).toEqual([
      { client: 'AntennaPod/3.7.0', created_at: expect.stringMatching(/^20.*Z$/) },
    ]);
    expect((await accountRecords(test.dataSource, (await listener()).userId))!.login_flows).toEqual([]);
  });
});

it('finds room in the listener’s list, or is granted nothing; what filled up since waits until there is some', async () => {
  const { userId, pollToken, credentials } = await granted();
  const fill = (count: number): Promise<unknown> =>
    test.dataSource.query(
      `INSERT INTO users.api_tokens (id, user_id, kind, name, secret_hash)
       SELECT gen_random_uuid(), $1::uuid, 'app', 'another', sha256(convert_to($1 || n::text, 'UTF8'))
       FROM generate_series(1, $2::int) n`,
      [userId, count],
    );
  await fill(PERSONAL_TOKENS_PER_LISTENER);
  const { pageToken } = await begin();
  await expect(one.loginFlows.grant(pageToken, credentials)).rejects.toMatchObject({ code: 'tokens_full' });
  expect(await one.loginFlows.fetch(pollToken)).toBeUndefined();
  const [first] = await one.tokens.list(userId);
  await one.tokens.revoke(userId, first!.id);
  expect(await one.loginFlows.fetch(pollToken)).toMatchObject({ username: credentials.username });
});
