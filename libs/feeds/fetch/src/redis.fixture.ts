import { AddressInfo, createServer, Socket } from 'node:net';

/** As much of a Redis as a cache speaks with: its protocol (RESP), and values in memory. No test machine has the real one. */
export interface Redis {
  url: string;
  values: Map<string, string>;
  /** Names of the commands that came. */
  commands: string[];
  /** Connections stand, and nothing is answered any more. */
  hold(): void;
  close(): Promise<void>;
}

const bulk = (text: string | undefined): string =>
  text === undefined ? '$-1\r\n' : `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

export async function startRedis(port = 0, values = new Map<string, string>()): Promise<Redis> {
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  let isHeld = false;
  const answer = ([name = '', ...args]: string[]): string => {
    commands.push(name);
    switch (name) {
      case 'GET':
        return bulk(values.get(args[0]!));
      case 'SET':
        values.set(args[0]!, args[1]!);
        return '+OK\r\n';
      case 'DEL':
      case 'UNLINK':
        return `:${args.filter((key) => values.delete(key)).length}\r\n`;
      case 'HELLO':
        return '-ERR unknown command\r\n';
      default:
        return '+OK\r\n';
    }
  };
  const server = createServer((socket) => {
    let text = '';
    sockets.add(socket);
    socket.setEncoding('latin1');
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (data) => {
      text += data.toString();
      for (let read = command(text); read && !isHeld; read = command(text)) {
        text = text.slice(read.end);
        socket.write(answer(read.parts), 'latin1');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    values,
    commands,
    hold: () => (isHeld = true),
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** The first command of `*2\r\n$3\r\nGET\r\n$1\r\na\r\n…`; undefined when it is not whole yet. */
function command(text: string): { parts: string[]; end: number } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (!head) return undefined;
  const parts: string[] = [];
  let end = head[0].length;
  for (let count = Number(head[1]); count > 0; count -= 1) {
    const length = /^\$(\d+)\r\n/.exec(text.slice(end, end + 16));
    if (!length) return undefined;
    const start = end + length[0].length;
    end = start + Number(length[1]) + 2;
    if (end > text.length) return undefined;
    parts.push(text.slice(start, end - 2));
  }
  return { parts, end };
}
