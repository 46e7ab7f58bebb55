import { createServer, Server } from 'node:http';
import { AddressInfo } from 'node:net';

/** An issuer on loopback that publishes what it is told to. */
export class OutsideIssuerServer {
  private server: Server | undefined;
  private port = 0;
  /** How often its keys were asked for. */
  requests = 0;
  /** The answer; undefined: it takes the request and never says a word. */
  answer: { status: number; body: string } | undefined = { status: 200, body: '{"keys": []}' };

  get uri(): string {
    return `http://127.0.0.1:${this.port}/keys`;
  }

  publish(keys: object[]): void {
    this.answer = { status: 200, body: JSON.stringify({ keys }) };
  }

  async start(): Promise<this> {
    const server = createServer((_request, response) => {
      this.requests++;
      if (this.answer) response.writeHead(this.answer.status, { location: '/elsewhere' }).end(this.answer.body);
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
    return this;
  }

  async stop(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }
}
