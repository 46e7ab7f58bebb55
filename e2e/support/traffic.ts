import { AddressInfo, connect, createServer, Server, Socket } from 'node:net';

/** How the messages of a protocol are told apart, as far as the side that asks goes. */
interface Protocol {
  /** Bytes of what comes before the first message; undefined while they are not all there. */
  opening(bytes: Buffer): number | undefined;
  /** Bytes of a message's header, its whole length by that header, and whether it asks for something. */
  header: number;
  read(header: Buffer): { length: number; asks: boolean };
}

/** Statements run: `Query`, or `Execute` of the extended protocol. */
export const POSTGRES: Protocol = {
  opening: (bytes) => (bytes.length < 4 ? undefined : bytes.readUInt32BE(0)),
  header: 5,
  read: (header) => ({ length: 1 + header.readUInt32BE(1), asks: 'QE'.includes(String.fromCharCode(header[0]!)) }),
};

const PREFACE_BYTES = 24;
const DATA_FRAME = 0;
/** gRPC: each read is one message to the server, and each append another. */
export const HTTP2: Protocol = {
  opening: (bytes) => (bytes.length < PREFACE_BYTES ? undefined : PREFACE_BYTES),
  header: 9,
  read: (header) => {
    const length = header.readUIntBE(0, 3);
    return { length: 9 + length, asks: header[3] === DATA_FRAME && length > 0 };
  },
};

/** Stands before a server and counts what it is asked. */
export class CountedWay {
  asked = 0;
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly protocol: Protocol,
  ) {}

  static async to(target: URL, protocol: Protocol): Promise<CountedWay> {
    const server = createServer();
    const way = new CountedWay(server, protocol);
    server.on('connection', (from) => way.join(from, connect(Number(target.port), target.hostname)));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(0, '127.0.0.1', () => resolve());
    });
    return way;
  }

  /** The same address by this way. */
  by(address: string): string {
    const url = new URL(address);
    url.hostname = '127.0.0.1';
    url.port = String((this.server.address() as AddressInfo).port);
    return url.href;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private join(from: Socket, to: Socket): void {
    const count = this.counter();
    from.on('data', count);
    for (const [socket, peer] of [
      [from, to],
      [to, from],
    ] as const) {
      this.sockets.add(socket);
      socket.pipe(peer);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.sockets.delete(socket);
        peer.destroy();
      });
    }
  }

  private counter(): (bytes: Buffer) => void {
    const { opening, header, read } = this.protocol;
    let rest = Buffer.alloc(0);
    let isOpen = false;
    /** Bytes of the present message that are still to come. */
    let skip = 0;
    return (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      for (;;) {
        const skipped = Math.min(skip, rest.length);
        rest = rest.subarray(skipped);
        skip -= skipped;
        if (skip > 0) return;
        if (!isOpen) {
          const length = opening(rest);
          if (length === undefined) return;
          [isOpen, skip] = [true, length];
          continue;
        }
        if (rest.length < header) return;
        const message = read(rest);
        if (message.asks) this.asked += 1;
        skip = message.length;
      }
    };
  }
}
