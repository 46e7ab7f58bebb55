import { EventMetadata, NO_EVENTS, streamOf } from '@balados/event-sourcing';
import { USERS_CATEGORIES, usersEvents } from '@balados/users-contracts';
import type { ListenerStreams } from '@balados/users-write';

/** In these streams things end that have a content beside their key and their dates. */
const CATEGORIES = ['subscriptions', 'playlists'] as const satisfies readonly (typeof USERS_CATEGORIES)[number][];
type Category = (typeof CATEGORIES)[number];

export const hasContent = (category: string): category is Category => CATEGORIES.some((one) => one === category);

/**
 * Says in a stream that of what ended before `endedBefore` (epoch milliseconds, by when it was recorded) the content is dropped, where
 * there is any, and nothing more recent precedes it: a clock that was behind when something was recorded must not make all before it old.
 * What is dated after `now` says nothing. The next checkpoint then tells without it. @throws StreamGone | StoreUnavailable | TooContended
 */
export async function dropContent(
  streams: ListenerStreams,
  { category, userId }: { category: Category; userId: string },
  { endedBefore, now, metadata }: { endedBefore: number; now: number; metadata: EventMetadata },
): Promise<void> {
  const old: number[] = [];
  let firstRecent = Infinity;
  for await (const stored of streams.store.read(streamOf(category, userId)))
    for (const { revision, metadata } of usersEvents.decode(stored)) {
      const recordedAt = Date.parse(metadata.recordedAt);
      if (recordedAt < endedBefore) old.push(revision);
      else if (recordedAt <= now) firstRecent = Math.min(firstRecent, revision);
    }
  const upTo = old.reduce((last, each) => (each < firstRecent ? Math.max(last, each) : last), NO_EVENTS);
  await streams[category].handle(userId, { type: 'DropContent', data: { upTo } }, metadata, () => undefined);
}
