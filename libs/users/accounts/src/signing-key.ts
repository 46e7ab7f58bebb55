import { createHash, createPrivateKey, createPublicKey, generateKeyPair, KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { SigningKeyRow } from '@balados/users-schema';
import { DataSource } from 'typeorm';
import { withoutSecrets } from './errors';

/** Bits of the key that we make, and the least that we take. */
export const RSA_BITS = 2_048;
const PURPOSE = 'access tokens';

/** The public half, as `/.well-known/jwks.json` shows it. */
export interface PublicJwk {
  kty: 'RSA';
  n: string;
  e: string;
  kid: string;
  alg: 'RS256';
  use: 'sig';
}

export interface SigningKey {
  kid: string;
  /** Prints as nothing, wherever it is logged. */
  privateKey: KeyObject;
  publicJwk: PublicJwk;
}

/** The first signs, all verify: so a key is replaced while several copies run, by being first nowhere before it is known everywhere. */
export type SigningKeys = readonly [SigningKey, ...SigningKey[]];

const BLOCK = /-----BEGIN [^-]+-----[^-]*-----END [^-]+-----/g;

/**
 * The keys of access tokens: those of the environment (PEM, one after the other; `\n` may stand for line ends), or else the one that
 * the first copy to need it has made. @throws Error for what is no RSA key of RSA_BITS or more; the text is not repeated
 */
export async function loadSigningKeys(dataSource: DataSource, pem?: string): Promise<SigningKeys> {
  if (pem !== undefined) return readKeys(pem.replaceAll('\\n', '\n'));
  const rows = dataSource.getRepository(SigningKeyRow);
  const made = (await rows.findOneBy({ purpose: PURPOSE })) ?? (await makeKey(dataSource));
  return [readKey(made.privateKey)];
}

function readKeys(pem: string): SigningKeys {
  const [first, ...others] = pem.match(BLOCK) ?? [];
  if (first === undefined || pem.replaceAll(BLOCK, '').trim() !== '')
    throw new Error('JWT_PRIVATE_KEY is not a private key in PEM, or several one after the other');
  return [readKey(first), ...others.map(readKey)];
}

/** Copies that start together each make one; the first row stands, and all take that. */
async function makeKey(dataSource: DataSource): Promise<SigningKeyRow> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: RSA_BITS });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  await withoutSecrets(
    dataSource.query(
      `INSERT INTO users.signing_keys (purpose, kid, private_key) VALUES ($1, $2, $3) ON CONFLICT (purpose) DO NOTHING`,
      [PURPOSE, readKey(pem).kid, pem],
    ),
  );
  return dataSource.getRepository(SigningKeyRow).findOneByOrFail({ purpose: PURPOSE });
}

function readKey(pem: string): SigningKey {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch {
    throw new Error('JWT_PRIVATE_KEY is not a private key in PEM');
  }
  const bits = privateKey.asymmetricKeyDetails?.modulusLength ?? 0;
  if (privateKey.asymmetricKeyType !== 'rsa' || bits < RSA_BITS)
    throw new Error(`JWT_PRIVATE_KEY is not an RSA key of at least ${RSA_BITS} bits`);
  const { n, e } = createPublicKey(privateKey).export({ format: 'jwk' }) as { n: string; e: string };
  const kid = thumbprint({ n, e });
  return { kid, privateKey, publicJwk: { kty: 'RSA', n, e, kid, alg: 'RS256', use: 'sig' } };
}

/** RFC 7638: the same key has the same id in every copy. */
const thumbprint = ({ n, e }: { n: string; e: string }): string =>
  createHash('sha256')
    .update(JSON.stringify({ e, kty: 'RSA', n }))
    .digest('base64url');
