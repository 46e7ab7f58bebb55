import { AddressInfo, connect, createServer, Server, Socket } from 'node:net';

/** A way to a server that can be shut (connections are cut and refused) and held (they stand, and nothing passes). */
export class Door {
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();
  private held = false;
  port = 0;

  constructor(private readonly target: { host: string; port: number }) {}

  /** Opened again it has the port that it had. */
  async open(): Promise<this> {
    this.held = false;
    for (const socket of this.sockets) socket.resume();
    if (this.server) return this;
    const server = createServer((from) => this.join(from, connect(this.target.port, this.target.host)));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.port, '127.0.0.1', () => resolve());
    });
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
    return this;
  }

  hold(): void {
    this.held = true;
    for (const socket of this.sockets) socket.pause();
  }

  async shut(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    const closed = new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private join(from: Socket, to: Socket): void {
    for (const [socket, peer] of [
      [from, to],
      [to, from],
    ] as const) {
      this.sockets.add(socket);
      socket.on('data', (bytes) => void peer.write(bytes));
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.sockets.delete(socket);
        peer.destroy();
      });
      if (this.held) socket.pause();
    }
  }
}
