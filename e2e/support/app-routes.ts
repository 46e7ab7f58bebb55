import type { OpenApi } from './conformance';
import type { ServiceProcess } from './service-process';

/** What an app tells of. */
export interface Telling {
  feed: string;
  /** `<guid>,<enclosure>` */
  item: string;
  device: string;
}
type Body = (about: Telling) => unknown;

const changes: Body = ({ feed }) => ({ add: [feed], remove: [] });
const list: Body = ({ feed }) => [feed];
const actions: Body = ({ feed, item, device }) => {
  const [guid, episode] = item.split(',');
  const place = { timestamp: '2026-11-20T10:00:00', started: 0, position: 9, total: 90 };
  return [{ podcast: feed, episode, guid, device, action: 'play', ...place }];
};
const device: Body = () => ({ caption: 'My phone', type: 'mobile' });

/**
 * The routes of podcast apps, which our document leaves out, with what an app sends there (null: nothing). Suites that go through all routes have
 * them from here, and hold the list against what the server has registered.
 */
export const APP_ROUTES: Record<string, Body | null> = {
  'post /api/2/auth/:user/login.json': null,
  'post /api/2/auth/:user/logout.json': null,
  'get /api/2/devices/:file': null,
  'post /api/2/devices/:user/:file': device,
  'put /api/2/devices/:user/:file': device,
  'get /api/2/sync-devices/:file': null,
  'post /api/2/sync-devices/:file': ({ device }) => ({ synchronize: [[device, 'another']] }),
  'get /api/2/subscriptions/:user/:file': null,
  'post /api/2/subscriptions/:user/:file': changes,
  'get /api/2/episodes/:file': null,
  'post /api/2/episodes/:file': actions,
  'get /api/2/favorites/:file': null,
  'get /api/2/settings/:user/:scope': null,
  'post /api/2/settings/:user/:scope': ({ device }) => ({ set: { [device]: true }, remove: ['another'] }),
  'get /api/2/updates/:user/:file': null,
  'get /api/2/lists/:file': null,
  'post /api/2/lists/:user/create.:format': list,
  'get /api/2/lists/:user/list/:list': null,
  'put /api/2/lists/:user/list/:list': list,
  'delete /api/2/lists/:user/list/:list': null,
  'get /suggestions/:count': null,
  'get /subscriptions/:file': null,
  'put /subscriptions/:file': list,
  'get /subscriptions/:user/:file': null,
  'put /subscriptions/:user/:file': list,
  'delete /ocs/v2.php/core/apppassword': null,
  'get /index.php/apps/gpoddersync/subscriptions': null,
  'post /index.php/apps/gpoddersync/subscription_change/create': changes,
  'get /index.php/apps/gpoddersync/episode_action': null,
  'post /index.php/apps/gpoddersync/episode_action/create': actions,
};

/** Those by which an app gets a password: who asks is nobody yet. */
export const LOGIN_ROUTES: Record<string, Body | null> = {
  'post /index.php/login/v2': null,
  'post /index.php/login/v2/poll': () => ({ token: 'A'.repeat(43) }),
  'get /index.php/login/v2/flow/:token': null,
  'post /index.php/login/v2/flow/:token': () => ({ username: 'somebody', password: 'a long sentence', grant: 'yes' }),
};

/** Those of what is everybody's. */
export const PUBLIC_APP_ROUTES = [
  'get /search.:format',
  'get /toplist/:file',
  'get /api/2/data/podcast.json',
  'get /api/2/data/episode.json',
  'get /api/2/tags/:file',
  'get /api/2/tag/:tag/:file',
];

/** Of a route as it is registered: its address for a listener and their device, `file` instead of what it would end in. */
export function pathOf(
  route: string,
  { user, device, file }: { user: string; device: string; file?: string },
): [method: string, path: string] {
  const [method, pattern] = route.split(' ') as [string, string];
  const last = file ?? `${pattern.includes(':user') ? device : user}.json`;
  const path = pattern
    .replace(':user', user)
    .replace(':file', last)
    .replace(':scope', file ?? 'account.json')
    .replace(':list', file ?? 'mine.json')
    .replace(':count', file ?? '5.json')
    .replace(':tag', 'news')
    .replace(':token', file ?? 'A'.repeat(43))
    .replace(':format', 'json');
  if (path.includes('/:')) throw new Error(`${route}: say what its path holds`);
  return [method.toUpperCase(), path];
}

/** What a service says at `debug` that it has registered, and its document does not know. @param lines of its log, from its start on */
export function undocumented({ lines }: ServiceProcess, { paths }: OpenApi): string[] {
  const registered = lines.flatMap((line) => {
    const [, path, method] = /Mapped \{(\S+), (\w+)\} route/.exec(line) ?? [];
    return path ? [{ path, method: method!.toLowerCase() }] : [];
  });
  if (registered.length === 0) throw new Error('its log does not say which routes it has: LOG_LEVEL is to be debug');
  return registered
    .filter(({ path, method }) => !paths[path.replace(/:(\w+)/g, '{$1}')]?.[method])
    .map(({ path, method }) => `${method} ${path}`);
}
