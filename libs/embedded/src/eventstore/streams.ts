import { NO_EVENTS, TOMBSTONE, type RecordedEvent } from './model';

/** What is known of a stream without reading it. `metadata` is what its `$$` stream says last. */
export interface Head {
  revision: bigint;
  metadata: StreamMetadata | undefined;
  /** Its last event, when somebody read or wrote it lately. */
  last?: RecordedEvent;
}

export type StreamMetadata = { $tb?: unknown; $maxCount?: unknown; $maxAge?: unknown; [key: string]: unknown };

export const isMetastream = (stream: string): boolean => stream.startsWith('$$');
export const metastreamOf = (stream: string): string => `$$${stream}`;
export const originalOf = (metastream: string): string => metastream.slice(2);

/** The metadata that an event on a `$$` stream carries; none when it is not a JSON object. */
export function parseMetadata(data: Uint8Array): StreamMetadata | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(data).toString('utf8'));
    return parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed)
      ? (parsed as StreamMetadata)
      : undefined;
  } catch {
    return undefined;
  }
}

const wholeNumber = (value: unknown): number | undefined =>
  typeof value === 'number' && value >= 0 && Number.isInteger(value) ? value : undefined;

/** Soft deleted: `$tb` stands at the end of all revisions (JSON cannot carry 2^63 - 1 exactly, so anything unsafe counts). */
export const isSoftDeleted = ({ metadata }: Head): boolean =>
  (wholeNumber(metadata?.$tb) ?? 0) > Number.MAX_SAFE_INTEGER;

/** The first revision that `$tb` and `$maxCount` let through; one past the last when they let nothing through. */
export function visibleFrom(stream: string, head: Head): bigint {
  if (head.revision === TOMBSTONE) return TOMBSTONE;
  const end = head.revision + 1n;
  const truncateBefore = wholeNumber(head.metadata?.$tb) ?? 0;
  // A metadata stream keeps its newest event only, whatever its own metadata says.
  const maxCount = isMetastream(stream) ? 1 : wholeNumber(head.metadata?.$maxCount);
  const byCount = maxCount ? end - BigInt(maxCount) : 0n;
  const byTruncation = truncateBefore > Number.MAX_SAFE_INTEGER ? end : BigInt(truncateBefore);
  const from = byCount > byTruncation ? byCount : byTruncation;
  return from < 0n ? 0n : from > end ? end : from;
}

/** Seconds for which an event stays visible. */
export function maxAge({ metadata }: Head): number | undefined {
  const seconds = wholeNumber(metadata?.$maxAge) ?? 0;
  return seconds > 0 && seconds <= Number.MAX_SAFE_INTEGER ? seconds : undefined;
}

/** Milliseconds since 1970 before which an event is hidden; 0 when age hides nothing. */
export const visibleSince = (head: Head, now = Date.now()): number => {
  const seconds = maxAge(head);
  return seconds === undefined ? 0 : now - seconds * 1000;
};

/** True for a stream that a read answers with "not found": never written, or soft deleted. */
export const isMissing = (head: Head): boolean => head.revision === NO_EVENTS || isSoftDeleted(head);
