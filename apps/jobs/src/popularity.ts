import { comparePopularity, comparedUpTo, noteCompared } from '@balados/site-projections';
import type { JobParts } from './jobs';

/** No comparison is begun later than this in a run, in milliseconds: the next run goes on from there. */
export const DRIFT_RUN_MS = 60_000;

/**
 * Goes through all podcasts once, from where the last run has stopped, and repairs those of which anything differs, if `isRepaired`; else
 * it goes through them from the first on and changes nothing.
 */
export async function comparePodcasts(
  { site, publicMinListeners, now, signal, progress }: JobParts,
  { isRepaired }: { isRepaired: boolean },
): Promise<{ podcasts: number; differing: number }> {
  const startedAt = now();
  const done = { podcasts: 0, differing: 0 };
  let after = isRepaired ? await comparedUpTo(site) : undefined;
  const [{ podcasts: all }] = await site.query('SELECT count(*)::integer AS podcasts FROM site_private.feeds');
  progress.begin(all);
  do {
    const { upTo, podcasts, differing } = await comparePopularity(site, { publicMinListeners }, { after, isRepaired });
    if (isRepaired) await noteCompared(site, upTo);
    progress.done(podcasts);
    done.podcasts += podcasts;
    done.differing += differing;
    after = upTo;
  } while (after !== undefined && !signal.aborted && (now() - startedAt < DRIFT_RUN_MS || !isRepaired));
  return done;
}
