import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, IncomingMessage, request as httpRequest, Server, ServerResponse } from 'node:http';
import { AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '@balados/testing';
import { Nginx, nginxOrNone, PROXIED } from './support/nginx';

/** What the configuration that operators are given does, before servers that say how they were asked. */
const suite = nginxOrNone() ? describe : describe.skip;

interface Told {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

suite('nginx', () => {
  const asked: { server: string; request: IncomingMessage; body: number }[] = [];
  const servers: Server[] = [];
  let nginx: Nginx;
  let folder: string;
  let port: number;
  let deadPort: number;
  /** What command-api's first server does with a request, where it does not answer. */
  let misbehave: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;

  async function serve(server: string, before = (_request: IncomingMessage, _response: ServerResponse) => false) {
    const made = createServer((request, response) => {
      let body = 0;
      request.on('data', (bytes: Buffer) => (body += bytes.length));
      request.on('end', () => {
        asked.push({ server, request, body });
        if (!before(request, response)) response.end(server);
      });
    });
    servers.push(made);
    await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
    return (made.address() as AddressInfo).port;
  }
  async function freePort(): Promise<number> {
    const server = createTcpServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const free = (server.address() as AddressInfo).port;
    await new Promise((resolve) => server.close(resolve));
    return free;
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'balados-nginx-'));
    const ports: Record<string, number[]> = {};
    for (const name of PROXIED) ports[name] = [await serve(name)];
    const first = await serve('first', (request, response) => misbehave?.(request, response) ?? false);
    deadPort = await freePort();
    ports['command-api']!.push(first);
    // Nobody listens there.
    ports['public-api']!.push(deadPort);
    port = await freePort();
    nginx = await Nginx.start({
      folder,
      listen: `127.0.0.1:${port}`,
      playHost: 'play.example',
      servers: ports as Record<(typeof PROXIED)[number], number[]>,
    });
  }, 60_000);
  afterAll(async () => {
    await nginx?.stop();
    for (const server of servers) server.close().closeAllConnections();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    asked.length = 0;
    misbehave = undefined;
  });

  const ask = (path: string, { method = 'GET', body = '', headers = {} } = {}): Promise<Told> =>
    new Promise((resolve, reject) => {
      const sent = httpRequest({ port, host: '127.0.0.1', path, method, headers, agent: false }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        answer.on('end', () => resolve({ status: answer.statusCode!, headers: answer.headers, body: text }));
      });
      sent.once('error', reject).end(body);
    });

  it.each([
    ['/api/v1/subscriptions', '127.0.0.1', /command-api|first/],
    ['/api/v1/publicly', '127.0.0.1', /command-api|first/],
    ['/api/v1/public/timeline?limit=3', 'sync.example', /public-api/],
    ['/search.json?q=bread', 'sync.example', /public-api/],
    ['/search.jsonp/x', 'sync.example', /command-api|first/],
    ['/toplist/50.opml', 'sync.example', /public-api/],
    ['/suggestions/50.opml', 'sync.example', /command-api|first/],
    ['/api/2/tags/50.json', 'sync.example', /public-api/],
    ['/api/2/tag/news/50.json', 'sync.example', /public-api/],
    ['/api/2/data/podcast.json?url=x', 'sync.example', /public-api/],
    ['/api/2/episodes/ada.json', 'sync.example', /command-api|first/],
    ['/search.json?q=bread', 'play.example', /play-gateway/],
    ['/api/v1/rss/proxy/aHR0cA%2F%2F/a//b', '127.0.0.1', /rss-proxy/],
    ['/api/v1/public/timeline', 'PLAY.example:4000', /play-gateway/],
    ['/token.signature/feed/item.mp3', 'play.example', /play-gateway/],
    ['/dashboard', '127.0.0.1', /jobs/],
    ['/dashboard/events?x', 'sync.example', /jobs/],
    ['/dashboards', '127.0.0.1', /command-api|first/],
    ['/index.php/login/v2', '127.0.0.1', /command-api|first/],
    ['//index.php/login/v2/poll', 'sync.example', /command-api|first/],
    ['/nextcloud/ocs/v2.php/core/apppassword', 'sync.example', /command-api|first/],
    ['/dashboard', 'play.example', /play-gateway/],
  ])('%s on %s', async (path, host, server) => {
    const forged = { 'x-forwarded-host': 'other.example', 'x-forwarded-proto': 'https' };
    const { status, body } = await ask(path, { headers: { host, 'x-forwarded-for': '203.0.113.7', ...forged } });
    expect([status, body]).toEqual([200, expect.stringMatching(server)]);
    const { url, headers } = asked.at(-1)!.request;
    expect([url, headers.host, headers['x-forwarded-for'], headers.connection]).toEqual([
      path,
      host,
      '203.0.113.7, 127.0.0.1',
      undefined,
    ]);
    expect([headers['x-forwarded-host'], headers['x-forwarded-proto']]).toEqual([host, 'http']);
  });

  it.each([
    ['/readyz', '127.0.0.1'],
    ['/metrics', '127.0.0.1'],
    ['/metrics', 'play.example'],
  ])('keeps %s on %s to those who operate it', async (path, host) => {
    const { status, headers, body } = await ask(path, { headers: { host } });
    expect([status, headers['content-type'], JSON.parse(body)]).toEqual([
      404,
      'application/problem+json',
      expect.objectContaining({ status: 404, code: 'not_found', errors: [] }),
    ]);
    expect(asked).toEqual([]);
  });

  it('passes on what the services judge: long paths, bodies beyond their limit', async () => {
    const long = `/api/v1/play/${'a'.repeat(13_000)}/position`;
    expect((await ask(long)).status).toBe(200);
    expect(asked.at(-1)!.request.url).toBe(long);
    const body = 'x'.repeat(1_500_000);
    expect((await ask('/api/v1/sync', { method: 'POST', body })).status).toBe(200);
    expect(asked.at(-1)!.body).toBe(body.length);
    const far = await ask('/api/v1/sync', { method: 'POST', headers: { 'content-length': '3000000' } });
    expect([far.status, JSON.parse(far.body).code]).toEqual([413, 'too_large']);
    const file = 'x'.repeat(5_000_000);
    expect((await ask('/api/v1/opml', { method: 'POST', body: file })).status).toBe(200);
    expect(asked.at(-1)!.body).toBe(file.length);
  });

  it('sends to another what a server does not take, also a POST', async () => {
    for (const method of ['GET', 'POST', 'GET', 'POST'])
      expect((await ask('/api/v1/public/timeline', { method })).body).toBe('public-api');
    expect(asked).toHaveLength(4);
  });

  it('sends all of one device to one copy, and devices to all copies', async () => {
    const copiesOf = async (times: number, authorization?: string): Promise<Set<string>> => {
      const told = await Promise.all(
        Array.from({ length: times }, () => ask('/api/v1/play', { headers: authorization ? { authorization } : {} })),
      );
      return new Set(told.map(({ body }) => body));
    };
    const devices = await Promise.all(Array.from({ length: 32 }, (_, device) => copiesOf(3, `Bearer ${device}`)));
    expect(devices.map(({ size }) => size)).toEqual(devices.map(() => 1));
    expect(new Set(devices.flatMap((copies) => [...copies])).size).toBe(2);
    // Who has no token yet is nobody's.
    expect((await copiesOf(40)).size).toBe(2);
  });

  it('sends nothing twice that a server may have done, but what is the same done twice', async () => {
    misbehave = (request) => !!request.socket.destroy();
    const outcomes: Record<string, number[]> = { POST: [], PATCH: [], PUT: [], DELETE: [], GET: [] };
    for (const [method, statuses] of Object.entries(outcomes))
      // As often as it takes until it is the bad one's turn, which is left alone for a second after each.
      await waitFor(
        async () => {
          const { status, headers, body } = await ask(`/api/v1/${method}-${statuses.length}`, { method });
          statuses.push(status);
          if (status !== 200) expect([headers['retry-after'], JSON.parse(body).code]).toEqual(['1', 'unavailable']);
          return asked.some(({ server, request }) => server === 'first' && request.method === method);
        },
        { what: `a ${method} for the server that breaks` },
      );
    for (const [method, statuses] of Object.entries(outcomes))
      expect([method, statuses.at(-1)]).toEqual([method, ['POST', 'PATCH'].includes(method) ? 503 : 200]);
    const urls = asked.map(({ request: { method, url } }) => `${method} ${url}`);
    const repeated = urls.filter((url, index) => urls.indexOf(url) !== index);
    expect(repeated.map((url) => url.split(' ')[0]).sort()).toEqual(['DELETE', 'GET', 'PUT']);
  });

  it('hands on each piece of what is sent as it comes, and keeps the connection to a server', async () => {
    misbehave = (request, response) => {
      if (request.url !== '/api/v1/events') return false;
      response.write('data: 1\n\n');
      return true;
    };
    const connections = new Set<unknown>();
    const firstPiece = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const sent = httpRequest({ port, host: '127.0.0.1', path: '/api/v1/events', agent: false }, (answer) => {
          answer.setEncoding('utf8').once('data', (text: string) => {
            resolve(text);
            sent.destroy();
          });
        });
        sent.once('error', reject).end();
      });
    // The other server's answers are not open; this one's never end.
    await waitFor(async () => (await firstPiece()) === 'data: 1\n\n', { what: 'a piece of an answer that goes on' });
    for (let turn = 0; turn < 20; turn += 1) await ask('/api/v1/rss/proxy/a');
    for (const { server, request } of asked) if (server === 'rss-proxy') connections.add(request.socket.remotePort);
    expect(connections.size).toBeLessThan(20);
  });
});
