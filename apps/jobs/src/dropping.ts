import { EventMetadata, NO_EVENTS, streamOf } from '@balados/event-sourcing';
import { USERS_CATEGORIES, usersEvents } from '@balados/users-contracts';
import type { ListenerStreams } from '@balados/users-write';

/** In these streams things end that have a content beside their key and their dates. */
const CATEGORIES = ['subscriptions', 'playlists'] as const satisfies readonly (typeof USERS_CATEGORIES)[number][];
type Category = (typeof CATEGORIES)[number];

export const hasContent = (category: string): category is Category => CATEGORIES.some((one) => one === category);

/**
 * Says in a stream that of what ended before `endedBefore` (epoch milliseconds, by when it was recorded) the content is dropped, where
 * there is any. The next checkpoint then tells without it. @throws StreamGone | StoreUnavailable | TooContended
 */
export async function dropContent(
  streams: ListenerStreams,
  { category, userId }: { category: Category; userId: string },
  { endedBefore, metadata }: { endedBefore: number; metadata: EventMetadata },
): Promise<void> {
  let upTo = NO_EVENTS;
  for await (const stored of streams.store.read(streamOf(category, userId)))
    for (const event of usersEvents.decode(stored))
      if (Date.parse(event.metadata.recordedAt) < endedBefore) upTo = Math.max(upTo, event.revision);
  await streams[category].handle(userId, { type: 'DropContent', data: { upTo } }, metadata, () => undefined);
}
