import { Sql } from '@balados/platform-stores';

/** A session, personal token or app's password as its owner may have it: without secrets and their hashes. Times as RFC 3339. */
export interface TokenRecord {
  id: string;
  kind: 'session' | 'personal' | 'app';
  name: string | null;
  device_id: string | null;
  device_name: string | null;
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
  revoked_at: string | null;
}

/** All that the tables of this room hold of a listener. */
export interface AccountRecords {
  account: {
    user_id: string;
    username: string | null;
    /** Of whom an outside issuer vouches for: who they are there. */
    issuer: string | null;
    subject: string | null;
    created_at: string;
  };
  tokens: TokenRecord[];
  keys: { kid: string; name: string; public_key: string; created_at: string; last_used_at: string | null }[];
  devices: { device_id: string; caption: string; type: string; seen_at: string }[];
  /** By which address an app knows a feed that is kept under another one. */
  feed_names: { client: string; feed: string; known_as: string }[];
  /** What apps keep with us: of the account, a device, a podcast or an episode, by addresses. */
  app_settings: {
    scope: string;
    device_id: string | null;
    podcast: string | null;
    episode: string | null;
    key: string;
    value: unknown;
    updated_at: string;
  }[];
  /** What was granted to apps that have not fetched it yet. */
  login_flows: { client: string; created_at: string }[];
  /** What writes with an `Idempotency-Key` were answered, as far as it is still known. */
  idempotent_answers: { answer: unknown; created_at: string }[];
}

const TIME = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
const rfc3339 = (column: string): string => `to_char(${column} AT TIME ZONE 'UTC', ${TIME}) AS ${column}`;

/** Sessions that ended are there until they are purged. Undefined for who has no account. */
export async function accountRecords(sql: Sql, userId: string): Promise<AccountRecords | undefined> {
  const [[account], tokens, keys, devices, names, settings, flows, answers] = await Promise.all([
    sql.query<AccountRecords['account'][]>(
      `SELECT user_id, username, NULL AS issuer, NULL AS subject, ${rfc3339('created_at')}
       FROM users.accounts WHERE user_id = $1
       UNION ALL SELECT user_id, NULL, issuer, subject, ${rfc3339('created_at')}
       FROM users.outside_listeners WHERE user_id = $1`,
      [userId],
    ),
    sql.query<TokenRecord[]>(
      `SELECT id, kind, name, device_id, device_name, ${rfc3339('created_at')}, ${rfc3339('last_used_at')},
         ${rfc3339('expires_at')}, ${rfc3339('revoked_at')}
       FROM users.api_tokens WHERE user_id = $1 ORDER BY api_tokens.created_at, id`,
      [userId],
    ),
    sql.query<AccountRecords['keys']>(
      `SELECT kid, name, public_key, ${rfc3339('created_at')}, ${rfc3339('last_used_at')}
       FROM users.listener_keys WHERE user_id = $1 ORDER BY listener_keys.created_at, kid`,
      [userId],
    ),
    sql.query<AccountRecords['devices']>(
      `SELECT device_id, caption, type, ${rfc3339('seen_at')} FROM users.devices WHERE user_id = $1 ORDER BY device_id`,
      [userId],
    ),
    sql.query<AccountRecords['feed_names']>(
      'SELECT client, feed, known_as FROM users.feed_names WHERE user_id = $1 ORDER BY client, feed',
      [userId],
    ),
    sql.query<AccountRecords['app_settings']>(
      `SELECT scope, CASE scope WHEN 'device' THEN subject END AS device_id, feed AS podcast, enclosure AS episode, key, value,
         ${rfc3339('updated_at')}
       FROM users.app_settings WHERE user_id = $1 ORDER BY scope, subject, key`,
      [userId],
    ),
    sql.query<AccountRecords['login_flows']>(
      `SELECT client, ${rfc3339('created_at')} FROM users.login_flows WHERE user_id = $1 ORDER BY login_flows.created_at`,
      [userId],
    ),
    sql.query<AccountRecords['idempotent_answers']>(
      `SELECT answer, ${rfc3339('created_at')} FROM users.idempotency_keys
       WHERE user_id = $1 AND answer IS NOT NULL ORDER BY idempotency_keys.created_at`,
      [userId],
    ),
  ]);
  const ofApps = { devices, feed_names: names, app_settings: settings, login_flows: flows };
  return account && { account, tokens, keys, ...ofApps, idempotent_answers: answers };
}
