import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import { accountsOnPostgres, bearer, password, phone, TestAccounts } from './testing';

const pemOf = (bits: number) =>
  generateKeyPairSync('rsa', { modulusLength: bits }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;

let test: TestAccounts;
beforeEach(async () => {
  test = await accountsOnPostgres();
});
afterEach(() => test.close());

it('is one key for copies that start at the same moment, and for all that come later', async () => {
  const [one, two, three] = await Promise.all([test.start(), test.start(), test.start()]);
  const late = await test.start();
  for (const { jwks } of [two, three, late]) expect(jwks).toEqual(one.jwks);

  const account = await one.accounts.create({ username: 'ann', password });
  const { accessToken } = await one.sessions.login({ username: 'ann', password, ...phone });
  expect(await late.authenticate(bearer(accessToken))).toMatchObject({ userId: account.userId });
  expect(await test.dataSource.query('SELECT kid FROM users.signing_keys')).toEqual([{ kid: one.jwks.keys[0]!.kid }]);
});

it('shows its public half and nothing else', async () => {
  const { jwks } = await test.start();
  expect(jwks.keys).toEqual([
    {
      kty: 'RSA',
      alg: 'RS256',
      use: 'sig',
      e: 'AQAB',
      n: expect.any(String),
      kid: expect.stringMatching(/^[\w-]{43}$/),
    },
  ]);
});

it('comes from the environment, line ends written either way, and leaves the table alone', async () => {
  const pem = pemOf(2_048);
  const one = await test.start({ JWT_PRIVATE_KEY: pem });
  const two = await test.start({ JWT_PRIVATE_KEY: pem.replaceAll('\n', '\\n') });
  expect(two.jwks).toEqual(one.jwks);
  expect(await test.dataSource.query('SELECT kid FROM users.signing_keys')).toEqual([]);
});

it('is replaced while copies run: the first signs, and all verify', async () => {
  const [old, fresh] = [pemOf(2_048), pemOf(2_048)];
  const before = await test.start({ JWT_PRIVATE_KEY: old });
  await before.accounts.create({ username: 'ann', password });
  const known = await test.start({ JWT_PRIVATE_KEY: old + fresh });
  const signing = await test.start({ JWT_PRIVATE_KEY: `${fresh}\n${old}`.replaceAll('\n', '\\n') });
  const after = await test.start({ JWT_PRIVATE_KEY: fresh });
  const kidOf = ({ jwks }: typeof before) => jwks.keys[0]!.kid;
  expect(known.jwks.keys).toEqual([before.jwks.keys[0], after.jwks.keys[0]]);
  expect(signing.jwks.keys).toEqual([after.jwks.keys[0], before.jwks.keys[0]]);
  expect(kidOf(before)).not.toBe(kidOf(after));

  const login = async (by: typeof before) =>
    bearer((await by.sessions.login({ username: 'ann', password, ...phone })).accessToken);
  const [bearers, user] = [
    await Promise.all([before, known, signing, after].map(login)),
    expect.objectContaining({ deviceId: phone.deviceId }),
  ];
  for (const each of bearers) for (const copy of [known, signing]) expect(await copy.authenticate(each)).toEqual(user);
  await expect(after.authenticate(bearers[0]!)).rejects.toMatchObject({ reason: 'invalid_token' });
  await expect(before.authenticate(bearers[2]!)).rejects.toMatchObject({ reason: 'invalid_token' });
});

it.each([
  ['too small', pemOf(1_024)],
  ['one of several too small', pemOf(2_048) + pemOf(1_024)],
  ['followed by other words', `${pemOf(2_048)}secret words`],
  ['no key', 'secret words'],
  [
    'of another kind',
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  ],
])('stops the start when it is %s, without a word of it', async (_what, pem) => {
  const error: Error = await test.start({ JWT_PRIVATE_KEY: pem }).then(
    () => Promise.reject(new Error('it started')),
    (reason: Error) => reason,
  );
  expect(error.message).toMatch(/^JWT_PRIVATE_KEY is not/);
  expect(inspect(error, { depth: null, showHidden: true })).not.toContain(pem.split('\n').at(1) ?? pem);
});

it('is in no error when it cannot be stored', async () => {
  await test.dataSource.query('ALTER TABLE users.signing_keys ADD CHECK (false)');
  const error: unknown = await test.start().catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: '23514' });
  expect(inspect(error, { depth: null, showHidden: true })).not.toContain('PRIVATE KEY');
});
