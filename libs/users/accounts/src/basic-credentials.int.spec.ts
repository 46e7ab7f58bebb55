import { randomUUID } from 'node:crypto';
import { waitFor } from '@balados/testing';
import type { SignedIn } from './basic-credentials';
import { COOKIE_SECONDS } from './session-cookies';
import { accountsOnPostgres, Instance, password, phone, TestAccounts } from './testing';

const wrong = expect.objectContaining({ name: 'Refusal', code: 'invalid_credentials' });
/** By when what was revoked in another process must have ended. */
const REVOCATION_MS = 5_000;

let test: TestAccounts;
let one: Instance;
let two: Instance;
let nth = 0;

beforeAll(async () => {
  test = await accountsOnPostgres();
  [one, two] = await Promise.all([test.start(), test.start()]);
});
afterAll(() => test.close());

async function listener() {
  const { userId, username } = await one.accounts.create({ username: `ann-${(nth += 1)}`, password });
  const { token, id } = await one.tokens.create(userId, 'AntennaPod', undefined, 'app');
  return { userId, username, app: { username, password: token }, own: { username, password }, id };
}

const ends = async (signedIn: SignedIn): Promise<void> => {
  const since = performance.now();
  await waitFor(async () => !(await two.basic.holds(signedIn)), { what: 'the end', timeoutMs: REVOCATION_MS });
  expect(performance.now() - since).toBeLessThan(REVOCATION_MS);
};

it("takes the account's password and that of an app, under the name however it is written", async () => {
  const { userId, username, app, own, id } = await listener();
  expect(app.password).toMatch(/^(\w{6}-){3}\w{6}$/);
  expect(await one.basic.check(own)).toEqual({
    userId,
    username,
    by: { password: expect.stringMatching(/^[\w-]{43}$/) },
  });
  const typed = { username: username.toUpperCase(), password: app.password.toUpperCase().replaceAll('-', ' ') };
  for (const credentials of [app, typed])
    expect(await two.basic.check(credentials)).toEqual({ userId, username, by: { appPassword: id } });
  expect(await one.tokens.list(userId)).toMatchObject([{ id, kind: 'app', name: 'AntennaPod' }]);
});

it('takes no other password, no other name, and no token of another kind', async () => {
  const [ann, bob] = [await listener(), await listener()];
  const { token } = await one.tokens.create(ann.userId, 'feeds');
  const { refreshToken } = await one.sessions.login({ ...ann.own, ...phone });
  for (const credentials of [
    { username: ann.username, password: bob.app.password },
    { username: 'nobody', password: ann.app.password },
    { username: ann.username, password: '000000-000000-000000-000000' },
    ...['', `${password} `, token, refreshToken, ann.id].map((each) => ({ username: ann.username, password: each })),
  ])
    await expect(one.basic.check(credentials)).rejects.toEqual(wrong);
});

it('hashes a password once, and remembers nothing that was wrong', async () => {
  const { own, username } = await listener();
  expect(await one.basic.recall(own)).toBeUndefined();
  const signedIn = await one.basic.check(own);
  expect(await one.basic.recall(own)).toEqual(signedIn);
  const mistyped = { username, password: 'another password' };
  await expect(one.basic.check(mistyped)).rejects.toEqual(wrong);
  expect(await one.basic.recall(mistyped)).toBeUndefined();
  expect(
    await one.basic.recall({ username: `${username}${password[0]}`, password: password.slice(1) }),
  ).toBeUndefined();
});

it("ends with an app's password, with another password of the account, and with the account", async () => {
  const { userId, own, app, id } = await listener();
  const [byApp, byOwn] = [await two.basic.check(app), await two.basic.check(own)];
  for (const signedIn of [byApp, byOwn]) expect(await two.basic.holds(signedIn)).toBe(true);

  const { accessToken } = await one.sessions.login({ ...own, ...phone });
  const session = await one.authenticate({ headers: { authorization: `Bearer ${accessToken}` } });
  const newPassword = 'quite another sentence';
  await one.passwordChange.change({ userId, sessionId: session.sessionId! }, { password, newPassword });
  await ends(byOwn);
  expect(await two.basic.holds(byApp)).toBe(true);

  await one.tokens.revoke(userId, id);
  expect(await one.basic.holds(byApp)).toBe(false);
  await ends(byApp);
  await expect(two.basic.check(app)).rejects.toEqual(wrong);

  // What was right once and is no more is forgotten, so that it is right again when it is set again.
  expect(await two.basic.recall(own)).toBeUndefined();
  await one.passwordChange.change(
    { userId, sessionId: session.sessionId! },
    { password: newPassword, newPassword: password },
  );
  expect(await one.basic.check(own)).toMatchObject({ userId });
  const again = await one.basic.check(own);
  expect(again).not.toEqual(byOwn);
  await one.closing.close(session, password);
  await ends(again);
});

it('has no password of an app for who has no username', async () => {
  const made = one.tokens.create(randomUUID(), 'AntennaPod', undefined, 'app');
  await expect(made).rejects.toMatchObject({ name: 'Refusal', code: 'username_missing' });
});

it('knows its cookie in every copy, until it runs out or is changed', async () => {
  const { app } = await listener();
  const signedIn = await one.basic.check(app);
  const now = Date.now();
  const cookie = one.cookies.issue(signedIn, now);
  expect(cookie).not.toContain(app.password);
  expect(two.cookies.read(cookie, now + COOKIE_SECONDS * 1_000 - 1_000)).toEqual(signedIn);
  expect(two.cookies.read(cookie, now + COOKIE_SECONDS * 1_000)).toBeUndefined();
  const [payload, signature] = cookie.split('.') as [string, string];
  const other = Buffer.from(JSON.stringify({ ...signedIn, userId: randomUUID(), until: 2 ** 40 })).toString(
    'base64url',
  );
  for (const forged of [
    '',
    '.',
    payload,
    `${other}.${signature}`,
    `${payload}.${'A'.repeat(43)}`,
    `${cookie}A`,
    'x'.repeat(9_999),
  ])
    expect(two.cookies.read(forged, now)).toBeUndefined();
});
