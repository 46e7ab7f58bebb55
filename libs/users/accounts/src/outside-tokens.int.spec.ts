import { createHmac, KeyObject, randomUUID } from 'node:crypto';
import { waitFor } from '@balados/testing';
import { OutsideIssuerServer } from './outside-issuer.fixture';
import { OUTSIDE_KEYS_FRESH_MS, OUTSIDE_KEYS_PAUSE_MS, OUTSIDE_KEYS_STALE_MS } from './outside-keys';
import { accountsOnPostgres, bearer, Instance, makeToken, password, pemOf, phone, rsaPair, seconds } from './testing';
import { TestAccounts } from './testing';

const ISSUER = 'https://issuer.example/';
const AUDIENCE = 'https://balados.example';
const [first, second, stranger] = [rsaPair(), rsaPair(), rsaPair()];
const jwk = (key: KeyObject, kid?: string) => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' });
const refused = (reason: string) => expect.objectContaining({ name: 'Unauthenticated', reason });
const unavailable = expect.objectContaining({ name: 'AccountsUnavailable' });

let test: TestAccounts;
let issuer: OutsideIssuerServer;
let one: Instance;

const start = () => test.start({ JWKS_URI: issuer.uri, JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE });

beforeAll(async () => {
  test = await accountsOnPostgres();
});
afterAll(() => test.close());
beforeEach(async () => {
  issuer = await new OutsideIssuerServer().start();
  issuer.publish([jwk(first.publicKey, 'first'), jwk(second.publicKey, 'second')]);
  one = await start();
});
afterEach(async () => {
  jest.restoreAllMocks();
  await issuer.stop();
});

interface Change {
  key?: KeyObject;
  header?: object;
  claims?: object;
  signature?: (text: string) => string;
}
const token = ({ key = first.privateKey, header, claims, signature }: Change = {}): string =>
  makeToken({
    key,
    header: { kid: 'first', ...header },
    claims: { iss: ISSUER, aud: AUDIENCE, sub: 'auth0|5f7c', jti: randomUUID(), exp: seconds() + 600, ...claims },
    signature,
  });
const authenticate = async (text: string, instance = one) => instance.authenticate(bearer(text));

it('knows a subject as one listener of ours, in every copy, also at first sight in all', async () => {
  const sub = `user|${randomUUID()}`;
  const copies = [one, await start(), await start()];
  const seen = await Promise.all(
    [...copies, ...copies].map((copy) => authenticate(token({ claims: { sub, device_name: 'Tablet' } }), copy)),
  );
  for (const listener of seen) expect(listener).toEqual(seen[0]);
  expect(seen[0]).toEqual({
    userId: expect.stringMatching(/^[\da-f-]{36}$/),
    sessionId: null,
    deviceId: null,
    deviceName: 'Tablet',
  });
  const { userId } = seen[0]!;
  expect(await one.accounts.find(userId)).toEqual({ userId, username: null, createdAt: expect.any(Date) });
  expect((await authenticate(token({ claims: { sub: `${sub}x` } }))).userId).not.toBe(userId);
});

it('takes the second key, an audience among several, and the only key without an id', async () => {
  expect(await authenticate(token({ key: second.privateKey, header: { kid: 'second' } }))).toMatchObject({});
  expect(await authenticate(token({ claims: { aud: ['others', AUDIENCE] } }))).toMatchObject({});
  issuer.publish([jwk(first.publicKey)]);
  expect(await authenticate(token({ header: { kid: undefined } }), await start())).toMatchObject({});
});

const forged: [string, () => string, string?][] = [
  ['of another audience', () => token({ claims: { aud: 'https://other.example' } })],
  ['of no audience', () => token({ claims: { aud: undefined } })],
  ['of a key that is not the issuer’s', () => token({ key: stranger.privateKey })],
  ['of one key under the other’s id', () => token({ key: second.privateKey })],
  ['of an unknown key', () => token({ header: { kid: 'third' } })],
  ['without kid, when there are two keys', () => token({ header: { kid: undefined } })],
  ['of a kid that is a list', () => token({ header: { kid: ['first'] } })],
  ['of a kid as long as a book', () => token({ header: { kid: 'x'.repeat(256) } })],
  ['of algorithm none', () => token({ header: { alg: 'none' }, signature: () => '' })],
  [
    'signed HS256 with the public key as the secret',
    () =>
      token({
        header: { alg: 'HS256' },
        signature: (text) => createHmac('sha256', pemOf(first.publicKey)).update(text).digest('base64url'),
      }),
  ],
  ['that has expired', () => token({ claims: { exp: seconds() - 10 } }), 'expired_token'],
  ['that never expires', () => token({ claims: { exp: undefined } })],
  ['that is not valid yet', () => token({ claims: { nbf: seconds() + 60 } })],
  ['without jti', () => token({ claims: { jti: undefined } })],
  ['without sub', () => token({ claims: { sub: undefined } })],
  ['with an empty sub', () => token({ claims: { sub: '' } })],
  ['with a sub with NUL', () => token({ claims: { sub: 'a\0b' } })],
  ['of an issuer with a slash less', () => token({ claims: { iss: ISSUER.slice(0, -1) } })],
  ['of no issuer', () => token({ claims: { iss: undefined } })],
  ['of two issuers', () => token({ claims: { iss: [ISSUER] } })],
  ['in our name', () => token({ claims: { iss: 'balados-sync' } })],
];
it.each(forged)('refuses a token %s', async (_what, forge, reason = 'invalid_token') => {
  await expect(authenticate(forge())).rejects.toEqual(refused(reason));
});

it('lets no issuer speak as another', async () => {
  const { userId } = await one.accounts.create({ username: `ann-${randomUUID()}`, password });
  const { kid } = await one.keys.register(userId, { name: 'player', publicKey: pemOf(stranger.publicKey) });
  const outside = await authenticate(token({ claims: { sub: 'outside' } }));
  const confused = [
    // A listener's key in the outside issuer's name, and the other way round.
    token({ key: stranger.privateKey, header: { kid }, claims: { sub: userId } }),
    token({ key: stranger.privateKey, header: { kid }, claims: { sub: outside.userId, iss: undefined } }),
    token({ claims: { sub: userId, iss: undefined } }),
    token({ header: { kid }, claims: { sub: userId, iss: undefined } }),
    // Either in ours.
    token({ key: stranger.privateKey, header: { kid }, claims: { sub: userId, iss: 'balados-sync' } }),
    token({ header: { kid: one.jwks.keys[0]!.kid }, claims: { sub: userId, iss: 'balados-sync' } }),
  ];
  for (const text of confused) await expect(authenticate(text)).rejects.toEqual(refused('invalid_token'));
  // A subject that is the id of a listener of ours is somebody else.
  expect((await authenticate(token({ claims: { sub: userId } }))).userId).not.toBe(userId);
  expect((await authenticate(token({ claims: { sub: outside.userId } }))).userId).not.toBe(outside.userId);
});

it('is nobody’s listener without an outside issuer', async () => {
  await expect(authenticate(token(), await test.start())).rejects.toEqual(refused('invalid_token'));
});

it('forgets a listener who was erased within five seconds: the subject is somebody new', async () => {
  const text = token({ claims: { sub: 'erased' } });
  const { userId } = await authenticate(text);
  await test.dataSource.query('DELETE FROM users.outside_listeners WHERE user_id = $1', [userId]);
  const isNew = async () => (await authenticate(text)).userId !== userId;
  await waitFor(isNew, { what: 'a new listener', timeoutMs: 5_000 });
});

describe('the keys of the issuer', () => {
  /** Lets the clock of the keys, and no other, run ahead. */
  const now = performance.now.bind(performance);
  const later = (milliseconds: number) => {
    jest.spyOn(performance, 'now').mockImplementation(() => now() + milliseconds);
  };

  it('are asked for once, however many tokens come', async () => {
    await Promise.all(Array.from({ length: 20 }, () => authenticate(token())));
    for (let round = 0; round < 5; round++) await authenticate(token());
    expect(issuer.requests).toBe(1);
  });

  it('are not asked for again by each invented id, and that keeps no known one out', async () => {
    await authenticate(token());
    later(OUTSIDE_KEYS_PAUSE_MS);
    const invented = Array.from({ length: 20 }, (_, index) => authenticate(token({ header: { kid: `kid-${index}` } })));
    for (const result of await Promise.allSettled(invented))
      expect(result).toMatchObject({ status: 'rejected', reason: refused('invalid_token') });
    expect(issuer.requests).toBe(2);
    expect(await authenticate(token())).toMatchObject({});
  });

  it('are learnt when a new one is used, and missed when they are withdrawn', async () => {
    await authenticate(token());
    const known = token();
    await authenticate(known);
    issuer.publish([jwk(stranger.publicKey, 'third')]);
    later(OUTSIDE_KEYS_PAUSE_MS);
    expect(await authenticate(token({ key: stranger.privateKey, header: { kid: 'third' } }))).toMatchObject({});
    await expect(authenticate(token())).rejects.toEqual(refused('invalid_token'));
    jest.spyOn(Date, 'now').mockReturnValue(Date.now() + OUTSIDE_KEYS_FRESH_MS);
    await expect(authenticate(known)).rejects.toEqual(refused('invalid_token'));
  });

  it.each<[string, () => unknown]>([
    ['fails', () => (issuer.answer = { status: 500, body: '' })],
    ['answers nonsense', () => (issuer.answer = { status: 200, body: '<html>' })],
    ['answers no list', () => (issuer.answer = { status: 200, body: '{"keys": 1}' })],
    ['answers no keys', () => issuer.publish([])],
    ['sends elsewhere', () => (issuer.answer = { status: 302, body: '' })],
    ['answers without end', () => (issuer.answer = { status: 200, body: `{"keys": [${' '.repeat(300_000)}]}` })],
    ['is away', () => issuer.stop()],
  ])('cannot be had when it %s: that is our trouble, not the token’s', async (_what, break_) => {
    await break_();
    await expect(authenticate(token())).rejects.toEqual(unavailable);
    issuer.publish([jwk(first.publicKey, 'first')]);
    await issuer.stop();
    await issuer.start();
    later(OUTSIDE_KEYS_PAUSE_MS);
    expect(await authenticate(token())).toMatchObject({});
  });

  it('hold up no token of our own while it is silent, and others for a few seconds, once', async () => {
    issuer.answer = undefined;
    const { username } = await one.accounts.create({ username: `bob-${randomUUID()}`, password });
    const { accessToken } = await one.sessions.login({ username, password, ...phone });
    const waiting = authenticate(token());
    const outcome = waiting.catch((error: unknown) => error);
    await waitFor(() => issuer.requests === 1, { what: 'the issuer to be asked' });
    const before = performance.now();
    expect(await authenticate(accessToken)).toMatchObject({ deviceId: phone.deviceId });
    expect(performance.now() - before).toBeLessThan(2_000);
    expect(await outcome).toEqual(unavailable);
    const again = performance.now();
    await expect(authenticate(token())).rejects.toEqual(unavailable);
    expect(performance.now() - again).toBeLessThan(2_000);
    expect(issuer.requests).toBe(1);
  });

  it('serve for an hour after the last answer, and no longer', async () => {
    await authenticate(token());
    await issuer.stop();
    later(OUTSIDE_KEYS_STALE_MS - 60_000);
    expect(await authenticate(token())).toMatchObject({});
    later(OUTSIDE_KEYS_STALE_MS + 60_000);
    await expect(authenticate(token())).rejects.toEqual(unavailable);
  });
});
