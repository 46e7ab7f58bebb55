/** A fetch with all its redirects, its wait for a slot and its body, in milliseconds. */
export const FETCH_TIMEOUT_MS = 20_000;
/** Until a connection stands, in milliseconds. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** Longest document, in bytes, as it is sent and after decompression. */
export const BODY_MAX_BYTES = 15 * 1_048_576;
/** An answer's header, in bytes. */
export const HEADER_MAX_BYTES = 32_768;
/** Answers such as 103 before the one that counts. */
export const INTERIM_MAX = 10;
/** Redirects that are followed. */
export const REDIRECTS_MAX = 5;
/** Ports that are dialled, but for what FEEDS_ALLOW_PRIVATE names. */
export const PORTS: readonly number[] = [80, 443];
/** Requests at a time to one host, for one client, and to all; and the memory for what these have read so far, in bytes. */
export const FETCHES_PER_HOST = 2;
export const FETCHES_PER_CLIENT = 32;
export const FETCHES_MAX = 64;
export const FETCHES_BYTES = 128 * 1_048_576;
/** Fetches that wait for their turn, those of one client and all; what comes on top is refused. A listener may have 1,000 podcasts. */
export const FETCHES_WAITING_PER_CLIENT = 1_000;
export const FETCHES_WAITING_MAX = 4_000;
/** An origin that asks for more patience than this is asked again nevertheless, in milliseconds. */
export const RETRY_AFTER_MAX_MS = 3_600_000;
/** Who we are, to origins. */
export const USER_AGENT = 'Balados-Sync/0.1 (podcast feed proxy)';

/** What a test may lower, or open. */
export interface FetchLimits {
  timeoutMs: number;
  maxBytes: number;
  /** Of all documents that are being read. */
  allBytes: number;
  ports: readonly number[];
}

/** Documents that are kept, and the memory for them in bytes unless told. */
export const FEEDS_KEPT = 500;
export const CACHE_BYTES = 128 * 1_048_576;
/** A copy is given without asking its origin for this long after the origin last vouched for it, in milliseconds. */
export const FRESH_MS = 300_000;
/** Until then it is given while the origin is asked; after that, the answer waits for the origin. */
export const STALE_WHILE_REVALIDATE_MS = 3_600_000;
/** Until then it is given, marked, when the origin fails. */
export const STALE_IF_ERROR_MS = 86_400_000;
/** A failure is remembered for this long unless the origin asks for more, in milliseconds; and how many are. */
export const FAILURE_KEPT_MS = 30_000;
export const FAILURES_KEPT = 10_000;
/** Longest wait for Redis, and after a vain one it is left alone for this long, in milliseconds. */
export const SHARED_WAIT_MS = 250;
export const SHARED_PAUSE_MS = 10_000;
