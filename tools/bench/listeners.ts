import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { sign } from 'jsonwebtoken';
import { Client } from 'pg';

/** Someone with a session on one device. */
export interface Listener {
  userId: string;
  token: string;
}

const KEY_BITS = 2_048;
/** Longer than anything that is measured. */
const TOKEN_LIFETIME_SECONDS = 24 * 3_600;

/** The key that command-api signs with in this run: ours, so that thousands of listeners need no password hashed. */
export const signingKey = generateKeyPairSync('rsa', {
  modulusLength: KEY_BITS,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
}).privateKey;

/** Makes accounts with one session each, straight into the tables, and their access tokens. `base` is command-api's URL. */
export async function createListeners(databaseUrl: string, base: string, count: number): Promise<Listener[]> {
  const jwks = (await (await fetch(`${base}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] };
  const made = Array.from({ length: count }, () => ({ userId: randomUUID(), sessionId: randomUUID() }));
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const userIds = made.map(({ userId }) => userId);
    await client.query(
      `INSERT INTO users.accounts (user_id, username, username_key, password_hash)
       SELECT id, 'bench-' || id, 'bench-' || id, 'none' FROM unnest($1::uuid[]) AS id`,
      [userIds],
    );
    await client.query(
      `INSERT INTO users.api_tokens (id, user_id, kind, device_id, device_name, secret_hash, family_hash, expires_at)
       SELECT session, owner, 'session', 'phone', 'the phone', secret, family, now() + interval '1 day'
       FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[]) AS made (session, owner, secret, family)`,
      [
        made.map(({ sessionId }) => sessionId),
        userIds,
        made.map(() => randomBytes(32)),
        made.map(() => randomBytes(32)),
      ],
    );
  } finally {
    await client.end();
  }
  return made.map(({ userId, sessionId }) => ({
    userId,
    token: sign({ device_id: 'phone', device_name: 'the phone' }, signingKey, {
      algorithm: 'RS256',
      keyid: jwks.keys[0]!.kid,
      issuer: 'balados-sync',
      subject: userId,
      jwtid: sessionId,
      expiresIn: TOKEN_LIFETIME_SECONDS,
    }),
  }));
}
