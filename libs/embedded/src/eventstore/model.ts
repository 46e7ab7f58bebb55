/** An event as the log holds it. `position` grows over the whole log, with gaps; `revision` counts the stream's events. */
export interface RecordedEvent {
  position: bigint;
  stream: string;
  revision: bigint;
  id: string;
  type: string;
  isJson: boolean;
  /** Milliseconds since 1970. */
  created: number;
  data: Uint8Array;
  metadata: Uint8Array;
  /** The event as a message of the read protocol, once somebody has read it from memory. */
  encoded?: Buffer;
}

export type ProposedEvent = Pick<RecordedEvent, 'id' | 'type' | 'isJson' | 'data' | 'metadata'>;

/** The revision of a tombstone: no event comes after it. */
export const TOMBSTONE = 2n ** 63n - 1n;
/** The revision of a stream without events. */
export const NO_EVENTS = -1n;

/** `-1n` is "no stream", as on the wire of older versions. */
export type ExpectedRevision = bigint | 'any' | 'stream_exists';

export type Outcome =
  | { kind: 'written'; revision: bigint; position: bigint | undefined }
  | { kind: 'conflict'; current: bigint }
  | { kind: 'deleted' }
  /** Not written: it was still waiting, or nobody can say any more: it may be written. */
  | { kind: 'timeout' }
  /** The commit failed, or the writer is gone: it may be written. */
  | { kind: 'unavailable'; message: string }
  /** Not written: too much is waiting. */
  | { kind: 'busy' };

/** What waits for the writer. */
export interface Operation {
  kind: 'append' | 'delete' | 'tombstone';
  stream: string;
  expected: ExpectedRevision;
  events: ProposedEvent[];
  bytes: number;
  /** Milliseconds since 1970; Infinity for none. */
  deadline: number;
  /** Takes the first outcome; the writer never gives a second one. */
  settle(outcome: Outcome): void;
}

export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;
