import { createHmac, createPublicKey, createSign, KeyObject, randomUUID } from 'node:crypto';
import { waitFor } from '@balados/testing';
import { KEY_TOKEN_MAX_SECONDS } from './key-tokens';
import { KEYS_PER_LISTENER, ListedKey } from './listener-keys';
import { accountsOnPostgres, bearer, Instance, makeToken, password, pemOf, phone, rsaPair, seconds } from './testing';
import { TestAccounts } from './testing';

const server = rsaPair();
const serverPem = server.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
const [annsPair, bobsPair, strangersPair] = [rsaPair(), rsaPair(), rsaPair()];
const refused = (reason: string) => expect.objectContaining({ name: 'Unauthenticated', reason });
const unavailable = expect.objectContaining({ name: 'AccountsUnavailable' });

let test: TestAccounts;
let one: Instance;
let two: Instance;
let ann: string;
let bob: string;
let annsKey: ListedKey;
let bobsKey: ListedKey;

beforeAll(async () => {
  test = await accountsOnPostgres();
  [one, two] = await Promise.all([
    test.start({ JWT_PRIVATE_KEY: serverPem }),
    test.start({ JWT_PRIVATE_KEY: serverPem }),
  ]);
  [ann, bob] = (await Promise.all(['ann', 'bob'].map(listener))) as [string, string];
  annsKey = await one.keys.register(ann, { name: 'player', publicKey: pemOf(annsPair.publicKey) });
  bobsKey = await one.keys.register(bob, { name: 'player', publicKey: pemOf(bobsPair.publicKey) });
});
afterAll(() => test.close());

const listener = async (username: string): Promise<string> =>
  (await one.accounts.create({ username, password })).userId;

interface Change {
  key?: KeyObject;
  header?: object;
  claims?: object;
  signature?: (text: string) => string;
}
/** Ann's token, signed with her key, unless it is changed. */
const token = ({ key = annsPair.privateKey, header, claims, signature }: Change = {}): string =>
  makeToken({
    key,
    header: { kid: annsKey.kid, ...header },
    claims: { sub: ann, jti: 'one of mine', exp: seconds() + 600, ...claims },
    signature,
  });
const authenticate = async (text: string, instance = one) => instance.authenticate(bearer(text));

it('lets the owner in, named by kid or found without', async () => {
  const self = { userId: ann, sessionId: null, deviceId: null, deviceName: null };
  expect(await authenticate(token())).toEqual(self);
  expect(await authenticate(token({ header: { kid: undefined } }), two)).toEqual(self);
  const device = { device_id: 'radio-1', device_name: 'Kitchen' };
  expect(await authenticate(token({ claims: { ...device, iss: 'a script of mine' } }))).toEqual({
    ...self,
    deviceId: 'radio-1',
    deviceName: 'Kitchen',
  });
  // Known by heart, there is nothing to wait for.
  const known = token();
  await authenticate(known);
  expect(one.authenticate(bearer(known))).toEqual(self);
});

const hs256 = (secret: string) => ({
  header: { alg: 'HS256' },
  signature: (text: string) => createHmac('sha256', secret).update(text).digest('base64url'),
});
const forged: [string, () => string, string?][] = [
  ['with algorithm none and no signature', () => token({ header: { alg: 'none' }, signature: () => '' })],
  ['with algorithm none and a signature', () => token({ header: { alg: 'none' } })],
  ['signed HS256 with the public key as the secret', () => token(hs256(annsKey.public_key))],
  [
    'signed HS256 with the public key, without kid',
    () => token({ ...hs256(annsKey.public_key), header: { alg: 'HS256', kid: undefined } }),
  ],
  [
    'of the key, but RS512',
    () =>
      token({
        header: { alg: 'RS512' },
        signature: (text) => createSign('sha512').update(text).sign(annsPair.privateKey, 'base64url'),
      }),
  ],
  ['without a signature', () => token({ signature: () => '' })],
  ['of an unregistered key under her kid', () => token({ key: strangersPair.privateKey })],
  ['of an unregistered key without kid', () => token({ key: strangersPair.privateKey, header: { kid: undefined } })],
  [
    'that brings its own key',
    () =>
      token({
        key: strangersPair.privateKey,
        header: { kid: undefined, jwk: strangersPair.publicKey.export({ format: 'jwk' }) },
      }),
  ],
  ["of another listener's key, under its kid", () => token({ key: bobsPair.privateKey, header: { kid: bobsKey.kid } })],
  ["of another listener's key, under her kid", () => token({ key: bobsPair.privateKey })],
  ["of another listener's key, without kid", () => token({ key: bobsPair.privateKey, header: { kid: undefined } })],
  ["of her key, under another listener's kid", () => token({ header: { kid: bobsKey.kid } })],
  ["of her key, in another listener's name", () => token({ claims: { sub: bob } })],
  [
    "of her key, in another listener's name and under his kid",
    () => token({ header: { kid: bobsKey.kid }, claims: { sub: bob } }),
  ],
  [
    "of her key, in another listener's name, without kid",
    () => token({ header: { kid: undefined }, claims: { sub: bob } }),
  ],
  ['of her key, in our name', () => token({ claims: { iss: 'balados-sync' } })],
  [
    "of her key, in our name and under our key's id",
    () => token({ header: { kid: one.jwks.keys[0]!.kid }, claims: { iss: 'balados-sync' } }),
  ],
  ['of our key, not in our name', () => token({ key: server.privateKey })],
  [
    'of our key, not in our name, under its id',
    () => token({ key: server.privateKey, header: { kid: one.jwks.keys[0]!.kid } }),
  ],
  ['of our key, not in our name, without kid', () => token({ key: server.privateKey, header: { kid: undefined } })],
  ['of an unknown kid', () => token({ header: { kid: randomUUID() } })],
  ['of kid null', () => token({ header: { kid: null } })],
  ['of a kid in upper case', () => token({ header: { kid: annsKey.kid.toUpperCase() } })],
  ['of a kid with SQL', () => token({ header: { kid: `${annsKey.kid}' OR '1'='1` } })],
  ['of a kid with a path', () => token({ header: { kid: '../../../../dev/null' } })],
  ['of a kid with NUL', () => token({ header: { kid: `${annsKey.kid}\0` } })],
  ['of a kid that is a list', () => token({ header: { kid: [annsKey.kid] } })],
  ['of a kid that is an object', () => token({ header: { kid: { $ne: '' } } })],
  ['with an extension that must be understood', () => token({ header: { crit: ['b64'], b64: false } })],
  ['that has expired', () => token({ claims: { exp: seconds() - 10 } }), 'expired_token'],
  [
    'that has expired, without kid',
    () => token({ header: { kid: undefined }, claims: { exp: seconds() - 10 } }),
    'expired_token',
  ],
  ['that never expires', () => token({ claims: { exp: undefined } })],
  ['that expires at a text', () => token({ claims: { exp: String(seconds() + 600) } })],
  ['that expires too late', () => token({ claims: { exp: seconds() + KEY_TOKEN_MAX_SECONDS + 60 } })],
  ['that is not valid yet', () => token({ claims: { nbf: seconds() + 60 } })],
  ['that is not valid yet, without kid', () => token({ header: { kid: undefined }, claims: { nbf: seconds() + 60 } })],
  ['of tomorrow', () => token({ claims: { iat: seconds() + 86_400, exp: seconds() + 90_000 } })],
  ['without jti', () => token({ claims: { jti: undefined } })],
  ['with an empty jti', () => token({ claims: { jti: '' } })],
  ['with a jti that is a number', () => token({ claims: { jti: 1 } })],
  ['without sub', () => token({ claims: { sub: undefined } })],
  ['with a sub that is a list', () => token({ claims: { sub: [ann] } })],
  ['with a sub of SQL', () => token({ header: { kid: undefined }, claims: { sub: "' OR 1=1 --" } })],
  ['with a device that is no text', () => token({ claims: { device_id: { a: 1 } } })],
  ['with a device of control characters', () => token({ claims: { device_name: 'a\nb' } })],
  ['with a device of 256 characters', () => token({ claims: { device_name: 'x'.repeat(256) } })],
  ['that is huge', () => token({ claims: { more: 'x'.repeat(8_192) } })],
  ['nested deep', () => makeToken({ key: annsPair.privateKey, claims: '['.repeat(3_000) })],
];

it.each(forged)('refuses a token %s, the first time and again', async (_what, forge, reason = 'invalid_token') => {
  const text = forge();
  await expect(authenticate(text)).rejects.toEqual(refused(reason));
  await expect(authenticate(text)).rejects.toEqual(refused(reason));
});

it('takes a token that expires as late as it may', async () => {
  const claims = { exp: seconds() + KEY_TOKEN_MAX_SECONDS - 60 };
  expect(await authenticate(token({ claims }))).toMatchObject({ userId: ann });
});

describe('a key', () => {
  it('is shown to its owner and to nobody else', async () => {
    expect(await one.keys.list(ann)).toEqual([{ ...annsKey, last_used_at: expect.any(String) }]);
    expect(annsKey).toEqual({
      kid: expect.stringMatching(/^[\da-f-]{36}$/),
      name: 'player',
      public_key: pemOf(annsPair.publicKey),
      created_at: expect.any(String),
      last_used_at: null,
    });
    expect(await one.keys.list(randomUUID())).toEqual([]);
  });

  it('sent again is the same one, under its newest name; of another listener it is another', async () => {
    const [userId, other] = [await listener('carla'), await listener('dora')];
    const publicKey = pemOf(rsaPair().publicKey);
    const first = await one.keys.register(userId, { name: 'old', publicKey });
    const second = await two.keys.register(userId, {
      name: 'new',
      publicKey: createPublicKey(publicKey).export({ format: 'jwk' }) as Record<string, unknown>,
    });
    expect(second).toEqual({ ...first, name: 'new' });
    expect(await one.keys.list(userId)).toEqual([second]);
    expect((await one.keys.register(other, { name: 'old', publicKey })).kid).not.toBe(first.kid);
  });

  it('is one of at most ten, also when they come at once, and all ten are tried', async () => {
    const userId = await listener('emil');
    const pairs = Array.from({ length: KEYS_PER_LISTENER + 2 }, rsaPair);
    const results = await Promise.allSettled(
      pairs.map(({ publicKey }, index) =>
        (index % 2 ? one : two).keys.register(userId, { name: `key ${index}`, publicKey: pemOf(publicKey) }),
      ),
    );
    const full = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    expect(full).toEqual(Array(2).fill(expect.objectContaining({ name: 'Refusal', code: 'keys_full' })));
    const registered = pairs.filter((_pair, index) => results[index]!.status === 'fulfilled');
    for (const { privateKey: key } of registered) {
      const text = makeToken({ key, claims: { sub: userId, jti: 'x', exp: seconds() + 60 } });
      expect(await authenticate(text)).toMatchObject({ userId });
    }
    const publicKey = pemOf(registered[0]!.publicKey);
    expect(await one.keys.register(userId, { name: 'again', publicKey })).toMatchObject({ name: 'again' });
  });

  it('works at once where nobody has heard of it, though its tokens were refused just before', async () => {
    const userId = await listener('fritz');
    const pair = rsaPair();
    const text = makeToken({ key: pair.privateKey, claims: { sub: userId, jti: 'x', exp: seconds() + 60 } });
    await expect(authenticate(text, two)).rejects.toEqual(refused('invalid_token'));
    await one.keys.register(userId, { name: 'late', publicKey: pemOf(pair.publicKey) });
    expect(await authenticate(text, two)).toMatchObject({ userId });
  });

  it('that nobody can remove but its owner is worth nothing once it is: here at once, elsewhere within five seconds', async () => {
    const userId = await listener('greta');
    const pair = rsaPair();
    const { kid } = await one.keys.register(userId, { name: 'short-lived', publicKey: pemOf(pair.publicKey) });
    const claims = { sub: userId, jti: 'x', exp: seconds() + 60 };
    const texts = [{ kid }, {}].map((header) => makeToken({ key: pair.privateKey, header, claims }));
    for (const text of texts) {
      expect(await authenticate(text)).toMatchObject({ userId });
      expect(await authenticate(text, two)).toMatchObject({ userId });
    }
    const unknown = expect.objectContaining({ name: 'Refusal', code: 'key_unknown' });
    const strangers = await Promise.allSettled([one.keys.remove(ann, kid), one.keys.remove(ann, randomUUID())]);
    expect(strangers.map((result) => result.status === 'rejected' && result.reason)).toEqual([unknown, unknown]);
    expect(await authenticate(texts[0]!)).toMatchObject({ userId });

    await one.keys.remove(userId, kid);
    const start = performance.now();
    for (const text of texts) await expect(authenticate(text)).rejects.toEqual(refused('invalid_token'));
    const gone = () =>
      Promise.all(
        texts.map((text) =>
          authenticate(text, two).then(
            () => false,
            () => true,
          ),
        ),
      );
    await waitFor(async () => (await gone()).every(Boolean), { what: 'the other copy to miss it', timeoutMs: 6_000 });
    expect(performance.now() - start).toBeLessThan(5_000);
    await expect(one.keys.remove(userId, kid)).rejects.toEqual(unknown);
  });

  it('goes with the account', async () => {
    const userId = await listener('hans');
    const pair = rsaPair();
    const { kid } = await one.keys.register(userId, { name: 'orphan', publicKey: pemOf(pair.publicKey) });
    const claims = { sub: userId, jti: 'x', exp: seconds() + 60 };
    const text = makeToken({ key: pair.privateKey, header: { kid }, claims });
    expect(await authenticate(text)).toMatchObject({ userId });
    await test.dataSource.query('DELETE FROM users.accounts WHERE user_id = $1', [userId]);
    const isRefused = () =>
      authenticate(text).then(
        () => false,
        () => true,
      );
    await waitFor(isRefused, { what: 'the key to be missed', timeoutMs: 5_000 });
  });

  it('is not there for a listener without an account', async () => {
    const publicKey = pemOf(rsaPair().publicKey);
    await expect(one.keys.register(randomUUID(), { name: 'x', publicKey })).rejects.toEqual(refused('revoked_session'));
  });
});

it('cannot be checked without the table, and tokens of our own do not mind', async () => {
  const copy = await test.start({ JWT_PRIVATE_KEY: serverPem });
  const login = await one.sessions.login({ username: 'ann', password, ...phone });
  await test.dataSource.query('ALTER TABLE users.listener_keys RENAME TO hidden');
  try {
    await expect(authenticate(token(), copy)).rejects.toEqual(unavailable);
    await expect(authenticate(token({ header: { kid: undefined } }), copy)).rejects.toEqual(unavailable);
    expect(await authenticate(login.accessToken, copy)).toMatchObject({ userId: ann });
  } finally {
    await test.dataSource.query('ALTER TABLE users.hidden RENAME TO listener_keys');
  }
  expect(await authenticate(token(), copy)).toMatchObject({ userId: ann });
});
