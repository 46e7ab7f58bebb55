import { PlayEvent } from '@balados/users-contracts';
import { rfc3339, utcDay } from './claims';
import type { Erased } from './erasure';
import type { Play } from './listening';

/** The date of a listen that no device has said anything about: every claim of a device is later, or says more. */
export const UNDATED = 0;

/** An episode was heard through a play link: that tells nothing of where the listener is, nor whether they have finished. */
export interface RecordListen {
  type: 'RecordListen';
  /** `heardAt`: when, by our clock, epoch milliseconds; the event's `recordedAt` must be the same. */
  data: { feed: string; item: string; heardAt: number };
}

/**
 * A listen, once a UTC day. The claim that is held stands as it is, date and all, so that a device's next one meets what it
 * would have met; where none is held there is one now that loses to every other.
 * @param held what is held of this episode
 */
export function decideListen(
  { feed, item, heardAt }: RecordListen['data'],
  held: Play | undefined,
  erased: Erased | undefined,
): PlayEvent[] {
  // It may have waited in a journal while its listener had everything erased. Both times are of our clocks.
  if (erased && heardAt <= erased.requestedAt) return [];
  // One of an earlier day was late: it counts, and should it be told twice, counts per day know it.
  if (held?.listenedOn === utcDay(heardAt)) return [];
  // Not on the floor, or a device that is told of it could not say it again.
  const unclaimed = { item, position: 0, played: false, updatedAt: erased ? erased.floor + 1 : UNDATED };
  const { item: named, position, played, updatedAt } = held ?? unclaimed;
  const data = { feed, item: named, position, played, updatedAt: rfc3339(updatedAt), heardAt: rfc3339(heardAt) };
  return [{ type: 'PlayRecorded', data }];
}
