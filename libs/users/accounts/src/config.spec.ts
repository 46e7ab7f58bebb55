import { accountsConfig, withOutsideIssuer } from './config';

const config = withOutsideIssuer(accountsConfig);
const whole = {
  JWKS_URI: 'https://issuer.example/keys',
  JWT_ISSUER: 'https://issuer.example/',
  JWT_AUDIENCE: 'balados',
};
const named = (environment: object): unknown[] =>
  config.safeParse(environment).error?.issues.map(({ path }) => path[0]) ?? [];

it('describes an outside issuer whole, or not at all', () => {
  expect(config.parse(whole)).toMatchObject(whole);
  expect(config.parse({})).not.toHaveProperty('JWKS_URI');
});

it.each(Object.keys(whole))('names %s when it alone is missing, and the others when it alone is there', (name) => {
  const others = Object.keys(whole).filter((each) => each !== name);
  expect(named({ ...whole, [name]: undefined })).toEqual([name]);
  expect(named({ [name]: whole[name as keyof typeof whole] })).toEqual(others);
});

it('names them beside whatever else is bad', () => {
  expect(named({ JWKS_URI: whole.JWKS_URI, ACCESS_TOKEN_TTL: '0' }).sort()).toEqual([
    'ACCESS_TOKEN_TTL',
    'JWT_AUDIENCE',
    'JWT_ISSUER',
  ]);
});

it.each(['ftp://issuer.example/', 'issuer.example', 'https://user:secret@issuer.example/keys', 'https://'])(
  'refuses keys at %s',
  (JWKS_URI) => expect(named({ ...whole, JWKS_URI })).toEqual(['JWKS_URI']),
);

it('does not take ourselves for an outside issuer', () => {
  expect(named({ ...whole, JWT_ISSUER: 'balados-sync' })).toEqual(['JWT_ISSUER']);
  expect(named({ ...whole, JWT_ISSUER_OWN: whole.JWT_ISSUER })).toEqual(['JWT_ISSUER']);
});
