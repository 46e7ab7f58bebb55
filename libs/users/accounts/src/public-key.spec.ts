import { createPublicKey, generateKeyPairSync, KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import { PEM_MAX_LENGTH, readPublicKey } from './public-key';

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const small = generateKeyPairSync('rsa', { modulusLength: 1_024 });
const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2_048 });

const spki = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }) as string;
const pkcs1 = (key: KeyObject): string => key.export({ type: 'pkcs1', format: 'pem' }) as string;
const jwk = publicKey.export({ format: 'jwk' }) as { kty: string; n: string; e: string };
const secretJwk = privateKey.export({ format: 'jwk' }) as Record<string, unknown>;
const ofBytes = (length: number): string => Buffer.alloc(length, 0xff).toString('base64url');

it.each([
  ['SPKI in PEM', spki(publicKey)],
  ['PKCS #1 in PEM', pkcs1(publicKey)],
  ['PEM with other line ends and white space around', `\n ${spki(publicKey).replaceAll('\n', '\r\n')} \n`],
  ['a JWK', jwk],
  ['a JWK with further members', { ...jwk, kid: 'mine', alg: 'RS256', use: 'sig' }],
])('reads a public key as %s, and it is the same key', (_form, sent) => {
  const { pem, thumbprint } = readPublicKey(sent);
  expect(pem).toBe(spki(publicKey));
  expect(thumbprint).toEqual(readPublicKey(jwk).thumbprint);
  expect(thumbprint).toHaveLength(32);
});

it.each<[string, string | Record<string, unknown>]>([
  ['PKCS #8', privateKey.export({ type: 'pkcs8', format: 'pem' }) as string],
  ['PKCS #1', pkcs1(privateKey)],
  [
    'under a passphrase',
    privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes128', passphrase: 'x' }) as string,
  ],
  ['behind the public half', `${spki(publicKey)}${pkcs1(privateKey)}`],
  ['in a JWK', secretJwk],
  ...['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].map((member): [string, Record<string, unknown>] => [
    `of which a JWK holds ${member} alone`,
    { ...jwk, [member]: secretJwk[member] ?? 'secret' },
  ]),
])('knows a private key that was sent by mistake: %s', (_form, sent) => {
  const error = thrown(() => readPublicKey(sent));
  expect(error).toMatchObject({ name: 'Refusal', code: 'private_key_sent' });
  expect(inspect(error, { depth: null, showHidden: true })).not.toContain(String(secretJwk.d).slice(0, 40));
});

it.each<[string, string | Record<string, unknown>]>([
  ['nothing', ''],
  ['no key', 'ssh-rsa AAAAB3NzaC1yc2E'],
  ['too small', spki(small.publicKey)],
  ['of a curve', spki(curve.publicKey)],
  ['of a curve, in a JWK', curve.publicKey.export({ format: 'jwk' }) as Record<string, unknown>],
  ['for RSA-PSS only', spki(pss.publicKey)],
  ['two keys', spki(publicKey).repeat(2)],
  ['a certificate', spki(publicKey).replaceAll('PUBLIC KEY', 'CERTIFICATE')],
  ['labelled as another form', spki(publicKey).replaceAll('PUBLIC', 'RSA PUBLIC')],
  ['half labelled', pkcs1(publicKey).replace('END RSA', 'END')],
  ['cut off', spki(publicKey).replace(/\n.{40}/, '\n')],
  ['endless', spki(publicKey).replace('\n', '\n'.repeat(PEM_MAX_LENGTH))],
  ['a JWK without modulus', { kty: 'RSA', e: jwk.e }],
  ['a JWK whose modulus is no text', { ...jwk, n: 1 }],
  ['a JWK of nothing', {}],
  ['a JWK too large', { ...jwk, n: ofBytes(513) }],
  ['a JWK too large by far', { ...jwk, n: ofBytes(100_000) }],
  ['a JWK of exponent 1', { ...jwk, e: 'AQ' }],
  ['a JWK of exponent 3', { ...jwk, e: 'Aw' }],
  ['a JWK of an even exponent', { ...jwk, e: 'AQAC' }],
  ['a JWK whose exponent makes work', { ...jwk, e: ofBytes(256) }],
])('refuses what is %s', (_what, sent) => {
  expect(thrown(() => readPublicKey(sent))).toMatchObject({ name: 'Refusal', code: 'invalid_public_key' });
});

it('takes the largest key that it says', () => {
  const modulus = Buffer.alloc(512, 0xab).toString('base64url');
  const { pem } = readPublicKey({ ...jwk, n: modulus });
  expect(createPublicKey(pem).asymmetricKeyDetails).toEqual({ modulusLength: 4_096, publicExponent: 65_537n });
});

function thrown(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
