import { createHmac, createPublicKey, createSign, generateKeyPairSync, KeyObject, randomUUID } from 'node:crypto';
import { decode, JwtPayload } from 'jsonwebtoken';
import { accountsOnPostgres, bearer, Instance, password, phone, TestAccounts } from './testing';

const ours = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const theirs = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const pem = ours.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
const publicPem = createPublicKey(ours.privateKey).export({ type: 'spki', format: 'pem' }) as string;

let test: TestAccounts;
let one: Instance;
/** The token of a login, its claims and its header. */
let token: string;
let claims: JwtPayload & { sub: string; jti: string; exp: number };
let header: { alg: string; typ: string; kid: string };
/** The session of another listener. */
let othersSession: string;

beforeAll(async () => {
  test = await accountsOnPostgres();
  one = await test.start({ JWT_PRIVATE_KEY: pem });
  for (const username of ['other', 'ann']) {
    await one.accounts.create({ username, password });
    token = (await one.sessions.login({ username, password, ...phone })).accessToken;
    othersSession ??= (decode(token) as JwtPayload).jti!;
  }
  const complete = decode(token, { complete: true })!;
  claims = complete.payload as typeof claims;
  header = complete.header as typeof header;
});
afterAll(() => test.close());
afterEach(() => jest.restoreAllMocks());

const base64url = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token made by hand: what a forger, or a fault of ours, could write. */
function make(
  change: { header?: object; claims?: object | string; key?: KeyObject; signature?: (text: string) => string } = {},
): string {
  const payload = typeof change.claims === 'string' ? change.claims : { ...claims, ...change.claims };
  const text = `${base64url({ ...header, ...change.header })}.${base64url(payload)}`;
  const rsa = () =>
    createSign('sha256')
      .update(text)
      .sign(change.key ?? ours.privateKey, 'base64url');
  return `${text}.${change.signature ? change.signature(text) : rsa()}`;
}
const without = (claim: string): string => JSON.stringify({ ...claims, [claim]: undefined });
const seconds = () => Math.floor(Date.now() / 1_000);
const authenticate = async (words: string) => one.authenticate({ headers: { authorization: words } });
const refused = (reason: string) => expect.objectContaining({ name: 'Unauthenticated', reason });

it('takes our token, and one that is made like it', async () => {
  const listener = { userId: claims.sub, sessionId: claims.jti, ...phone };
  expect(await one.authenticate(bearer(token))).toEqual(listener);
  expect(await one.authenticate(bearer(make()))).toEqual(listener);
  expect(await one.authenticate(bearer(make({ claims: { device_id: undefined } })))).toMatchObject({ deviceId: null });
  expect(await one.authenticate(bearer(make({ claims: { exp: seconds() - 2 } })))).toEqual(listener);
});

const forged: [string, () => string, string?][] = [
  ['with algorithm none and no signature', () => make({ header: { alg: 'none' }, signature: () => '' })],
  ['with algorithm none and our signature', () => make({ header: { alg: 'none' } })],
  ['with algorithm None', () => make({ header: { alg: 'None' }, signature: () => '' })],
  ['without algorithm', () => make({ header: { alg: undefined } })],
  [
    'signed HS256 with our public key as the secret',
    () =>
      make({
        header: { alg: 'HS256' },
        signature: (text) => createHmac('sha256', publicPem).update(text).digest('base64url'),
      }),
  ],
  [
    'signed HS256 with the modulus as the secret',
    () =>
      make({
        header: { alg: 'HS256' },
        signature: (text) => createHmac('sha256', one.jwks.keys[0]!.n).update(text).digest('base64url'),
      }),
  ],
  [
    'of our key, but RS512',
    () =>
      make({
        header: { alg: 'RS512' },
        signature: (text) => createSign('sha512').update(text).sign(ours.privateKey, 'base64url'),
      }),
  ],
  [
    'of our key, but another padding',
    () =>
      make({
        header: { alg: 'PS256' },
        signature: (text) =>
          createSign('sha256').update(text).sign({ key: ours.privateKey, padding: 6, saltLength: 32 }, 'base64url'),
      }),
  ],
  ['of another key under our kid', () => make({ key: theirs.privateKey })],
  ['of another key without kid', () => make({ key: theirs.privateKey, header: { kid: undefined } })],
  ['of another key under its own kid', () => make({ key: theirs.privateKey, header: { kid: 'theirs' } })],
  ['of our key under an unknown kid', () => make({ header: { kid: 'unknown' } })],
  ['with a kid that is no text', () => make({ header: { kid: { toString: 1 } } })],
  [
    'that brings its own key',
    () =>
      make({
        key: theirs.privateKey,
        header: { kid: undefined, jwk: createPublicKey(theirs.privateKey).export({ format: 'jwk' }) },
      }),
  ],
  ['without a signature', () => make({ signature: () => '' })],
  ['with an edited header', () => make({ header: { cty: 'JWT' }, signature: () => token.split('.')[2]! })],
  ['with edited claims', () => make({ claims: { sub: randomUUID() }, signature: () => token.split('.')[2]! })],
  ['that has expired', () => make({ claims: { exp: seconds() - 10 } }), 'expired_token'],
  ['that never expires', () => make({ claims: without('exp') })],
  ['that expires at a text', () => make({ claims: { exp: String(seconds() + 60) } })],
  [
    'that expires at infinity',
    () => make({ claims: JSON.stringify({ ...claims, exp: 0 }).replace('"exp":0', '"exp":1e999') }),
  ],
  ['that expires at null', () => make({ claims: { exp: null } })],
  ['without jti', () => make({ claims: without('jti') })],
  ['with a jti that is no uuid', () => make({ claims: { jti: 'session' } })],
  ['with a jti that is a list', () => make({ claims: { jti: [claims.jti] } })],
  ['without sub', () => make({ claims: without('sub') })],
  ['with a sub that is no uuid', () => make({ claims: { sub: 'ann' } })],
  ['with its sub in upper case', () => make({ claims: { sub: claims.sub.toUpperCase() } })],
  ['of another issuer', () => make({ claims: { iss: 'https://issuer.example' } })],
  ['of no issuer', () => make({ claims: without('iss') })],
  ['of several issuers', () => make({ claims: { iss: ['balados-sync'] } })],
  ['of tomorrow', () => make({ claims: { iat: seconds() + 86_400, exp: seconds() + 90_000 } })],
  ['that is not valid yet', () => make({ claims: { nbf: seconds() + 60 } })],
  ['with a device that is no text', () => make({ claims: { device_id: { a: 1 } } })],
  ['whose claims are a list', () => make({ claims: '[]' })],
  ['whose claims are null', () => make({ claims: 'null' })],
  ['whose claims are no JSON', () => make({ claims: 'claims' })],
  ["with another listener's session", () => make({ claims: { jti: othersSession } }), 'revoked_session'],
  ['with a session that never was', () => make({ claims: { jti: randomUUID() } }), 'revoked_session'],
  ["with another listener's name", () => make({ claims: { sub: randomUUID() } }), 'revoked_session'],
  ['of one part', () => token.split('.')[1]!],
  ['of four parts', () => `${token}.${token}`],
  ['of dots', () => '..'],
  ['of nothing but letters', () => 'garbage'],
  ['that is cut off', () => token.slice(0, -10)],
  ['that is too long', () => make({ claims: { device_name: 'x'.repeat(8_000) } })],
];

it.each(forged)('refuses a token %s', async (_what, forge, reason = 'invalid_token') => {
  const request = bearer(forge());
  await expect((async () => one.authenticate(request))()).rejects.toEqual(refused(reason));
  await expect((async () => one.authenticate(request))()).rejects.toEqual(refused(reason));
});

describe('the header', () => {
  it.each([
    ['in lower case', () => `bearer ${token}`],
    ['in upper case', () => `BEARER ${token}`],
    ['with more spaces', () => `Bearer   ${token} `],
  ])('may be %s', async (_what, words) => {
    expect(await authenticate(words())).toMatchObject({ userId: claims.sub });
  });

  it.each([
    ['empty', () => '', 'no_token'],
    ['of another scheme', () => `Basic ${token}`, 'no_token'],
    ['a bare token', () => token, 'no_token'],
    ['glued together', () => `Bearer${token}`, 'no_token'],
    ['without a token', () => 'Bearer', 'invalid_token'],
    ['two tokens', () => `Bearer ${token} ${token}`, 'invalid_token'],
    ['two schemes', () => `Bearer ${token}, Bearer ${token}`, 'invalid_token'],
    ['in quotes', () => `Bearer "${token}"`, 'invalid_token'],
    ['with a line end', () => `Bearer ${token}\n`, 'invalid_token'],
  ])('must not be %s', async (_what, words, reason) => {
    await expect(authenticate(words())).rejects.toEqual(refused(reason));
  });

  it('is the only place', async () => {
    const elsewhere = { url: `/?access_token=${token}`, query: { access_token: token }, body: { access_token: token } };
    const request = { ...elsewhere, headers: { authorization: undefined, cookie: `access_token=${token}` } };
    await expect((async () => one.authenticate(request))()).rejects.toEqual(refused('no_token'));
  });
});

describe('a token that is known by heart', () => {
  it('is answered at once', async () => {
    await one.authenticate(bearer(token));
    expect(one.authenticate(bearer(token))).toMatchObject({ userId: claims.sub });
  });

  it('is forgotten when it expires', async () => {
    await one.authenticate(bearer(token));
    jest.spyOn(Date, 'now').mockReturnValue((claims.exp + 5) * 1_000);
    await expect(authenticate(`Bearer ${token}`)).rejects.toEqual(refused('expired_token'));
    jest.spyOn(Date, 'now').mockReturnValue((claims.exp - 1) * 1_000);
    expect(await authenticate(`Bearer ${token}`)).toMatchObject({ userId: claims.sub });
  });
});

describe('without the sessions', () => {
  const unavailable = expect.objectContaining({ name: 'AccountsUnavailable' });
  const first = () => test.start({ JWT_PRIVATE_KEY: pem });

  it('no token is good, until they can be read again', async () => {
    const copy = await first();
    await test.dataSource.query('ALTER TABLE users.api_tokens RENAME TO hidden');
    try {
      await expect(copy.authenticate(bearer(token))).rejects.toEqual(unavailable);
    } finally {
      await test.dataSource.query('ALTER TABLE users.hidden RENAME TO api_tokens');
    }
    expect(await copy.authenticate(bearer(token))).toMatchObject({ userId: claims.sub });
  });

  it('nobody waits for a database that does not answer', async () => {
    const copy = await first();
    const locks = test.dataSource.createQueryRunner();
    await locks.startTransaction();
    await locks.query('LOCK TABLE users.api_tokens');
    const start = performance.now();
    const requests = [token, token, make()].map((each) => copy.authenticate(bearer(each)));
    for (const result of await Promise.allSettled(requests))
      expect(result).toMatchObject({ status: 'rejected', reason: unavailable });
    expect(performance.now() - start).toBeLessThan(3_000);
    await locks.rollbackTransaction();
    await locks.release();
    expect(await copy.authenticate(bearer(token))).toMatchObject({ userId: claims.sub });
  });

  it('no token is good when the database is gone', async () => {
    const copy = await first();
    await copy.dataSource.destroy();
    await expect(copy.authenticate(bearer(token))).rejects.toEqual(unavailable);
    await expect(copy.authenticate(bearer(make({ key: theirs.privateKey })))).rejects.toEqual(refused('invalid_token'));
  });
});
