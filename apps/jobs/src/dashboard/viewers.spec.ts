import { once } from 'node:events';
import { createServer, Server } from 'node:http';
import { AddressInfo, connect, Socket } from 'node:net';
import { createLogger, listen } from '@balados/platform-service';
import { waitFor } from '@balados/testing';
import { Collector } from './collector';
import { Viewers, VIEWERS_MAX } from './viewers';

const log = createLogger('test', 'silent');
/** More than the system takes in for a client that does not read, a few times over. */
const LONG = 'x'.repeat(1_048_576);

let server: Server;
let collector: Collector;
let viewers: Viewers;
let endsAt: number;
const clients: Socket[] = [];
beforeEach(async () => {
  collector = new Collector({ sections: { log: async () => ({ LONG }) }, sampleOf: () => ({}), log, everyMs: 5 });
  viewers = new Viewers(collector);
  endsAt = Date.now() + 60_000;
  server = createServer((request, response) => viewers.begin(response, { session: request.url!, endsAt }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function look(session: string, port = (server.address() as AddressInfo).port): Socket {
  const client = connect(port, '127.0.0.1').setEncoding('utf8');
  client.write(`GET ${session} HTTP/1.1\r\nhost: a\r\n\r\n`);
  clients.push(client);
  return client;
}
const ended = async (client: Socket): Promise<string> => {
  let text = '';
  client.on('data', (piece: string) => (text = (text + piece).slice(-7)));
  await waitFor(() => text.endsWith('0\r\n\r\n'), { what: 'the end of what is told' });
  return text;
};

it('ends what a session is told, when it is over or logged out, and nobody else’s', async () => {
  const [one, other] = [look('/one'), look('/other')];
  await Promise.all([one, other].map((client) => once(client, 'data')));
  viewers.endSession('/one');
  await ended(one);
  expect(collector.viewerCount).toBe(1);
  await once(other, 'data');
  endsAt = Date.now() + 20;
  await ended(look('/short'));
  expect(collector.viewerCount).toBe(1);
});

it('is not brought down, nor held up, by who reads nothing', async () => {
  const idle = look('/idle').pause();
  const reader = look('/reader');
  let told = 0;
  reader.on('data', (piece: string) => (told += (piece.match(/event: snapshot/g) ?? []).length));
  // Far more than lies unread anywhere; what is not read is left out for the one.
  await waitFor(() => told > 20, { what: 'the reader to be told much' });
  viewers.endSession('/idle');
  expect(collector.viewerCount).toBe(1);
  const before = told;
  await waitFor(() => told > before + 3, { what: 'the reader to be told more' });
  const closed = once(idle, 'close');
  await waitFor(async () => (await connections()) === 1, { what: 'the connection of who reads nothing to be cut' });
  idle.resume();
  await closed;
});

const connections = (): Promise<number> =>
  new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))));

it('has room for so many', async () => {
  const all = Array.from({ length: VIEWERS_MAX }, (_, nth) => look(`/${nth}`).resume());
  await waitFor(() => collector.viewerCount === VIEWERS_MAX, { what: 'all to look' });
  expect(() => viewers.assertRoom()).toThrow('503 unavailable');
  all[0]!.destroy();
  await waitFor(() => collector.viewerCount < VIEWERS_MAX, { what: 'one to leave' });
  expect(() => viewers.assertRoom()).not.toThrow();
});

it('ends when the server stops', async () => {
  const { port, close } = await listen(
    (request, response) => viewers.begin(response, { session: request.url!, endsAt }),
    { port: 0, host: '127.0.0.1' },
  );
  const client = look('/one', port);
  await once(client, 'data');
  const closed = close();
  await Promise.all([ended(client), closed]);
  expect(collector.viewerCount).toBe(0);
});
