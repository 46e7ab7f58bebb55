import { createHash, createPublicKey, KeyObject } from 'node:crypto';
import { Refusal } from '@balados/event-sourcing';

/** Bits of a key that a listener may register. The upper bound is for our sake: a signature of 4,096 bits takes 0.2 ms to check. */
export const KEY_MIN_BITS = 2_048;
export const KEY_MAX_BITS = 4_096;
/** The usual exponent, and the largest: the work of a check grows with it, up to a hundredfold. */
export const EXPONENT_MIN = 65_537n;
export const EXPONENT_MAX = 2n ** 32n;
/** Longest text of a key in PEM, in characters; 4,096 bits take 800. */
export const PEM_MAX_LENGTH = 8_192;

/** Members of a JWK that only the private half, or a shared secret, has (RFC 7518, 6.3.2 and 6.4.1). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
const PUBLIC_PEM = /^\s*-----BEGIN (RSA )?PUBLIC KEY-----[\sA-Za-z\d+/=]+-----END \1PUBLIC KEY-----\s*$/;

export interface ListenersKey {
  /** SPKI in PEM: the same key is the same text, however it was sent. */
  pem: string;
  /** SHA-256 of the SPKI. */
  thumbprint: Buffer;
}

const invalid = (why: string): Refusal =>
  new Refusal(
    'invalid_public_key',
    `public_key ${why}; wanted is an RSA key of ${KEY_MIN_BITS} to ${KEY_MAX_BITS} bits, in PEM or as a JWK.`,
  );

/** Reads PEM (SPKI or PKCS #1) or a JWK. What was sent is in no error. @throws Refusal `private_key_sent`, `invalid_public_key` */
export function readPublicKey(sent: string | Record<string, unknown>): ListenersKey {
  const key = typeof sent === 'string' ? fromPem(sent) : fromJwk(sent);
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType !== 'rsa') throw invalid('is not an RSA key');
  if (modulusLength < KEY_MIN_BITS || modulusLength > KEY_MAX_BITS) throw invalid(`has ${modulusLength} bits`);
  if (publicExponent < EXPONENT_MIN || publicExponent > EXPONENT_MAX || publicExponent % 2n === 0n)
    throw invalid('has an unusual exponent');
  const spki = key.export({ type: 'spki', format: 'der' });
  return {
    pem: key.export({ type: 'spki', format: 'pem' }) as string,
    thumbprint: createHash('sha256').update(spki).digest(),
  };
}

function fromPem(text: string): KeyObject {
  if (/PRIVATE KEY/i.test(text)) throw privateKeySent();
  if (text.length > PEM_MAX_LENGTH || !PUBLIC_PEM.test(text)) throw invalid('is not one public key in PEM');
  return read(() => createPublicKey({ key: text.trim(), format: 'pem' }));
}

function fromJwk(jwk: Record<string, unknown>): KeyObject {
  if (PRIVATE_MEMBERS.some((member) => member in jwk)) throw privateKeySent();
  const { kty, n, e } = jwk;
  if (kty !== 'RSA' || typeof n !== 'string' || typeof e !== 'string' || n.length + e.length > PEM_MAX_LENGTH)
    throw invalid('is not an RSA key');
  return read(() => createPublicKey({ key: { kty, n, e }, format: 'jwk' }));
}

function read(make: () => KeyObject): KeyObject {
  try {
    return make();
  } catch {
    throw invalid('cannot be read');
  }
}

const privateKeySent = (): Refusal =>
  new Refusal(
    'private_key_sent',
    'public_key holds a private key. It was not stored; but it has travelled, so make a new pair and send its public half.',
  );
