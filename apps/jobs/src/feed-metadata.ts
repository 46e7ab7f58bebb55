import { FeedsClient, FeedUnavailable } from '@balados/feeds-client';
import { isPassingDatabaseError } from '@balados/platform-stores';
import { describeFeed, DueFeed, feedsAmong, feedsDue, putOff } from '@balados/site-projections';
import { forgetMoves, noteMove } from '@balados/users-accounts';
import { QueryFailedError } from 'typeorm';
import type { Figures, JobParts, Turn } from './jobs';

/**
 * What a feed says of itself is asked for again after this long, in milliseconds, give or take a quarter: not all at the same time. At the
 * longest it is MOVE_COUNTS_AFTER_MS of command-api.
 */
export const METADATA_KEPT_MS = 86_400_000;
/** After a failure sooner, then twice as late each time, up to the above. */
export const METADATA_RETRY_MS = 900_000;
/** So many feeds are asked for at a time. */
export const METADATA_AT_A_TIME = 8;
/** No feed is begun later than this in a run, in milliseconds: the next one goes on. */
export const METADATA_RUN_MS = 60_000;

type MetadataParts = Turn & Pick<JobParts, 'users' | 'site' | 'feeds' | 'publicMinListeners' | 'metadataBatch'>;

/** How many feeds a run would ask. */
export const feedsAreDue = async ({ site, now, metadataBatch }: MetadataParts): Promise<number> =>
  (await feedsDue(site, new Date(now()), metadataBatch)).length;

/**
 * Learns titles, authors and covers of the feeds that listeners have to do with, and where they have moved to, through rss-proxy; one that
 * its publisher does not want listed is withdrawn. When rss-proxy does not answer at all, the run ends, and nothing is put off.
 * @returns how many were described, and of the others how many failed for which reason; `unasked`: no rss-proxy is named
 */
export async function refreshFeedMetadata(parts: MetadataParts): Promise<Figures> {
  const { users, site, feeds, now, signal, metadataBatch, progress } = parts;
  const startedAt = now();
  const outcome: Figures & { described: number } = { described: 0 };
  const due = await feedsDue(site, new Date(startedAt), metadataBatch);
  if (!feeds) return { ...outcome, unasked: due.length };
  progress.begin(due.length);
  let isProxyAway = false;
  async function inTurn(): Promise<void> {
    const isOver = (): boolean => isProxyAway || signal.aborted || now() - startedAt >= METADATA_RUN_MS;
    for (let feed = due.shift(); feed && !isOver(); feed = due.shift()) {
      const failure = await learn(feed, { ...parts, feeds: feeds! });
      progress.done();
      if (failure === undefined) outcome.described += 1;
      else outcome[failure] = (outcome[failure] ?? 0) + 1;
      isProxyAway ||= failure === UNREACHABLE;
    }
  }
  await Promise.all(Array.from({ length: METADATA_AT_A_TIME }, inTurn));
  await forgetMoves(users, (feedIds) => feedsAmong(site, feedIds));
  return outcome;
}

/** rss-proxy itself does not answer: it says nothing of the feed. */
const UNREACHABLE = 'unreachable';

/** @returns why nothing was learned of it, or undefined */
async function learn(
  { feedId, feed, failures }: DueFeed,
  { users, site, feeds, publicMinListeners, now }: MetadataParts & { feeds: FeedsClient },
): Promise<string | undefined> {
  try {
    const metadata = await feeds.metadata({ feed });
    const dueAt = new Date(now() + METADATA_KEPT_MS * (0.75 + Math.random() / 2));
    // Of what is gone, what was known is the last word.
    if (metadata.gone) await putOff(site, feedId, dueAt);
    else {
      await noteMove(users, feedId, metadata.movedTo);
      await describeFeed(site, feedId, metadata, { publicMinListeners, dueAt });
    }
    return undefined;
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    if (reason === UNREACHABLE) return reason;
    const pause = Math.min(METADATA_RETRY_MS * 2 ** Math.min(failures, 16), METADATA_KEPT_MS);
    const asked = error instanceof FeedUnavailable ? (error.retryAfterMs ?? 0) : 0;
    try {
      await putOff(site, feedId, new Date(now() + Math.max(pause, asked)));
    } catch (second) {
      // Then it stays due.
      if (reasonOf(second) === undefined) throw second;
    }
    return reason;
  }
}

/** The database's own failure is the one feed's, too: `database_` and its code. Undefined for a defect of ours. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof FeedUnavailable) return error.code;
  const isDatabases = error instanceof QueryFailedError || isPassingDatabaseError(error);
  return isDatabases ? `database_${(error as { code?: string }).code ?? 'failed'}` : undefined;
}
