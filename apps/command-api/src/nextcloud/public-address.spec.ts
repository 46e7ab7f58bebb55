import { Problem } from '@balados/platform-service';
import { config } from '../config';
import { publicAddressOf, withoutFolder } from './public-address';

const asked = (host: string, originalUrl = '/index.php/login/v2', protocol = 'https') =>
  ({ host, originalUrl, protocol }) as Parameters<typeof publicAddressOf>[0];

it.each([
  ['sync.example', '/index.php/login/v2', 'https://sync.example'],
  ['Sync.Example:443', '/index.php/login/v2', 'https://sync.example'],
  ['sync.example:4000', '//index.php/login/v2', 'https://sync.example:4000'],
  ['[::1]:4000', '/index.php/login/v2/poll', 'https://[::1]:4000'],
  ['sync.example', '/nextcloud/index.php/login/v2', 'https://sync.example/nextcloud'],
  ['sync.example', '/a/b//index.php/login/v2', 'https://sync.example/a/b'],
  // What no app asks for is no folder.
  ['sync.example', '/"><script>/index.php/login/v2', 'https://sync.example'],
  ['sync.example', 'http://other.example/index.php/login/v2', 'https://sync.example'],
])('%s %s is reached as %s', (host, path, address) => {
  expect(publicAddressOf(asked(host, path), undefined)).toBe(address);
});

it('is http where nobody who is believed says https', () => {
  expect(publicAddressOf(asked('sync.example', undefined, 'http'), undefined)).toBe('http://sync.example');
  expect(publicAddressOf(asked('sync.example', undefined, 'javascript'), undefined)).toBe('http://sync.example');
});

it.each([
  '',
  'user@other.example',
  'sync.example/other',
  'sync.example?',
  'a b',
  'sync.example:99999',
  'sync.example#',
])('a host %j is refused', (host) => expect(() => publicAddressOf(asked(host), undefined)).toThrow(Problem));

it('is what is configured, whatever a request says', () => {
  const { PUBLIC_URL } = config.shape;
  expect(
    publicAddressOf(asked('user@other.example', '/x/index.php/login/v2'), PUBLIC_URL.parse('https://sync.example/nc/')),
  ).toBe('https://sync.example/nc');
  expect(PUBLIC_URL.parse(undefined)).toBeUndefined();
  for (const bad of [
    'sync.example',
    'ftp://sync.example',
    'https://user@sync.example',
    'https://sync.example/?x',
    'https://',
  ])
    expect([bad, PUBLIC_URL.safeParse(bad).success]).toEqual([bad, false]);
});

const LOGIN = '/index.php/login/v2';
const FEED = '?podcast=https://cloud.example/index.php/apps/gpoddersync/feed';

it.each([
  [LOGIN, LOGIN],
  [`/${LOGIN}/poll`, `${LOGIN}/poll`],
  [`/nextcloud${LOGIN}?x=1`, `${LOGIN}?x=1`],
  ['/a/b//index.php/apps/gpoddersync/subscriptions?since=0', '/index.php/apps/gpoddersync/subscriptions?since=0'],
  ['/nextcloud/ocs/v2.php/core/apppassword', '/ocs/v2.php/core/apppassword'],
  [`/nextcloud${LOGIN}0`, `/nextcloud${LOGIN}0`],
  // Such a feed has no folder of ours before it.
  [`/api/2/settings/ada/podcast.json${FEED}`, `/api/2/settings/ada/podcast.json${FEED}`],
  [`/api/2/episodes/ada.json?podcast=${LOGIN}`, `/api/2/episodes/ada.json?podcast=${LOGIN}`],
])('%s is %s without what stands before Nextcloud’s paths', (url, path) => expect(withoutFolder(url)).toBe(path));
