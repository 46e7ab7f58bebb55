import { KeyObject, randomBytes } from 'node:crypto';
import { LINK_KEY_MIN_BYTES, linkKeys } from '@balados/feeds-ids';
import { Client } from 'pg';

const PURPOSE = 'play links';

/** The key of play links when the environment names none: made once, and kept where the key of access tokens is. */
export async function loadLinkKeys(usersDatabaseUrl: string): Promise<KeyObject[]> {
  const client = new Client({ connectionString: usersDatabaseUrl });
  await client.connect();
  try {
    const [id, key] = [randomBytes(16), randomBytes(LINK_KEY_MIN_BYTES)].map((bytes) => bytes.toString('base64url'));
    // Of two that are started together the first one's stands.
    await client.query(
      `INSERT INTO users.signing_keys (purpose, kid, private_key) VALUES ($1, $2, $3) ON CONFLICT (purpose) DO NOTHING`,
      [PURPOSE, id, key],
    );
    const { rows } = await client.query<{ private_key: string }>(
      'SELECT private_key FROM users.signing_keys WHERE purpose = $1',
      [PURPOSE],
    );
    return linkKeys.parse(rows[0]!.private_key);
  } finally {
    await client.end();
  }
}
