import { NO_EVENTS, Recorded } from '@balados/event-sourcing';
import { episodeId, feedId } from '@balados/feeds-ids';
import {
  concerns,
  covers,
  ErasureTarget,
  HistoryErased,
  isWhole,
  Subject,
  WHOLE_HISTORY,
} from '@balados/users-contracts';
import { instant, rfc3339 } from './claims';

/** What a stream remembers of the last time that something was erased from it. Times in epoch milliseconds. */
export interface Erased {
  requestedAt: number;
  /** A claim that is not dated later is one of what was erased. */
  floor: number;
  /** Of the event. */
  revision: number;
}

/** What was ever erased from a stream. What is wider makes void what is narrower and came before. */
export interface Erasures {
  all: Erased | undefined;
  /** By the id of the podcast or the episode. */
  parts: ReadonlyMap<string, Erased & ErasureTarget>;
  /** Of the last of all of these events; NO_EVENTS when nothing was ever erased. */
  revision: number;
}

export const NOTHING_ERASED: Erasures = { all: undefined, parts: new Map(), revision: NO_EVENTS };

export interface EraseHistory {
  type: 'EraseHistory';
  /** `requestedAt`: epoch milliseconds; the same again is the same erasure. */
  data: ErasureTarget & { requestedAt: number };
}

/** The latest request and floor of all erasures that took, or would have taken, what is of a podcast or an episode. */
export function erasedOf(
  { all, parts }: Erasures,
  { feed, item }: { feed: string; item?: string },
): Pick<Erased, 'requestedAt' | 'floor'> | undefined {
  if (parts.size === 0) return all;
  const ids = [feedId(feed), ...(item === undefined ? [] : [episodeId(feed, item)])];
  const erased = [all, ...ids.map((id) => parts.get(id))].filter((one) => one !== undefined);
  if (erased.length === 0) return undefined;
  return {
    requestedAt: Math.max(...erased.map(({ requestedAt }) => requestedAt)),
    floor: Math.max(...erased.map(({ floor }) => floor)),
  };
}

/** The date up to which claims of it are not taken, if anything that it belongs to was ever erased. */
export const floorOf = (erasures: Erasures, subject: { feed: string; item?: string }): number | undefined =>
  erasedOf(erasures, subject)?.floor;

/** Whether a claim of this date is one of what was erased, or would have been. */
export const isErased = (claimedAt: number, floor: number | undefined): boolean =>
  floor !== undefined && claimedAt <= floor;

/**
 * `latest`: the latest date of what is held of the target, -Infinity for none. The floor lies no lower, since a device whose clock is
 * ahead holds the same. Of an account that goes nothing may be left; what came since a request for its history stays.
 */
export function decideErasure(
  { data: { requestedAt, ...target } }: EraseHistory,
  erasures: Erasures,
  latest: number,
): HistoryErased[] {
  if (isErasedSince(erasures, target, requestedAt) && (target.scope !== 'account' || latest === -Infinity)) return [];
  const floors = markersOf(erasures)
    .filter((erased) => covers(target, erased))
    .map(({ floor }) => floor);
  const before = Math.max(requestedAt, latest, ...floors);
  return [
    {
      type: 'HistoryErased',
      data: { ...target, requestedAt: rfc3339(requestedAt), before: rfc3339(before) },
    },
  ];
}

const markersOf = ({ all, parts }: Erasures): (Erased & ErasureTarget)[] => [
  ...(all ? [{ ...all, ...WHOLE_HISTORY }] : []),
  ...parts.values(),
];

/** Whether all of the target was erased by this request or a later one. */
export const isErasedSince = (erasures: Erasures, target: ErasureTarget, requestedAt: number): boolean =>
  markersOf(erasures).some((erased) => covers(erased, target) && erased.requestedAt >= requestedAt);

/** Revision of the newest event by which all of the target was erased; undefined when it never was. */
export function markerOf(erasures: Erasures, target: ErasureTarget): number | undefined {
  const markers = markersOf(erasures).filter((erased) => covers(erased, target));
  return markers.length === 0 ? undefined : Math.max(...markers.map(({ revision }) => revision));
}

/** What is remembered after the event. */
export function erasedBy({ data, revision }: Recorded<HistoryErased>, before: Erasures): Erasures {
  const { requestedAt, before: floor, ...target } = data;
  const erased = { requestedAt: instant(requestedAt), floor: instant(floor), revision };
  if (isWhole(target)) return { all: erased, parts: new Map(), revision };
  const parts = partsBeside(before, target).set((target.episodeId ?? target.feedId)!, { ...erased, ...target });
  return { all: before.all, parts, revision };
}

/** The parts that are remembered beside this one once it is erased: those that it does not cover. */
export const partsBeside = ({ parts }: Erasures, target: ErasureTarget): Map<string, Erased & ErasureTarget> =>
  new Map([...parts].filter(([, part]) => !covers(target, part)));

/** The latest of some dates, -Infinity for none. */
export function latestOf<Entry>(entries: Iterable<Entry>, dateOf: (entry: Entry) => number): number {
  let latest = -Infinity;
  for (const entry of entries) latest = Math.max(latest, dateOf(entry));
  return latest;
}

/** Those of some entries that an erasure concerns. */
export function* concerned<Entry extends Subject>(target: ErasureTarget, entries: Iterable<Entry>): Generator<Entry> {
  for (const entry of entries) if (concerns(target, entry)) yield entry;
}
