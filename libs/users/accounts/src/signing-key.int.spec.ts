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

it.each([
  ['too small', pemOf(1_024)],
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
