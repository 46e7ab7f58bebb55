import { Inject } from '@nestjs/common';
import { IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { isSubscribed } from '@balados/users-domain';
import { LISTENER_STREAMS } from '@balados/users-write';
import type { ListenerStreams } from '@balados/users-write';

/** Feeds, as canonical URLs, by what became of them. */
export interface SubscriptionChanges {
  subscribed: string[];
  unsubscribed: string[];
}

/**
 * What was recorded from a time on, our own clock's, epoch milliseconds: what a device says of when it happened may be of last week, and
 * then others would miss it. From 0: all that one is subscribed to, and nothing that has ended.
 */
export class GetSubscriptionChanges extends Query<SubscriptionChanges> {
  constructor(
    readonly userId: string,
    readonly since: number,
  ) {
    super();
  }
}

/** Canonical URLs of what one is subscribed to, with when we heard of it (our clock's, epoch milliseconds), and of what one was. */
export interface KnownFeeds {
  subscribed: ReadonlyMap<string, number>;
  unsubscribed: ReadonlySet<string>;
}

export class GetKnownFeeds extends Query<KnownFeeds> {
  constructor(readonly userId: string) {
    super();
  }
}

@QueryHandler(GetKnownFeeds)
export class GetKnownFeedsHandler implements IQueryHandler<GetKnownFeeds> {
  constructor(@Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams) {}

  execute({ userId }: GetKnownFeeds): Promise<KnownFeeds> {
    return this.streams.subscriptions.query(userId, ({ state }) => {
      const subscribed = new Map<string, number>();
      const unsubscribed = new Set<string>();
      for (const each of state.feeds.values())
        if (isSubscribed(each)) subscribed.set(each.feed, each.recordedAt);
        else unsubscribed.add(each.feed);
      return { subscribed, unsubscribed };
    });
  }
}

@QueryHandler(GetSubscriptionChanges)
export class GetSubscriptionChangesHandler implements IQueryHandler<GetSubscriptionChanges> {
  constructor(@Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams) {}

  execute({ userId, since }: GetSubscriptionChanges): Promise<SubscriptionChanges> {
    return this.streams.subscriptions.query(userId, ({ state }) => {
      const changed = [...state.feeds.values()].filter(({ recordedAt }) => recordedAt >= since);
      const feedsOf = (are: boolean): string[] =>
        changed.filter((each) => isSubscribed(each) === are).map(({ feed }) => feed);
      return { subscribed: feedsOf(true), unsubscribed: since > 0 ? feedsOf(false) : [] };
    });
  }
}
