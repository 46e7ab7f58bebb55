import { AddressInfo, createServer, Server } from 'node:net';
import { createServer as createHttpServer, Server as HttpServer } from 'node:http';
import { askHealth, servicesList } from './services';

it.each([
  ['command-api=http://command-api:4000', [{ name: 'command-api', url: 'http://command-api:4000' }]],
  [
    'a=http://127.0.0.1:1, b=https://b.example/',
    [
      { name: 'a', url: 'http://127.0.0.1:1' },
      { name: 'b', url: 'https://b.example/' },
    ],
  ],
])('reads %s', (text, list) => {
  expect(servicesList.parse(text)).toEqual(list);
});

it.each([
  'command-api',
  'a=',
  'a=b',
  'a=ftp://b',
  'a=http://user:secret@b',
  'a=http://b/path',
  '=http://b',
  'a=http://b,',
])('does not take %j', (text) => {
  expect(servicesList.safeParse(text).success).toBe(false);
});

const servers: (Server | HttpServer)[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));
async function urlOf(server: Server | HttpServer): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const answering = (status: number, body: unknown, headers = {}): Promise<string> =>
  urlOf(createHttpServer((_request, response) => response.writeHead(status, headers).end(JSON.stringify(body))));

it('tells which checks fail, and nothing of what they say', async () => {
  const ready = await answering(200, { ready: true, checks: { postgres: 'ok' } });
  expect(await askHealth({ name: 'a', url: ready })).toEqual({ name: 'a', state: 'ready', failing: [] });
  const checks = { postgres: 'ok', 'projector users': 'segment 2 stopped: listening-5d1f is no stream' };
  const failing = await answering(503, { ready: false, checks });
  expect(await askHealth({ name: 'b', url: failing })).toEqual({
    name: 'b',
    state: 'not ready',
    failing: ['projector users'],
  });
});

it('says that there is no answer of what is away, leads elsewhere or speaks of something else', async () => {
  const ready = await answering(200, { ready: true, checks: {} });
  const elsewhere = await answering(302, {}, { location: ready });
  const other = await answering(200, { status: 'alive' });
  const closed = createServer();
  const away = await urlOf(closed);
  await new Promise((resolve) => closed.close(resolve));
  for (const url of [elsewhere, other, away])
    expect(await askHealth({ name: 'c', url })).toEqual({ name: 'c', state: 'no answer', failing: [] });
});
