import { randomBytes } from 'node:crypto';
import { APP_ROUTES, pathOf } from './app-routes';
import { base64, base64Url, Credentials, Device } from './client';

/** What a listener might know of another, or guess: ids, names, addresses, tokens. As long as what exists nowhere. */
export interface Target {
  userId: string;
  username: string;
  password: string;
  feed: string;
  item: string;
  playlistId: string;
  itemId: string;
  /** Of a session, a personal token, and a key. */
  sessionId: string;
  tokenId: string;
  kid: string;
  publicKey: string;
  syncToken: string;
  idempotencyKey: string;
  /** What may be mistaken for a refresh token. */
  personalToken: string;
  accessToken: string;
  /** Of a podcast app. */
  deviceId: string;
}

export interface Sent {
  method: string;
  /** Below /api/v1, unless it is of a podcast app, which says itself who it is. */
  path: string;
  isOfApp?: true;
  /** Text is sent as it is. */
  body?: unknown;
  headers?: Record<string, string>;
}
/** Requests by which `me` reaches for what is the target's, on one route. */
export type Probe = (target: Target, me: Me) => Sent[];
/** The one who reaches, with something of their own. */
export interface Me {
  credentials: Credentials;
  device: Device;
  playlistId: string;
}

const ofEpisode =
  (path: string, method: string, body?: unknown): Probe =>
  ({ item, feed }) => [
    { method, path: path.replace('{item}', base64Url(item)), body },
    { method, path: `${path.replace('{item}', base64Url(item))}?feed=${base64Url(feed)}`, body },
  ];
/** A route that names nobody: it must not take the listener from elsewhere than the token. */
const ofNobody =
  (method: string, path: string, query: (target: Target) => string = () => ''): Probe =>
  (target) => [
    { method, path: `${path}?user_id=${target.userId}${query(target)}`, headers: { 'x-user-id': target.userId } },
  ];
const byFeed = ({ feed }: Target): string => `&feed=${base64Url(feed)}`;
const playlistOf = ({ playlistId }: Target): string => `/playlists/${playlistId}`;

/** Of each route, how one might reach for what is another’s there. */
export const PROBES: Record<string, Probe> = {
  'get /account': ofNobody('GET', '/account'),
  'get /account/export': ofNobody('GET', '/account/export'),
  'delete /account': ({ password, userId }) => [
    { method: 'DELETE', path: `/account?user_id=${userId}`, body: { password } },
    { method: 'DELETE', path: '/account', body: { password, user_id: userId } },
  ],
  'delete /history': ({ userId, feed, item }) => [
    { method: 'DELETE', path: `/history?item=${base64Url(item)}` },
    { method: 'DELETE', path: `/history?feed=${base64Url(feed)}&item=${base64Url(item)}` },
    { method: 'DELETE', path: `/history?user_id=${userId}` },
    { method: 'DELETE', path: '/history', headers: { 'x-user-id': userId } },
  ],
  'put /account/password': ({ password }) => [
    { method: 'PUT', path: '/account/password', body: { password, new_password: 'another sentence of mine' } },
  ],
  // Which names are taken, and which keys were used for an account, is told to whoever guesses them; see below.
  'post /accounts': ({ idempotencyKey }) => [
    {
      method: 'POST',
      path: '/accounts',
      body: { username: `listener-${randomBytes(6).toString('hex')}`, password: 'a long sentence of mine' },
      headers: { 'idempotency-key': idempotencyKey },
    },
  ],
  'post /auth/login': ({ username }) => [
    { method: 'POST', path: '/auth/login', body: { username, password: 'not the password', device_id: 'phone' } },
  ],
  'post /auth/refresh': (target) =>
    [target.sessionId, target.tokenId, target.personalToken, target.accessToken].map((refresh_token) => ({
      method: 'POST',
      path: '/auth/refresh',
      body: { refresh_token },
    })),
  'post /auth/logout': ({ sessionId }) => [{ method: 'POST', path: '/auth/logout', body: { session_id: sessionId } }],
  'post /tokens': ({ idempotencyKey }) => [
    { method: 'POST', path: '/tokens', body: { name: 'mine' }, headers: { 'idempotency-key': idempotencyKey } },
  ],
  'get /tokens': ofNobody('GET', '/tokens'),
  'delete /tokens/{id}': ({ tokenId, sessionId }) =>
    [tokenId, sessionId].map((id) => ({ method: 'DELETE', path: `/tokens/${id}` })),
  'post /keys': ({ publicKey, idempotencyKey }) => [
    {
      method: 'POST',
      path: '/keys',
      body: { name: 'mine', public_key: publicKey },
      headers: { 'idempotency-key': idempotencyKey },
    },
  ],
  'get /keys': ofNobody('GET', '/keys'),
  'delete /keys/{kid}': ({ kid }) => [{ method: 'DELETE', path: `/keys/${kid}` }],
  'post /subscriptions': ({ feed }) => [
    { method: 'POST', path: '/subscriptions', body: { rss_source_feed: base64(feed) } },
  ],
  'get /subscriptions': ofNobody('GET', '/subscriptions'),
  'delete /subscriptions/{feed}': ({ feed }) => [{ method: 'DELETE', path: `/subscriptions/${base64Url(feed)}` }],
  'get /opml': ofNobody('GET', '/opml'),
  'post /opml': ({ feed, userId }) => [
    {
      method: 'POST',
      path: `/opml?user_id=${userId}`,
      body: `<opml><head><ownerId>${userId}</ownerId></head><body><outline xmlUrl="${feed}"/></body></opml>`,
      headers: { 'content-type': 'text/x-opml' },
    },
  ],
  'get /events': (target, me) => [
    ...ofNobody('GET', '/events')(target, me),
    { method: 'GET', path: `/events?since=${target.syncToken}` },
    { method: 'GET', path: '/events', headers: { 'last-event-id': target.syncToken } },
  ],
  'post /play': ({ feed, item }) => [
    {
      method: 'POST',
      path: '/play',
      body: { rss_source_feed: base64(feed), rss_source_item: base64(item), position: 1, played: false },
    },
  ],
  'get /play': ofNobody('GET', '/play', byFeed),
  'put /play/{item}/position': ofEpisode('/play/{item}/position', 'PUT', { position: 7 }),
  'post /episodes/{item}/save': ofEpisode('/episodes/{item}/save', 'POST'),
  'delete /episodes/{item}/save': ofEpisode('/episodes/{item}/save', 'DELETE'),
  'post /episodes/{item}/share': ofEpisode('/episodes/{item}/share', 'POST'),
  'get /episodes/saved': ofNobody('GET', '/episodes/saved', byFeed),
  'get /playlists': ofNobody('GET', '/playlists'),
  'post /playlists': ({ playlistId }) => [
    { method: 'POST', path: '/playlists', body: { id: playlistId, name: 'mine' } },
  ],
  'get /playlists/{id}': (target) => [{ method: 'GET', path: playlistOf(target) }],
  'patch /playlists/{id}': (target) => [{ method: 'PATCH', path: playlistOf(target), body: { name: 'mine' } }],
  'delete /playlists/{id}': (target) => [{ method: 'DELETE', path: playlistOf(target) }],
  'post /playlists/{id}/items': (target) => [
    {
      method: 'POST',
      path: `${playlistOf(target)}/items`,
      body: { rss_source_feed: base64(target.feed), rss_source_item: base64(target.item) },
    },
  ],
  'delete /playlists/{id}/items/{item_id}': (target, me) =>
    [target.playlistId, me.playlistId].map((id) => ({
      method: 'DELETE',
      path: `/playlists/${id}/items/${target.itemId}`,
    })),
  'put /playlists/{id}/order': (target, me) =>
    [target.playlistId, me.playlistId].map((id) => ({
      method: 'PUT',
      path: `/playlists/${id}/order`,
      body: { items: [target.itemId] },
    })),
  'put /privacy': ({ feed, item }) => [
    { method: 'PUT', path: '/privacy', body: { privacy: 'public', item: base64(item) } },
    { method: 'PUT', path: '/privacy', body: { privacy: 'public', feed: base64(feed), item: base64(item) } },
  ],
  'delete /privacy': ({ feed, item }) => [
    { method: 'DELETE', path: `/privacy?item=${base64Url(item)}` },
    { method: 'DELETE', path: `/privacy?feed=${base64Url(feed)}&item=${base64Url(item)}` },
  ],
  'get /privacy': ({ feed, item, userId }) => [
    { method: 'GET', path: `/privacy?item=${base64Url(item)}` },
    { method: 'GET', path: `/privacy?feed=${base64Url(feed)}` },
    { method: 'GET', path: `/privacy?user_id=${userId}` },
  ],
  'post /sync': ({ syncToken, playlistId }) => [
    { method: 'POST', path: '/sync', body: { since: syncToken } },
    {
      method: 'POST',
      path: '/sync',
      body: { playlists: [{ id: playlistId, name: 'mine', updated_at: '2026-01-01T00:00:00.000Z' }] },
    },
  ],
};

export const basicOf = ({ username, password }: Credentials): string => `Basic ${base64(`${username}:${password}`)}`;

/** On a route of podcast apps: by the other's name in its path, by what may be mistaken for it, and by what they might have been given. */
export const probesOfApp =
  (route: string): Probe =>
  (target, { credentials }) => {
    const send = (username: string, headers: Record<string, string>, query = ''): Sent => {
      const [method, path] = pathOf(route, { user: username, device: target.deviceId });
      const body = APP_ROUTES[route]?.({ feed: target.feed, item: target.item, device: target.deviceId });
      return { method, path: `${path}${query}`, body, headers, isOfApp: true };
    };
    const own = { authorization: basicOf(credentials) };
    const said = { userId: target.userId, username: target.username, by: { appPassword: target.tokenId }, until: 9e9 };
    const forged = `${Buffer.from(JSON.stringify(said)).toString('base64url')}.${'A'.repeat(43)}`;
    return [
      send(target.username, own),
      send(
        credentials.username,
        { ...own, 'x-user-id': target.userId },
        `?user_id=${target.userId}&user=${target.username}`,
      ),
      send(credentials.username, { ...own, cookie: `sessionid=${forged}` }),
      send(target.username, { cookie: `sessionid=${forged}` }),
      ...(route.includes('login')
        ? [send(target.username, { authorization: basicOf({ ...credentials, username: target.username }) })]
        : []),
    ];
  };
