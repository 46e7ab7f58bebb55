import { Recorded } from '@balados/event-sourcing';
import { ErasureScope, HistoryErased } from '@balados/users-contracts';
import { instant, rfc3339 } from './claims';

/** What a stream remembers of the last time that all in it was erased. Times in epoch milliseconds. */
export interface Erased {
  requestedAt: number;
  /** A claim that is not dated later is one of what was erased. */
  floor: number;
  /** Of the event; nothing before it need be kept. */
  revision: number;
}

export interface EraseHistory {
  type: 'EraseHistory';
  /** `requestedAt`: epoch milliseconds; the same again is the same erasure. */
  data: { scope: ErasureScope; requestedAt: number };
}

/** Whether a claim of this date is one of what was erased, or would have been. */
export const isErased = (claimedAt: number, erased: Erased | undefined): boolean =>
  erased !== undefined && claimedAt <= erased.floor;

/**
 * `latest`: the latest date of what is held, -Infinity for none. The floor lies no lower, since a device whose clock is ahead holds the
 * same. Of an account that goes nothing may be left; what came since a request for its history stays.
 */
export function decideErasure(
  { data: { scope, requestedAt } }: EraseHistory,
  erased: Erased | undefined,
  latest: number,
): HistoryErased[] {
  const isDone = erased !== undefined && erased.requestedAt >= requestedAt;
  if (isDone && (scope === 'history' || latest === -Infinity)) return [];
  const before = Math.max(requestedAt, latest, erased?.floor ?? -Infinity);
  return [{ type: 'HistoryErased', data: { scope, requestedAt: rfc3339(requestedAt), before: rfc3339(before) } }];
}

export const erasedBy = ({ data, revision }: Recorded<HistoryErased>): Erased => ({
  requestedAt: instant(data.requestedAt),
  floor: instant(data.before),
  revision,
});

/** The latest of some dates, -Infinity for none. */
export function latestOf<Entry>(entries: Iterable<Entry>, dateOf: (entry: Entry) => number): number {
  let latest = -Infinity;
  for (const entry of entries) latest = Math.max(latest, dateOf(entry));
  return latest;
}
