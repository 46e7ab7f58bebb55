import { Rights } from '@balados/platform-stores';

/** Role without login that may read whose token it is, and nothing else; a service's login is made a member of it. */
export const TOKEN_READER = 'balados_token_reader';

/** Role without login for who makes personal feeds: whose token it is, the subscriptions and the playlists, to read. */
export const FEED_READER = 'balados_feed_reader';

/** Role without login for the listener's API: reads all, writes what accounts are made of, and no read model. */
export const ACCOUNTS_WRITER = 'balados_accounts_writer';

/** Role without login for what goes by the clock: takes out what was erased or has ended, and reads no secret, nor its hash. */
export const USERS_CLEANER = 'balados_users_cleaner';

const READ_MODELS = [
  ...['subscriptions', 'play_statuses', 'saved_episodes', 'shared_episodes', 'playlists', 'playlist_items'],
  ...['user_privacy', 'listener_revisions'],
].map((table) => `users.${table}`);

const each = (tables: readonly string[], privileges: readonly string[]) =>
  Object.fromEntries(tables.map((table) => [table, privileges]));

const READ = ['SELECT'];
const KEEP = ['SELECT', 'INSERT', 'UPDATE'];
const TOKENS = 'SELECT (id, user_id, kind, secret_hash, revoked_at, last_used_at)';
/** To find rows and to delete them. To lock those, Postgres wants the right to change some column. */
const ofListener = (...more: string[]) => ['SELECT (user_id)', 'DELETE', ...more];

export const usersRights: Rights = {
  [TOKEN_READER]: { 'users.api_tokens': [TOKENS] },
  [FEED_READER]: {
    'users.api_tokens': [TOKENS],
    'users.subscriptions': ['SELECT (user_id, feed, subscribed_at, subscribed)'],
    'users.playlists': ['SELECT (user_id, playlist_id, name, description, deleted_at, item_order)'],
    'users.playlist_items': ['SELECT (user_id, playlist_id, item_id, feed, item, created_at, deleted_at)'],
  },
  [ACCOUNTS_WRITER]: {
    ...each(['users.migrations', ...READ_MODELS], READ),
    ...each(['users.accounts', 'users.outside_listeners'], KEEP),
    ...each(
      [
        ...['users.api_tokens', 'users.devices', 'users.feed_names', 'users.app_settings', 'users.login_flows'],
        ...['users.idempotency_keys', 'users.listener_keys', 'users.erasures'],
      ],
      [...KEEP, 'DELETE'],
    ),
    'users.feed_moves': READ,
    'users.signing_keys': ['SELECT', 'INSERT'],
  },
  [USERS_CLEANER]: {
    ...each(['users.migrations', 'users.projector_segments'], READ),
    ...each(READ_MODELS, ['SELECT', 'DELETE']),
    'users.listener_revisions': ['SELECT', 'UPDATE', 'DELETE'],
    'users.erasures': ['SELECT', 'UPDATE', 'DELETE'],
    'users.projector_interventions': ['SELECT (stream)', 'UPDATE (stream, reason)'],
    ...each(['users.accounts', 'users.devices', 'users.outside_listeners', 'users.listener_keys'], ofListener()),
    'users.feed_names': ofListener('SELECT (feed_id, told_at)'),
    'users.feed_moves': [...KEEP, 'DELETE'],
    'users.app_settings': ofListener('SELECT (subject, feed_id, episode_id, updated_at)'),
    'users.api_tokens': ofListener('SELECT (id, expires_at, revoked_at)', 'UPDATE (revoked_at)'),
    'users.idempotency_keys': ofListener('SELECT (key_hash, created_at)', 'UPDATE (created_at)'),
    'users.login_flows': ofListener('SELECT (created_at)'),
  },
};
