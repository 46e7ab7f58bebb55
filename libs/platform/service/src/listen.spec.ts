import { once } from 'node:events';
import { ServerResponse } from 'node:http';
import { connect, Socket } from 'node:net';
import { listen, Listener } from './service';

const LONG = 'x'.repeat(32 * 1_048_576);

let listener: Listener | undefined;
let client: Socket | undefined;
afterEach(async () => {
  client?.destroy();
  await listener?.close();
});

/** Asks for more than the system takes in for the client, who does not read yet. @returns the answer under way */
async function ask(standstillMs: number): Promise<ServerResponse> {
  let begun!: (response: ServerResponse) => void;
  const answer = new Promise<ServerResponse>((resolve) => (begun = resolve));
  listener = await listen((_request, response) => begun(response.end(LONG)), {
    port: 0,
    host: '127.0.0.1',
    standstillMs,
  });
  client = connect(listener.port, '127.0.0.1').pause();
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  return answer;
}

/** What a client reads until the connection ends or all has come, in bytes; takes `pieceMs` for each of the first ten pieces. */
async function readAll(pieceMs: number): Promise<number> {
  let bytes = 0;
  let pieces = 0;
  await new Promise<void>((resolve) => {
    client!.on('close', () => resolve()).on('error', () => resolve());
    client!.on('data', (piece) => {
      bytes += piece.length;
      if (bytes >= LONG.length) return resolve();
      if ((pieces += 1) > 10) return;
      client!.pause();
      setTimeout(() => client!.resume(), pieceMs);
    });
    client!.resume();
  });
  return bytes;
}

it('cuts a connection off whose client does not read the answer', async () => {
  await once(await ask(200), 'close');
  expect(await readAll(0)).toBeLessThan(LONG.length);
});

it('lets one finish who reads slowly', async () => {
  await ask(1_000);
  expect(await readAll(150)).toBeGreaterThanOrEqual(LONG.length);
});

it('hears what comes while it stops, on a connection that was kept or has just been made, and says that this ends', async () => {
  const running = await listen((_request, response) => response.end('ok'), { port: 0, host: '127.0.0.1' });
  const ask = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
  const [busy, idle] = [connect(running.port, '127.0.0.1'), connect(running.port, '127.0.0.1')];
  const heard: string[] = ['', ''];
  for (const [index, socket] of [busy, idle].entries()) {
    socket.setEncoding('utf8').on('data', (text: string) => (heard[index] += text));
    socket.write(ask);
    await once(socket, 'data');
  }
  const ends = [once(busy, 'end'), once(idle, 'end')];
  const closed = running.close();
  const late = connect(running.port, '127.0.0.1').setEncoding('utf8');
  heard.push('');
  late.on('data', (text: string) => (heard[2] += text)).write(ask);
  busy.write(ask);
  await Promise.all([...ends, once(late, 'end'), closed]);
  expect(heard[0]!.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  expect(heard[0]!.match(/^connection: close\r$/gim)).toHaveLength(1);
  expect(heard[1]!.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(1);
  expect(heard[2]).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*^connection: close\r$/im);
});

it('does not wait, at a stop, for who has connected and says nothing', async () => {
  const running = await listen((_request, response) => response.end('ok'), { port: 0, host: '127.0.0.1' });
  client = connect(running.port, '127.0.0.1');
  await once(client, 'connect');
  const ended = once(client.resume(), 'end');
  await running.close();
  await ended;
}, 10_000);
