import { createServer, IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { AddressInfo, createServer as createRawServer, Server, Socket } from 'node:net';

export interface Origin {
  port: number;
  /** What it was asked for. */
  requests: { url: string; headers: IncomingHttpHeaders }[];
  /** How many connections were ever made to it. */
  connections: () => number;
  /** All that left it, as far as the other side or the system took it. */
  bytesSent: () => number;
  close(): Promise<void>;
}

/** A server of documents on 127.0.0.1. */
export function startOrigin(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Origin> {
  const requests: Origin['requests'] = [];
  const server = createServer((request, response) => {
    requests.push({ url: request.url!, headers: request.headers });
    answer(request, response);
  });
  return listening(server, requests);
}

/** One that need not speak HTTP: `answer` has the connection once a request's head has come. */
export function startRawOrigin(answer: (socket: Socket) => void): Promise<Origin> {
  const server = createRawServer((socket) => {
    let head = '';
    socket.on('data', (data) => {
      head += data.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      head = '';
      answer(socket);
    });
  });
  return listening(server, []);
}

async function listening(server: Server, requests: Origin['requests']): Promise<Origin> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let sent = 0;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      sent += socket.bytesWritten;
      sockets.delete(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    connections: () => connections,
    bytesSent: () => [...sockets].reduce((sum, socket) => sum + socket.bytesWritten, sent),
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
