export interface ServerSentEvent {
  event: string;
  data: string;
}

/** Reads server-sent events as a browser does, from text that comes in any pieces. */
export class ServerSentEvents {
  /** Of the last event that was whole, what to send when connecting again; empty when there was none. */
  lastId = '';
  /** Milliseconds to wait before that. */
  retryMs: number | undefined;
  private rest = '';

  /** The events that are whole with this piece. */
  read(piece: string): ServerSentEvent[] {
    const blocks = (this.rest + piece).split('\n\n');
    this.rest = blocks.pop()!;
    return blocks.flatMap((block) => {
      let event = 'message';
      const data: string[] = [];
      for (const line of block.split('\n')) {
        const [, name, value] = /^([^:]*): ?(.*)$/.exec(line) ?? [];
        if (name === 'event') event = value!;
        else if (name === 'data') data.push(value!);
        else if (name === 'id') this.lastId = value!;
        else if (name === 'retry') this.retryMs = Number(value);
        else if (name !== '') throw new Error(`no line of an event: ${line}`);
      }
      return data.length > 0 ? [{ event, data: data.join('\n') }] : [];
    });
  }

  /** The connection ended: what was not whole never was. */
  end(): void {
    this.rest = '';
  }
}
