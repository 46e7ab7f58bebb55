/** An event to append. The client turns objects into JSON itself, once. */
export interface NewEvent {
  /** UUID; the same id sent again to the same place is recognised as a repeat. */
  id: string;
  type: string;
  /** As JSON will say it: nothing that JSON cannot hold. */
  data: object;
  metadata: object;
}

/** An event as the store holds it. */
export interface StoredEvent {
  id: string;
  stream: string;
  /** Place in the stream, from 0. */
  revision: number;
  /** Place in the whole log; grows, with gaps, beyond 2^53. */
  position: bigint;
  type: string;
  /** What its JSON says; for whatever is no JSON, a string or bytes, which no schema of ours accepts. */
  data: unknown;
  metadata: unknown;
}

/** The position moved on although nothing matched. */
export interface Checkpoint {
  checkpoint: bigint;
}

/** Sent once when a subscription has delivered all that was there when it asked. */
export interface CaughtUp {
  caughtUp: true;
}

/** The revision of a stream without events. */
export const NO_EVENTS = -1;

/**
 * The port to EventStoreDB. Every method throws `StoreUnavailable` when the store does not answer in time.
 */
export interface EventStore {
  /**
   * Appends all or nothing after `expectedRevision` (`NO_EVENTS` for a new stream). Sending the same ids again is harmless.
   * @returns the revision of the last event
   * @throws RevisionConflict | StreamGone | StoreUnavailable (which may have been applied all the same)
   */
  append(stream: string, expectedRevision: number, events: readonly NewEvent[]): Promise<number>;
  /** Forwards from `fromRevision` (0 by default) to the head, read from the leader. A stream that does not exist has no events. */
  read(stream: string, fromRevision?: number): AsyncIterable<StoredEvent>;
  /** Revision of the newest event, read from the leader; `NO_EVENTS` when there is none. */
  head(stream: string): Promise<number>;
  /**
   * Everything after the position `after` (undefined: from the start) in streams whose names start with one of `prefixes`, in order
   * and without end, across reconnections. Checkpoints and the caught-up sign come in band, in their right places.
   * Ends when `signal` aborts.
   */
  subscribe(options: {
    after: bigint | undefined;
    prefixes: readonly string[];
    signal: AbortSignal;
  }): AsyncIterable<StoredEvent | Checkpoint | CaughtUp>;
  /**
   * Hides what comes before `revision` from all reads of the stream, for good; a scavenge then removes it. Never lowered, and so harmless
   * when sent again. @throws StreamGone | StoreUnavailable
   */
  truncateBefore(stream: string, revision: number): Promise<void>;
  /**
   * Deletes a stream at `expectedRevision` (`NO_EVENTS` for one that never was) for good: nobody reads it or appends to it again, and a
   * scavenge removes its events. @throws RevisionConflict | StreamGone (also of one that was deleted before) | StoreUnavailable
   */
  tombstone(stream: string, expectedRevision: number): Promise<void>;
  /**
   * Has the store begin to remove from its disk what was cut away or deleted; it takes its own time.
   * @returns false when one is under way already @throws StoreUnavailable, Error when it may not be asked
   */
  scavenge(): Promise<boolean>;
  /** Position of the newest event of all; undefined for an empty log. */
  headPosition(): Promise<bigint | undefined>;
  /** Id of this log: made at first use, the same for all who read it, another after a wipe. Positions and sync tokens hold for one log only. */
  storeId(): Promise<string>;
}

export class RevisionConflict extends Error {
  constructor(stream: string, expected: number) {
    super(`stream ${stream} is no longer at revision ${expected}`);
    this.name = 'RevisionConflict';
  }
}

/** The stream was deleted for good. */
export class StreamGone extends Error {
  constructor(stream: string) {
    super(`stream ${stream} was deleted`);
    this.name = 'StreamGone';
  }
}

export class StoreUnavailable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreUnavailable';
  }
}
