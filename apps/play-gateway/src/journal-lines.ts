import { crc32 } from 'node:zlib';

/** A play as it waits for its delivery. */
export interface Play {
  /** Epoch milliseconds of our clock. */
  heardAt: number;
  /** SHA-256 of the personal token, in hexadecimal: the token itself is never written. */
  tokenHash: string;
  /** Whose token it was; null when that could not be read, and is to be found out at delivery. */
  userId: string | null;
  feed: string;
  item: string;
  /** Of the request. */
  correlationId: string;
  /** Where its trace goes on, if it is followed. */
  traceparent?: string;
}

/** A line of the journal: a checksum, for a line may be torn, and the play as JSON, which has no line ends. */
export function toLine({ heardAt, tokenHash, userId, feed, item, correlationId, traceparent }: Play): string {
  const told = [heardAt, tokenHash, userId, feed, item, correlationId];
  const text = JSON.stringify(traceparent === undefined ? told : [...told, traceparent]);
  return `${checksum(text)} ${text}\n`;
}

/** Undefined for a line that is torn. */
export function readLine(line: string): Play | undefined {
  const text = line.slice(CHECKSUM_LENGTH + 1);
  if (line.slice(0, CHECKSUM_LENGTH) !== checksum(text)) return undefined;
  const [heardAt, tokenHash, userId, feed, item, correlationId, traceparent] = JSON.parse(text) as [
    number,
    string,
    string | null,
    string,
    string,
    string,
    string?,
  ];
  return { heardAt, tokenHash, userId, feed, item, correlationId, ...(traceparent !== undefined && { traceparent }) };
}

const CHECKSUM_LENGTH = 8;
const checksum = (text: string): string => crc32(text).toString(16).padStart(CHECKSUM_LENGTH, '0');
