const KIB = 1024;
const MIB = 1024 * KIB;

/** Every limit of the event store; `startEventStore({ limits })` overrides single ones. */
export const defaultLimits = {
  /** Bytes of one append, counted as the server does: data, metadata and twice the length of the type. */
  appendBytes: MIB,
  /** Bytes of one message from a client; above `appendBytes`, so that what is too large gets a proper answer. */
  messageBytes: 17 * MIB,
  /** Bytes of appends that a client has begun and not finished, per connection. */
  unfinishedBytes: 32 * MIB,
  /** Answers that a client has not read yet, after which its next appends are not read either. */
  unreadAnswers: 4_096,

  /** Appends and bytes that wait for the writer; beyond either, RESOURCE_EXHAUSTED. */
  waitingAppends: 10_000,
  waitingBytes: 64 * MIB,
  /** Appends and bytes of one commit. */
  commitAppends: 1_000,
  commitBytes: 4 * MIB,
  /** Milliseconds after which a commit without an answer is given up, and its connection with it. */
  commitMs: 10_000,
  /** Milliseconds between two looks for appends whose deadline passed. */
  deadlineSweepMs: 50,

  /** Milliseconds that a start, or a reconnect, tries to reach Postgres. */
  connectMs: 15_000,
  /** Milliseconds that it then waits for another server to let go of the lock. */
  lockMs: 10_000,

  /** Newest events of the whole log among which an append with `any` or `stream_exists` is recognised as a repeat. */
  repeatLookBack: 65_536,
  /** Bytes of stream heads (revision, metadata, last event) in memory. */
  headBytes: 32 * MIB,
  /** Bytes up to which a stream's last event is kept with its head. */
  headEventBytes: 16 * KIB,
  /** Newest events, and their bytes, that subscribers read from memory; who is further behind reads from Postgres. */
  tailEvents: 8_192,
  tailBytes: 16 * MIB,

  /** Events and bytes of one page read from Postgres (always at least one event). */
  pageEvents: 500,
  pageBytes: 2 * MIB,
  /** Rows that one filtered page looks through. */
  pageScan: 4_000,
  /** Events looked at between two checkpoints when the client names no window. */
  filterWindow: 32,
  /** Messages and bytes of a read that are handed to the transport before it has taken them. */
  unsentMessages: 128,
  unsentBytes: 256 * KIB,
  /** Connections for reads. */
  readConnections: 6,

  /** Milliseconds between two scavenges, rows deleted by one statement, and rows deleted by one periodic scavenge. */
  scavengeEveryMs: 60_000,
  scavengeRows: 500,
  scavengeRunRows: 50_000,

  /** Milliseconds that `close` waits for clients to go before it cuts them off. */
  closeMs: 3_000,
};

export type Limits = typeof defaultLimits;
