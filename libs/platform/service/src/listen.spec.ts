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
