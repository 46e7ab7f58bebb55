import { inspect } from 'node:util';
import { ApiTokenRow } from '@balados/users-schema';
import { waitFor } from '@balados/testing';
import { decode, JwtPayload } from 'jsonwebtoken';
import { SESSIONS_PER_LISTENER, Tokens } from './sessions';
import { accountsOnPostgres, bearer, Instance, password, phone, TestAccounts } from './testing';

const badRefresh = expect.objectContaining({ name: 'Refusal', code: 'invalid_refresh_token' });
const ended = expect.objectContaining({ name: 'Unauthenticated', reason: 'revoked_session' });

let test: TestAccounts;
let one: Instance;
let two: Instance;

beforeAll(async () => {
  test = await accountsOnPostgres();
  [one, two] = await Promise.all([test.start(), test.start()]);
});
afterAll(() => test.close());

let names = 0;
async function loggedIn(): Promise<Tokens & { username: string; sessionId: string }> {
  const { username } = await one.accounts.create({ username: `listener-${names++}`, password });
  const tokens = await one.sessions.login({ username, password, ...phone });
  return { ...tokens, username, sessionId: (decode(tokens.accessToken) as JwtPayload).jti! };
}

const row = (id: string) => test.dataSource.getRepository(ApiTokenRow).findOneByOrFail({ id });
const authenticate = async ({ authenticate }: Instance, { accessToken }: Tokens) => authenticate(bearer(accessToken));
const age = (sessionId: string, column: 'rotated_at' | 'expires_at' | 'last_used_at', seconds: number) =>
  test.dataSource.query(`UPDATE users.api_tokens SET ${column} = ${column} - make_interval(secs => $2) WHERE id = $1`, [
    sessionId,
    seconds,
  ]);

describe('a login', () => {
  it('gives a token that every copy knows, for a quarter of an hour', async () => {
    const tokens = await loggedIn();
    const listener = { userId: tokens.userId, sessionId: tokens.sessionId, ...phone };
    expect(await authenticate(one, tokens)).toEqual(listener);
    expect(await authenticate(two, tokens)).toEqual(listener);
    const { exp, iat, ...claims } = decode(tokens.accessToken) as JwtPayload;
    expect(exp! - iat!).toBe(900);
    expect(tokens.expiresIn).toBe(900);
    expect(claims).toEqual({
      iss: 'balados-sync',
      sub: tokens.userId,
      jti: tokens.sessionId,
      device_id: 'phone-1',
      device_name: 'Phone of Ann',
    });
  });

  it('needs no device', async () => {
    const { username } = await loggedIn();
    const tokens = await one.sessions.login({ username, password, deviceId: null, deviceName: null });
    expect(await authenticate(one, tokens)).toMatchObject({ deviceId: null, deviceName: null });
    expect(decode(tokens.accessToken)).not.toHaveProperty('device_id');
  });

  it('ends the session unused for longest when there are too many', async () => {
    const { userId, username, sessionId } = await loggedIn();
    await test.dataSource.query(
      `INSERT INTO users.api_tokens (id, user_id, kind, family_hash, secret_hash, last_used_at, expires_at)
       SELECT gen_random_uuid(), $1::uuid, 'session', sha256(($1::text || '-' || n)::bytea), sha256(($1::text || '-' || n)::bytea),
         now() - make_interval(mins => n), now() + interval '1 day' FROM generate_series(1, $2::int) n`,
      [userId, SESSIONS_PER_LISTENER - 1],
    );
    await age(sessionId, 'last_used_at', 86_400);
    await one.sessions.login({ username, password, ...phone });
    const rows = await test.dataSource.getRepository(ApiTokenRow).findBy({ userId });
    expect(rows).toHaveLength(SESSIONS_PER_LISTENER + 1);
    expect(rows.filter(({ revokedAt }) => revokedAt).map(({ id }) => id)).toEqual([sessionId]);
  });
});

describe('a refresh', () => {
  it('gives new tokens of the same session, and keeps it alive', async () => {
    const first = await loggedIn();
    await age(first.sessionId, 'expires_at', 86_400);
    const before = await row(first.sessionId);
    const second = await two.sessions.refresh(first.refreshToken);
    expect(second.refreshToken).not.toBe(first.refreshToken);
    expect(second).toMatchObject({ userId: first.userId, expiresIn: 900 });
    expect(await authenticate(one, second)).toEqual({ userId: first.userId, sessionId: first.sessionId, ...phone });
    const after = await row(first.sessionId);
    expect(after.expiresAt!.getTime() - before.expiresAt!.getTime()).toBeGreaterThan(86_000_000);
    const third = await one.sessions.refresh(second.refreshToken);
    expect(await authenticate(one, third)).toMatchObject({ sessionId: first.sessionId });
  });

  it('answers a retry with the same token, as often as it comes', async () => {
    const first = await loggedIn();
    const second = await one.sessions.refresh(first.refreshToken);
    for (const copy of [one, two]) {
      const again = await copy.sessions.refresh(first.refreshToken);
      expect(again.refreshToken).toBe(second.refreshToken);
      expect(await authenticate(copy, again)).toMatchObject({ sessionId: first.sessionId });
    }
    await expect(one.sessions.refresh(second.refreshToken)).resolves.toMatchObject({ userId: first.userId });
  });

  it('gives one new token to all who ask at the same time', async () => {
    const first = await loggedIn();
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => (index % 2 ? one : two).sessions.refresh(first.refreshToken)),
    );
    expect(new Set(answers.map(({ refreshToken }) => refreshToken)).size).toBe(1);
    await expect(one.sessions.refresh(answers[0]!.refreshToken)).resolves.toMatchObject({ userId: first.userId });
  });

  it('ends the session when the token before the newest comes too late to be a retry', async () => {
    const first = await loggedIn();
    const second = await one.sessions.refresh(first.refreshToken);
    await age(first.sessionId, 'rotated_at', 61);
    await expect(one.sessions.refresh(first.refreshToken)).rejects.toEqual(badRefresh);
    await expect(one.sessions.refresh(second.refreshToken)).rejects.toEqual(badRefresh);
    await expect(authenticate(one, second)).rejects.toEqual(ended);
  });

  it('ends the session when a still older token comes', async () => {
    const first = await loggedIn();
    const second = await one.sessions.refresh(first.refreshToken);
    const third = await one.sessions.refresh(second.refreshToken);
    await expect(one.sessions.refresh(first.refreshToken)).rejects.toEqual(badRefresh);
    await expect(one.sessions.refresh(third.refreshToken)).rejects.toEqual(badRefresh);
  });

  it('takes nothing but a refresh token that lives', async () => {
    const { refreshToken, accessToken, sessionId } = await loggedIn();
    const [family, secret] = refreshToken.split('.') as [string, string];
    const foreign = (await loggedIn()).refreshToken.split('.') as [string, string];
    const nothing = [
      '',
      'x',
      accessToken,
      sessionId,
      family,
      secret,
      `${family}.`,
      `${refreshToken}=`,
      `${refreshToken}\n`,
    ];
    for (const text of [...nothing, `${secret}.${family}`, `${'A'.repeat(22)}.${secret}`])
      await expect(one.sessions.refresh(text)).rejects.toEqual(badRefresh);
    expect((await row(sessionId)).revokedAt).toBeNull();
    await age(sessionId, 'expires_at', 91 * 86_400);
    await expect(one.sessions.refresh(refreshToken)).rejects.toEqual(badRefresh);
    await expect(one.sessions.refresh(`${foreign[0]}.${secret}`)).rejects.toEqual(badRefresh);
  });
});

describe('the end of a session', () => {
  it('is felt here at once, and elsewhere within five seconds', async () => {
    const tokens = await loggedIn();
    const other = await one.sessions.login({ username: tokens.username, password, ...phone });
    await authenticate(one, tokens);
    await authenticate(two, tokens);
    const start = performance.now();
    await one.sessions.logout({ userId: tokens.userId, sessionId: tokens.sessionId });
    await expect(authenticate(one, tokens)).rejects.toEqual(ended);
    await expect(authenticate(two, tokens)).resolves.toMatchObject({ userId: tokens.userId });
    const error = await waitFor(
      () =>
        authenticate(two, tokens).then(
          () => undefined,
          (reason: unknown) => reason,
        ),
      {
        what: 'the other copy to hear of the logout',
        timeoutMs: 6_000,
      },
    );
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(error).toEqual(ended);
    await expect(one.sessions.refresh(tokens.refreshToken)).rejects.toEqual(badRefresh);
    await expect(authenticate(one, other)).resolves.toMatchObject({ userId: tokens.userId });
    await one.sessions.logout({ userId: tokens.userId, sessionId: tokens.sessionId });
  });

  it("is not in another listener's hands", async () => {
    const [mine, theirs] = [await loggedIn(), await loggedIn()];
    await two.sessions.logout({ userId: mine.userId, sessionId: theirs.sessionId });
    expect((await row(theirs.sessionId)).revokedAt).toBeNull();
    await expect(authenticate(one, theirs)).resolves.toMatchObject({ userId: theirs.userId });
  });

  it('comes when it was not refreshed for ninety days', async () => {
    const tokens = await loggedIn();
    await age(tokens.sessionId, 'expires_at', 90 * 86_400);
    await expect(authenticate(one, tokens)).rejects.toEqual(ended);
  });
});

it('writes the last use down, but not at every use', async () => {
  const [often, seldom] = [await loggedIn(), await loggedIn()];
  await age(often.sessionId, 'last_used_at', 200);
  await age(seldom.sessionId, 'last_used_at', 400);
  const before = await row(often.sessionId);
  const copy = await test.start();
  await Promise.all([authenticate(copy, often), authenticate(copy, seldom)]);
  await waitFor(async () => (await row(seldom.sessionId)).lastUsedAt! > before.lastUsedAt!, { what: 'the last use' });
  expect((await row(often.sessionId)).lastUsedAt).toEqual(before.lastUsedAt);
});

describe('secrets', () => {
  it('are in no row', async () => {
    const first = await loggedIn();
    const second = await one.sessions.refresh(first.refreshToken);
    const rows: { text: string }[] = await test.dataSource.query(
      'SELECT t::text AS text FROM users.api_tokens t UNION ALL SELECT a::text FROM users.accounts a',
    );
    const stored = rows.map(({ text }) => text).join('\n');
    expect(stored).toContain(first.sessionId);
    const secrets = [first, second].flatMap(({ refreshToken, accessToken }) => [
      ...refreshToken.split('.'),
      accessToken,
    ]);
    for (const secret of [...secrets, password]) {
      expect(stored).not.toContain(secret);
      expect(stored).not.toContain(Buffer.from(secret).toString('hex'));
      expect(stored).not.toContain(Buffer.from(secret, 'base64url').toString('hex'));
    }
  });

  it('are in no error of a query that fails', async () => {
    const copy = await accountsOnPostgres();
    const instance = await copy.start();
    await instance.accounts.create({ username: 'ann', password });
    await copy.dataSource.query('ALTER TABLE users.api_tokens ADD CHECK (false)');
    await copy.dataSource.query('ALTER TABLE users.accounts ADD CHECK (false) NOT VALID');
    const errors = [
      await instance.sessions.login({ username: 'ann', password, ...phone }).catch((error: unknown) => error),
      await instance.accounts.create({ username: 'bob', password }).catch((error: unknown) => error),
    ];
    await copy.close();
    for (const error of errors) {
      expect(error).toMatchObject({ code: '23514' });
      expect(inspect(error, { depth: null, showHidden: true })).not.toMatch(/argon2id|Buffer|\\x[\da-f]{32}/);
    }
  });
});
