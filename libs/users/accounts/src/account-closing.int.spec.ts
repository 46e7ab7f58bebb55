import { createHash, randomUUID } from 'node:crypto';
import { waitFor } from '@balados/testing';
import { ErasureTarget, partOf, WHOLE_HISTORY } from '@balados/users-contracts';
import {
  ERASURES_AT_ONCE,
  finishErasure,
  forgetAccount,
  pendingErasures,
  requestErasure,
  REVOCATION_MS,
} from './erasures';
import { Listener } from './listener';
import { accountsOnPostgres, bearer, Instance, password, pemOf, phone, rsaPair, TestAccounts } from './testing';

let accounts: TestAccounts;
let here: Instance;
let there: Instance;
beforeAll(async () => {
  accounts = await accountsOnPostgres();
  [here, there] = [await accounts.start(), await accounts.start()];
});
afterAll(() => accounts?.close());

async function newListener() {
  const username = `listener-${randomUUID().slice(0, 8)}`;
  await here.accounts.create({ username, password });
  const tokens = await here.sessions.login({ username, password, ...phone });
  const listener = await here.authenticate(bearer(tokens.accessToken));
  return { username, tokens, listener };
}
const rows = (userId: string): Promise<{ rows: number }[]> =>
  accounts.dataSource.query(
    `SELECT sum(rows)::int AS rows FROM (
       SELECT count(*) AS rows FROM users.accounts WHERE user_id = $1
       UNION ALL SELECT count(*) FROM users.api_tokens WHERE user_id = $1
       UNION ALL SELECT count(*) FROM users.listener_keys WHERE user_id = $1
       UNION ALL SELECT count(*) FROM users.idempotency_keys WHERE user_id = $1
       UNION ALL SELECT count(*) FROM users.app_settings WHERE user_id = $1
       UNION ALL SELECT count(*) FROM users.login_flows WHERE user_id = $1
       UNION ALL SELECT count(*) FROM users.outside_listeners WHERE user_id = $1
       UNION ALL SELECT count(*) FROM users.erasures WHERE user_id = $1) t`,
    [userId],
  );

it('lets nobody in any more, here at once and elsewhere within five seconds', async () => {
  const { username, tokens, listener } = await newListener();
  await there.authenticate(bearer(tokens.accessToken));
  const { id } = await here.closing.close(listener, password);
  await expect(async () => here.authenticate(bearer(tokens.accessToken))).rejects.toMatchObject({
    reason: 'revoked_session',
  });
  await expect(here.sessions.refresh(tokens.refreshToken)).rejects.toMatchObject({ code: 'invalid_refresh_token' });
  await expect(there.sessions.login({ username, password, ...phone })).rejects.toMatchObject({
    code: 'invalid_credentials',
  });
  await expect(there.accounts.create({ username, password })).rejects.toMatchObject({ code: 'username_taken' });
  await expect(
    there.keys.register(listener.userId, { name: 'late', publicKey: pemOf(rsaPair().publicKey) }),
  ).rejects.toMatchObject({ reason: 'revoked_session' });
  // Who is still let in elsewhere asks for the same.
  expect(await there.closing.close(listener, password)).toMatchObject({ id, scope: 'account' });
  await waitFor(
    () =>
      Promise.resolve(there.authenticate(bearer(tokens.accessToken))).then(
        () => false,
        () => true,
      ),
    { what: 'the other copy to miss the session', timeoutMs: REVOCATION_MS },
  );
});

it('wants the password, and the token of a login', async () => {
  const { listener } = await newListener();
  await expect(here.closing.close(listener, 'another sentence')).rejects.toMatchObject({ code: 'wrong_password' });
  await expect(here.closing.close(listener, '')).rejects.toMatchObject({ code: 'wrong_password' });
  const signedByKey: Listener = { ...listener, sessionId: null };
  await expect(here.closing.close(signedByKey, password)).rejects.toMatchObject({ code: 'login_required' });
  expect(await accounts.dataSource.query('SELECT FROM users.erasures WHERE user_id = $1', [listener.userId])).toEqual(
    [],
  );
  expect((await here.tokens.list(listener.userId)).length).toBe(1);
});

it('takes an outside issuer’s word for its listener', async () => {
  const [userId, subject] = [randomUUID(), randomUUID()];
  await accounts.dataSource.query(
    `INSERT INTO users.outside_listeners (issuer, subject, user_id) VALUES ('https://issuer.example', $1, $2)`,
    [subject, userId],
  );
  const listener: Listener = { userId, sessionId: null, deviceId: null, deviceName: null };
  const { id } = await here.closing.close(listener, '');
  expect((await there.closing.close(listener, '')).id).toBe(id);
  const [row] = await accounts.dataSource.query('SELECT closed_at FROM users.outside_listeners WHERE user_id = $1', [
    userId,
  ]);
  expect(row.closed_at).toBeInstanceOf(Date);
});

it('meets a login and a change of the password at the same moment, and none of them comes through', async () => {
  const { username, listener, tokens } = await newListener();
  const change = { password, newPassword: 'yet another sentence' };
  const outcomes = await Promise.allSettled([
    here.closing.close(listener, password),
    there.sessions.login({ username, password, ...phone }),
    there.passwordChange.change({ userId: listener.userId, sessionId: listener.sessionId! }, change),
  ]);
  const isClosed = outcomes[0]!.status === 'fulfilled';
  // If the password was changed first, closing with the old one is refused.
  if (!isClosed) await here.closing.close(listener, change.newPassword);
  const live = 'SELECT count(*)::int AS live FROM users.api_tokens WHERE user_id = $1 AND revoked_at IS NULL';
  expect((await accounts.dataSource.query(live, [listener.userId]))[0].live).toBe(0);
  for (const text of [password, change.newPassword])
    await expect(here.sessions.login({ username, password: text, ...phone })).rejects.toThrow();
  await expect(here.sessions.refresh(tokens.refreshToken)).rejects.toThrow();
});

it('leaves of an erasure that is done a hash and its dates, and the name is free', async () => {
  const { username, listener } = await newListener();
  const { userId } = listener;
  await here.tokens.create(userId, 'car', 'a key');
  const history = { ...(await requestErasure(accounts.dataSource, userId, WHOLE_HISTORY)), userId };
  const account = { ...(await here.closing.close(listener, password)), userId };
  // Not before everybody has missed the sessions.
  expect((await pendingErasures(accounts.dataSource)).filter((one) => one.userId === userId)).toEqual([]);
  await finishErasure(accounts.dataSource, history);
  await forgetAccount(accounts.dataSource, userId);
  await finishErasure(accounts.dataSource, account);
  expect((await rows(userId))[0]!.rows).toBe(0);
  const left = await accounts.dataSource.query('SELECT id, user_id, scope FROM users.erasures WHERE user_hash = $1', [
    createHash('sha256').update(userId).digest(),
  ]);
  expect(left).toEqual([{ id: account.id, user_id: null, scope: 'account' }]);
  expect((await here.accounts.create({ username, password })).userId).not.toBe(userId);
});

describe('erasures that wait', () => {
  const [ada, bob] = [randomUUID(), randomUUID()];
  const request = async (userId: string, target: ErasureTarget) => {
    const { id } = await requestErasure(accounts.dataSource, userId, target);
    return id;
  };
  /** As if a minute had passed. */
  const waiting = async () => {
    await accounts.dataSource.query(
      `UPDATE users.erasures SET requested_at = requested_at - interval '1 minute' WHERE user_id IN ($1, $2)`,
      [ada, bob],
    );
    return (await pendingErasures(accounts.dataSource)).filter(({ userId }) => userId === ada || userId === bob);
  };
  const feed = (n: number) => `https://feeds.example/${n}.xml`;

  it('of one listener, however many, keep none of another’s back', async () => {
    for (let n = 0; n < 2 * ERASURES_AT_ONCE; n += 1) await request(ada, partOf(feed(n), null));
    const ofBob = await request(bob, WHOLE_HISTORY);
    const pending = await waiting();
    expect(pending.findIndex(({ id }) => id === ofBob)).toBe(1);
    expect(pending.filter(({ userId }) => userId === ada)).toHaveLength(ERASURES_AT_ONCE);
  });

  it('are done with a later one that covers them', async () => {
    await request(ada, WHOLE_HISTORY);
    await request(ada, partOf(feed(1), 'a,'));
    const other = await request(ada, partOf(feed(2), 'a,'));
    await request(ada, partOf(feed(1), 'b,'));
    await request(ada, partOf(feed(1), 'b,'));
    const podcast = await request(ada, partOf(feed(1), null));
    const ofAda = async () => (await waiting()).flatMap(({ userId, id }) => (userId === ada ? id : []));
    expect((await ofAda()).slice(1).sort()).toEqual([other, podcast].sort());
    const all = await request(ada, WHOLE_HISTORY);
    expect(await ofAda()).toEqual([all]);
    expect((await waiting()).filter(({ userId }) => userId === bob)).toHaveLength(1);
  });
});
