import { Controller, Get, Header, Module, Post } from '@nestjs/common';
import { connect } from 'node:net';
import { startService, stopServices } from './service.fixture';

@Controller('things')
class Things {
  @Get()
  @Header('cache-control', 'public, max-age=30')
  read() {
    return { things: ['one'] };
  }

  @Post()
  write() {
    return {};
  }
}

@Module({ controllers: [Things] })
class Anything {}

const start = (environment: Record<string, string>, publicReads = false): Promise<string> =>
  startService(Anything, environment, { publicReads });

afterEach(stopServices);

const SITE = 'https://site.example';

it('every answer says what a browser must not do with it, also one to a URL that is none', async () => {
  const url = await start({});
  for (const path of ['/things', '/nothing', '/%ff%']) {
    const { headers } = await fetch(`${url}${path}`);
    expect(headers.get('content-security-policy')).toBe("default-src 'none';frame-ancestors 'none'");
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('strict-transport-security')).toBeNull();
  }
});

describe('another site', () => {
  const ask = (url: string, method: string, headers: Record<string, string> = {}) =>
    fetch(`${url}/things`, { method, headers: { origin: SITE, ...headers } });
  const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' };

  it('may ask and read, without credentials', async () => {
    const url = await start({});
    const asked = await ask(url, 'OPTIONS', preflight);
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-origin')).toBe('*');
    expect(asked.headers.get('access-control-allow-methods')).toContain('DELETE');
    expect(asked.headers.get('access-control-allow-headers')).toMatch(/authorization/i);
    const answer = await ask(url, 'GET');
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    expect(answer.headers.get('access-control-expose-headers')).toContain('ETag');
  });

  it('may read that it asks too much', async () => {
    const url = await start({ RATE_ADDRESS: '1' });
    await ask(url, 'GET');
    const refused = await ask(url, 'GET');
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([429, '*']);
  });

  it('may only if it is named, when sites are named; public reads are for all the same', async () => {
    const named = { CORS_ORIGINS: 'https://app.example, https://other.example' };
    const own = await start(named);
    expect((await ask(own, 'GET')).headers.get('access-control-allow-origin')).toBeNull();
    const known = await ask(own, 'GET', { origin: 'https://app.example' });
    expect(known.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(known.headers.get('vary')).toMatch(/origin/i);
    const everybodys = await start(named, true);
    expect((await ask(everybodys, 'GET')).headers.get('access-control-allow-origin')).toBe('*');
  });
});

describe('an ETag', () => {
  it('stands on public reads, and saves those who hold them', async () => {
    const url = await start({}, true);
    const first = await fetch(`${url}/things`);
    const etag = first.headers.get('etag')!;
    expect(etag).toMatch(/^"[\w-]{43}"$/);
    expect(await first.json()).toEqual({ things: ['one'] });
    for (const held of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await fetch(`${url}/things`, { headers: { 'if-none-match': held } });
      expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag]);
      expect(again.headers.get('cache-control')).toBe('public, max-age=30');
    }
    const head = await fetch(`${url}/things`, { method: 'HEAD' });
    expect([head.status, head.headers.get('etag')]).toEqual([200, etag]);
    const other = await fetch(`${url}/things`, { headers: { 'if-none-match': '"other"' } });
    expect([other.status, await other.json()]).toEqual([200, { things: ['one'] }]);
  });

  it('stands on nothing else', async () => {
    const [own, everybodys] = [await start({}), await start({}, true)];
    const none = [
      await fetch(`${own}/things`),
      await fetch(`${everybodys}/nothing`),
      await fetch(`${everybodys}/things`, { method: 'POST', headers: { 'if-none-match': '*' } }),
    ];
    expect(none.map(({ status, headers }) => [status, headers.get('etag')])).toEqual([
      [200, null],
      [404, null],
      [201, null],
    ]);
  });
});

/** All that comes back for what is written, the next part when the answer to the last has begun, until the connection ends. */
const exchange = async (url: string, ...parts: string[]): Promise<string> => {
  const { port, hostname } = new URL(url);
  return new Promise((resolve) => {
    let all = '';
    const next = (): void => void (parts.length > 0 && socket.write(parts.shift()!));
    const socket = connect(Number(port), hostname, next);
    socket.on('data', (bytes) => ((all += bytes.toString()), next())).on('close', () => resolve(all));
  });
};

it.each([
  ['another version', 'GET / HTTP/9.9\r\n\r\n', 400],
  ['too long a header', `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
  ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['two hosts', 'GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n', 400],
  ['a tunnel', 'CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n', 400],
  [
    'an expectation, and nothing there',
    'GET / HTTP/1.1\r\nhost: a\r\nexpect: wonders\r\nconnection: close\r\n\r\n',
    404,
  ],
])('what is no request of HTTP is a problem, too: %s', async (_, text, status) => {
  const [head = '', body = ''] = (await exchange(await start({}), text)).split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(head).toContain('application/problem+json');
  expect(JSON.parse(body)).toMatchObject({ status, type: 'about:blank' });
});

it('another protocol is not spoken, and what follows on that connection does not hang', async () => {
  const upgrade = 'GET /things HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n';
  expect(await exchange(await start({}), upgrade, 'GET / HTTP\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
});
