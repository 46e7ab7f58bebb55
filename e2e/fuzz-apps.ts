import { APP_ROUTES, LOGIN_ROUTES, pathOf, PUBLIC_APP_ROUTES } from './support/app-routes';
import { Credentials } from './support/client';
import { oneOf } from './support/limits';
import {
  BAD_IN_PATH,
  badXml,
  BROKEN_HEADERS,
  bytesOf,
  FUZZ_FEED,
  FUZZ_ITEM,
  FuzzCase,
  Json,
  METHODS,
  ODD_HEADERS,
  OF_TYPES,
  RawRequest,
} from './fuzz-requests';

type Random = () => number;

const BODIES = { ...APP_ROUTES, ...LOGIN_ROUTES };

/** What is in the place of an address, a time, a number or a name. */
const ODD: readonly Json[] = [
  ...Object.values(OF_TYPES).flat(),
  'feed:',
  'feed://',
  'http://[',
  'http://%00/',
  'https://a:b@feeds.example/',
  `https://feeds.example/${'x'.repeat(3_000)}`,
  `https://${'x'.repeat(300)}.example/`,
  'https://feeds.example/\ud800',
  'https://media.example/,https://media.example/',
  '2026-13-45T99:99:99',
  '0000-00-00T00:00:00',
  '+275760-09-13T00:00:00Z',
  '9999-12-31T23:59:60',
  'NaN',
  8.64e12,
  8.64e15,
  -62_167_219_200,
  '__proto__',
  'PLAY',
];

/** One thing in it, at whatever depth, is another or gone. */
function mutated(random: Random, value: Json): Json {
  if (typeof value !== 'object' || value === null || random() < 0.15) return oneOf(random, ODD);
  const key = oneOf(random, [...Object.keys(value), 'key']);
  if (Array.isArray(value)) {
    const copy = [...value];
    if (random() < 0.2) copy.splice(Number(key) || 0, 1, ...copy);
    else copy[Number(key) || 0] = mutated(random, copy[Number(key) || 0] ?? null);
    return copy;
  }
  if (random() < 0.1) return Object.fromEntries(Object.entries(value).filter(([each]) => each !== key));
  return { ...value, [key]: mutated(random, value[key] ?? null) };
}

const bad = {
  since: ['abc', '-1', '1e9', '9'.repeat(400), '%00', '%ff', '1&since=2', '0x10', ' 1', '.5', '999999999999999', ''],
  podcast: ['', '%00', '%ff', 'nonsense', 'x'.repeat(9_000), 'a&podcast=b', '%ed%a0%80'],
  device: ['', '%00', '%ff', 'x'.repeat(9_000), 'a&device=b', '__proto__'],
  aggregated: ['', '1', 'TRUE', '%00', 'true&aggregated=false'],
};

const basic = (text: string | Buffer): string => `Basic ${Buffer.from(text as string).toString('base64')}`;

/** Makes requests to the routes of podcast apps, some of them right: none may fail on our side, and none may reach what is another's. */
export class FuzzApps {
  private turn = 0;
  private readonly routes = [...Object.keys(BODIES), ...PUBLIC_APP_ROUTES];

  constructor(
    private readonly random: Random,
    private readonly parts: { host: string; credentials: Credentials; others: string },
  ) {}

  next(): FuzzCase {
    const { random } = this;
    const { credentials, others } = this.parts;
    const { username, password } = credentials;
    const route = this.routes[this.turn++ % this.routes.length]!;
    const at = { user: username, device: 'phone' };
    // Who may ask whoever it is, is not refused.
    const unknown = route in APP_ROUTES ? 'refused' : 'harmless';
    const [method, path] = pathOf(route, at);
    const valid = BODIES[route]?.({ feed: FUZZ_FEED, item: FUZZ_ITEM, device: 'phone' }) as Json | undefined;
    const body = valid === undefined ? undefined : JSON.stringify(valid);
    const make = (what: string, parts: Partial<RawRequest>, expected: FuzzCase['expected'] = 'harmless'): FuzzCase => {
      const whole = { method, path, body, authorization: basic(`${username}:${password}`), ...parts };
      return { what, ...whole, bytes: bytesOf({ host: this.parts.host, ...whole }), expected };
    };
    const withBody = (): FuzzCase => {
      if (valid === undefined) return make('a body of no use', { body: oneOf(random, ['', '{', '[]', '\u0000']) });
      if (random() < 0.7)
        return make('another body', { body: JSON.stringify(mutated(random, mutated(random, valid))) });
      const text = JSON.stringify(valid);
      const bytes = oneOf<string | Buffer>(random, [
        '',
        ' ',
        '{',
        `${text}]`,
        text.slice(0, -1),
        '['.repeat(100_000),
        `[${'[],'.repeat(30_000)}[]]`,
        Buffer.from([0xff, 0xfe, 0x5b, 0x5d]),
        Buffer.from(text, 'utf16le'),
        `{"add":${text},"__proto__":{"add":1}}`,
      ]);
      return make('no such body', {
        body: bytes,
        type: oneOf(random, ['application/json', 'text/plain', '', ';', '*/*']),
      });
    };
    const kinds: (() => FuzzCase)[] = [
      withBody,
      withBody,
      withBody,
      withBody,
      () => {
        const format = oneOf(random, ['opml', 'txt', 'xml', 'jsonp', 'JSON', '']);
        const file = `${route.includes(':user') ? 'phone' : username}.${format}`;
        const { body } =
          random() < 0.5 ? badXml(random) : { body: oneOf(random, ['x', '\u0000', '#', '\r\n\r\n', FUZZ_FEED]) };
        return make(`as ${format}`, { path: pathOf(route, { ...at, file })[1], ...(valid !== undefined && { body }) });
      },
      () => {
        const part = oneOf(random, [
          ...BAD_IN_PATH,
          '.json',
          'a.b.json',
          `${'x'.repeat(600)}.json`,
          '%00.json',
          others,
        ]);
        const where = random() < 0.5 ? { ...at, user: part } : { ...at, file: part };
        return make(`${part.slice(0, 20)} in its path`, { path: pathOf(route, where)[1] });
      },
      () => {
        const name = oneOf(random, Object.keys(bad) as (keyof typeof bad)[]);
        const value = oneOf(random, bad[name]);
        return make(`?${name}=${value.slice(0, 20)}`, { path: `${path}?${name}=${value}` });
      },
      () => {
        const given = oneOf(random, [
          'Basic',
          'Basic ',
          'Basic !!!',
          'Bearer a.b.c',
          basic('no colon'),
          basic(`${username}:`),
          basic(`:${password}`),
          basic(`${username}\u0000:${password}`),
          basic(`${others}:${password}`),
          basic(Buffer.from([0xff, 0x3a, 0xfe])),
          basic(`${username}:${'x'.repeat(2_000)}`),
          `Basic ${'x'.repeat(9_000)}`,
          `Digest username="${username}"`,
          '',
        ]);
        return make('bad credentials', { authorization: given }, unknown);
      },
      () => {
        const said = Buffer.from(JSON.stringify({ userId: others, username, by: {}, until: 9e9 })).toString(
          'base64url',
        );
        const cookie = oneOf(random, [
          '',
          '.',
          'a.b',
          `${said}.${'A'.repeat(43)}`,
          'x'.repeat(5_000),
          '%00',
          '"',
          '\u00ff',
        ]);
        return make('a forged cookie', { authorization: '', headers: [`Cookie: sessionid=${cookie}`] }, unknown);
      },
      () => make('a broken header', { headers: [oneOf(random, BROKEN_HEADERS)] }),
      () => make('an odd header', { headers: [oneOf(random, ODD_HEADERS)] }),
      () => make('an odd method', { method: oneOf(random, METHODS), body: undefined }),
      () => make('a path beyond', { path: `${path}${oneOf(random, ['/x', '//', '/%2e%2e/x', '/.', ';a=b/c', '/%'])}` }),
    ];
    return oneOf(random, kinds)();
  }
}
