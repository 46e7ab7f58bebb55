import { createLogger, withoutSecrets } from './logging';

const TOKEN = 'Zm9vYmFyLWZvb2Jhci1mb29iYXItZm9vYmFyLWZvb2I';

it.each([
  ['connect to postgres://ada:hunter2@db:5432/users?x=y failed', 'connect to postgres://db:5432/… failed'],
  [
    'Failed to parse URL from https://ada:hunter2@feeds.example/a.xml?token=abc',
    'Failed to parse URL from https://feeds.example/…',
  ],
  ['esdb://admin:hunter2@one:2113,two:2113?tls=false', 'esdb://one:2113,two:2113/…'],
  ['"http://feeds.example" was asked', '"http://feeds.example" was asked'],
  [`GET /api/v1/rss/user/${TOKEN}/subscriptions`, 'GET /api/v1/rss/user/[redacted]/subscriptions'],
  [`GET /${TOKEN}.c2lnbmF0dXJl/ZmVlZA/aXRlbQ.mp3`, 'GET /[redacted]/ZmVlZA/aXRlbQ.mp3'],
  ['Bearer eyJhbGciOi.eyJzdWIi.c2ln is old', 'Bearer [redacted] is old'],
  ['at file:///srv/main.js:1:2 (node:net:1)', 'at file:///srv/main.js:1:2 (node:net:1)'],
  [
    'stream listening-0b6b3c6e-0000-4000-8000-000000000000 is gone',
    'stream listening-0b6b3c6e-0000-4000-8000-000000000000 is gone',
  ],
])('cuts out of %j what could let somebody in, or says what somebody hears', (text, left) => {
  expect(withoutSecrets(text)).toBe(left);
});

it('cuts it out of everything that is said', () => {
  const lines: string[] = [];
  const log = createLogger('test', 'trace', { write: (line) => void lines.push(line) });
  const url = 'https://ada:hunter2@feeds.example/hunter2?token=hunter2';
  log.error({ err: Object.assign(new TypeError(`no ${url}`), { cause: new Error(url), url }) }, `asked ${url}`);
  log.warn(
    {
      reason: `no ${url}`,
      password: 'hunter2',
      body: { access_token: 'hunter2' },
      headers: { authorization: 'hunter2' },
    },
    'x',
  );
  log.child({ service: 'other' }).info(`asked ${url}`);
  log.fatal({ err: `thrown ${url}` }, 'x');
  expect(lines).toHaveLength(4);
  expect(lines.join()).not.toContain('hunter2');
  expect(JSON.parse(lines[0]!)).toMatchObject({
    level: 'error',
    msg: 'asked https://feeds.example/…',
    err: { type: 'TypeError', message: 'no https://feeds.example/…' },
  });
  expect(JSON.parse(lines[2]!)).toMatchObject({ service: 'other' });
});
