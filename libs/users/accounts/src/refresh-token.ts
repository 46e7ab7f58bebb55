import { createHash, createHmac, randomBytes } from 'node:crypto';

/** Random bytes of a secret. */
export const SECRET_BYTES = 32;
/** Random bytes of what all refresh tokens of one session begin with. */
export const FAMILY_BYTES = 16;

/**
 * `<family>.<secret>`. The family stays with the session, the secret is replaced at every use. Whoever shows a family with
 * another secret than the newest has, or had, a token of that session.
 */
export interface RefreshToken {
  family: string;
  secret: string;
}

const FORM = /^([\w-]{22})\.([\w-]{43})$/;

export const newRefreshToken = (): RefreshToken => ({
  family: randomBytes(FAMILY_BYTES).toString('base64url'),
  secret: randomBytes(SECRET_BYTES).toString('base64url'),
});

export function parseRefreshToken(text: string): RefreshToken | undefined {
  const [, family, secret] = FORM.exec(text) ?? [];
  return family && secret ? { family, secret } : undefined;
}

export const formatRefreshToken = ({ family, secret }: RefreshToken): string => `${family}.${secret}`;

export const newSalt = (): Buffer => randomBytes(SECRET_BYTES);

/**
 * The token after this one. It takes the token *and* the stored random salt to know it: a client that lost our answer asks
 * again and gets the same one, though we keep hashes only.
 */
export const nextRefreshToken = ({ family, secret }: RefreshToken, salt: Buffer): RefreshToken => ({
  family,
  secret: createHmac('sha256', salt).update(secret).digest('base64url'),
});

/** What is stored: the secrets are random, so a plain hash cannot be searched. */
export const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
