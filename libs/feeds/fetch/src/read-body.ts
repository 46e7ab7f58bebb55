import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { busy, FetchFailed } from './fetch-failed';

/** What we understand, as `Accept-Encoding` says it. */
export const ACCEPT_ENCODING = 'gzip, br, deflate';

const FIRST_BYTES = 65_536;

export interface ReadLimits {
  maxBytes: number;
  /** What all bodies that are being read may still take together. */
  budget: { bytes: number };
}

/** All of a body, decompressed; it is not read past `maxBytes`, neither as it comes nor as it becomes. @throws FetchFailed */
export async function readBody(body: Readable, encoding: string, limits: ReadLimits): Promise<Buffer> {
  const { maxBytes } = limits;
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const first = await chunks.next();
  if (first.done) throw new FetchFailed('empty', 'The origin sent no document.');
  const all = async function* (): AsyncGenerator<Buffer> {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => chunks };
  };
  const decoder = decoderOf(encoding.trim().toLowerCase(), first.value);
  const read = collect(limits);
  try {
    if (decoder) await pipeline(all, bounded(maxBytes), decoder, read.from);
    else await read.from(all());
  } catch (error) {
    body.destroy();
    throw error;
  } finally {
    read.end();
  }
  if (read.bytes().length === 0) throw new FetchFailed('empty', 'The origin sent no document.');
  return read.bytes();
}

function decoderOf(encoding: string, [firstByte]: Buffer): Transform | undefined {
  switch (encoding) {
    case '':
    case 'identity':
      return undefined;
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'br':
      return createBrotliDecompress();
    case 'deflate':
      // Some send it without the header that RFC 9110 asks for.
      return (firstByte! & 0x0f) === 8 ? createInflate() : createInflateRaw();
    default:
      throw new FetchFailed('bad_encoding', `The document is in a coding that we did not ask for.`);
  }
}

const tooLarge = (maxBytes: number): FetchFailed =>
  new FetchFailed('too_large', `The document has more than ${maxBytes} bytes.`);

const bounded = (maxBytes: number) =>
  async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let bytes = 0;
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      yield chunk;
    }
  };

/** Into one buffer that grows: a body may come in millions of tiny pieces. */
function collect({ maxBytes, budget }: ReadLimits) {
  let held = Buffer.alloc(0);
  let length = 0;
  const widen = (needed: number): void => {
    const size = Math.min(Math.max(needed, held.length * 2, FIRST_BYTES), maxBytes);
    if (size - held.length > budget.bytes) throw busy();
    budget.bytes -= size - held.length;
    const wider = Buffer.allocUnsafe(size);
    held.copy(wider, 0, 0, length);
    held = wider;
  };
  return {
    async from(source: AsyncIterable<Buffer>): Promise<void> {
      for await (const chunk of source) {
        const needed = length + chunk.length;
        if (needed > maxBytes) throw tooLarge(maxBytes);
        if (needed > held.length) widen(needed);
        chunk.copy(held, length);
        length = needed;
      }
    },
    /** Gives its part of the budget back. */
    end: () => (budget.bytes += held.length),
    bytes: (): Buffer => held.subarray(0, length),
  };
}
