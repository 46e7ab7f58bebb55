import { NO_EVENTS } from '@balados/event-sourcing';
import { ContentDropped } from '@balados/users-contracts';

/** What ended with an event up to this revision keeps its key and its dates alone. */
export interface DropContent {
  type: 'DropContent';
  data: { upTo: number };
}

/**
 * Nothing to say where of all that ended up to there the content is dropped already.
 * @param dropped up to which revision it was
 * @param ended what is over by now, with the revision that said so
 */
export function decideDrop(
  { data: { upTo } }: DropContent,
  dropped: number,
  ended: Iterable<{ revision: number }>,
): ContentDropped[] {
  let latest = NO_EVENTS;
  for (const { revision } of ended) if (revision > dropped && revision <= upTo) latest = Math.max(latest, revision);
  return latest === NO_EVENTS ? [] : [{ type: 'ContentDropped', data: { upTo: latest } }];
}

/**
 * Compares a claim with what stands; with what ended and was dropped, as if its content were dropped, too. So that a device
 * which says of it what was dropped tells no news.
 */
export const comparedWithout =
  <Claim>(
    compare: (claim: Claim, standing: Claim) => number,
    dropped: number,
    isEnded: (claim: Claim) => boolean,
    content: Partial<Claim>,
  ) =>
  (claim: Claim, standing: Claim & { revision?: number }): number =>
    isEnded(standing) && (standing.revision ?? Infinity) <= dropped
      ? compare({ ...claim, ...content }, standing)
      : compare(claim, standing);
