import { connect, Socket } from 'node:net';

/** An answer, of whatever was sent. */
export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Whatever was sent must be answered within this time, in milliseconds; a busy machine included. */
export const ANSWER_LIMIT_MS = 15_000;

/** A connection that is kept and takes any bytes for a request; it is opened anew after the server has closed it. */
export class RawSocket {
  private socket: Socket | undefined;
  private received = Buffer.alloc(0);
  private wake: () => void = () => undefined;
  private ended = false;

  constructor(
    private readonly host: string,
    private readonly port: number,
  ) {}

  /** @throws Error when there is no answer within ANSWER_LIMIT_MS, or none before the connection ends */
  async send(request: Buffer, method: string): Promise<RawAnswer> {
    const isKept = this.socket !== undefined && !this.ended;
    if (!isKept) this.open();
    this.received = Buffer.alloc(0);
    this.socket!.write(request);
    const deadline = Date.now() + ANSWER_LIMIT_MS;
    for (;;) {
      const answer = this.parse(method);
      if (answer) {
        // What the server did not read of a request would be taken for the next one.
        if (answer.headers['connection'] === 'close' || answer.status >= 400) this.close();
        return answer;
      }
      if (this.ended) {
        // The server may close an idle connection just when it is used again.
        if (isKept && this.received.length === 0) return this.send(request, method);
        throw new Error(`the connection ended after ${JSON.stringify(this.received.toString('latin1'))}`);
      }
      if (Date.now() >= deadline) throw new Error(`no answer within ${ANSWER_LIMIT_MS} ms`);
      await this.more(deadline);
    }
  }

  close(): void {
    this.socket?.destroy();
    this.socket = undefined;
  }

  private open(): void {
    this.close();
    this.ended = false;
    const socket = connect(this.port, this.host);
    this.socket = socket;
    const end = (): void => {
      if (this.socket !== socket) return;
      this.ended = true;
      this.wake();
    };
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      if (this.socket !== socket) return;
      this.received = Buffer.concat([this.received, bytes]);
      this.wake();
    });
    socket.on('error', end).on('close', end);
  }

  private more(deadline: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, deadline - Date.now()));
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private parse(method: string): RawAnswer | undefined {
    const head = this.received.indexOf('\r\n\r\n');
    if (head < 0) return undefined;
    const [first = '', ...lines] = this.received.toString('latin1', 0, head).split('\r\n');
    const status = Number(first.split(' ')[1]);
    if (status === 100) {
      this.received = this.received.subarray(head + 4);
      return this.parse(method);
    }
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const rest = this.received.subarray(head + 4);
    if (method === 'HEAD' || status === 204 || status === 304) return { status, headers, body: '' };
    const length = headers['content-length'];
    if (length !== undefined)
      return rest.length < Number(length)
        ? undefined
        : { status, headers, body: rest.toString('utf8', 0, Number(length)) };
    if (headers['transfer-encoding'] === 'chunked') {
      const body = joined(rest);
      return body && { status, headers, body: body.toString('utf8') };
    }
    return this.ended ? { status, headers, body: rest.toString('utf8') } : undefined;
  }
}

/** The content of a body in chunks; undefined until the last one is there. */
function joined(chunks: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const line = chunks.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const length = Number.parseInt(chunks.toString('latin1', at, line), 16);
    at = line + 2 + length + 2;
    if (chunks.length < at) return undefined;
    if (length === 0) return Buffer.concat(parts);
    parts.push(chunks.subarray(line + 2, line + 2 + length));
  }
}
