import { Inject } from '@nestjs/common';
import { IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import type { Sql } from '@balados/platform-stores';
import { feedId } from '@balados/feeds-ids';
import { WirePlay, wirePlay, WireSubscription, wireSubscription } from '@balados/users-contracts';
import { allPlays, isSubscribed } from '@balados/users-domain';
import { LISTENER_STREAMS } from '@balados/users-write';
import type { ListenerStreams } from '@balados/users-write';
import { OwnRead, ownRead } from './own-reads';
import { Page, pageOf } from './pages';

/** Injection token of the connection to the `users` context: `Sql`. */
export const USERS_SQL = Symbol('users sql');

/** The podcasts that the listener is subscribed to, in the order in which they subscribed. */
export class GetSubscriptions extends Query<OwnRead<WireSubscription[]>> {
  constructor(readonly userId: string) {
    super();
  }
}

/** The listener's plays, the most recently updated first; of one feed, if one is given. */
export class GetPlays extends Query<OwnRead<{ plays: WirePlay[]; total: number }>> {
  constructor(
    readonly userId: string,
    readonly page: Page,
    readonly feed?: string,
  ) {
    super();
  }
}

@QueryHandler(GetSubscriptions)
export class GetSubscriptionsHandler implements IQueryHandler<GetSubscriptions> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(USERS_SQL) private readonly sql: Sql,
  ) {}

  execute({ userId }: GetSubscriptions): Promise<OwnRead<WireSubscription[]>> {
    return ownRead(
      { streams: this.streams.subscriptions, sql: this.sql, userId },
      (state) =>
        [...state.feeds.values()]
          .filter(isSubscribed)
          .sort((a, b) => a.subscribedAt! - b.subscribedAt! || (feedId(a.feed) < feedId(b.feed) ? -1 : 1))
          .map(wireSubscription),
      () => this.fromPostgres(userId),
    );
  }

  private async fromPostgres(userId: string): Promise<WireSubscription[]> {
    const rows = await this.sql.query<
      { feed: string; source_id: string | null; subscribed_at: Date; unsubscribed_at: Date | null }[]
    >(
      `SELECT feed, source_id, subscribed_at, unsubscribed_at FROM users.subscriptions
       WHERE user_id = $1 AND subscribed ORDER BY subscribed_at, feed_id`,
      [userId],
    );
    return rows.map((row) =>
      wireSubscription({
        feed: row.feed,
        sourceId: row.source_id,
        subscribedAt: row.subscribed_at.getTime(),
        unsubscribedAt: row.unsubscribed_at && row.unsubscribed_at.getTime(),
      }),
    );
  }
}

@QueryHandler(GetPlays)
export class GetPlaysHandler implements IQueryHandler<GetPlays> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(USERS_SQL) private readonly sql: Sql,
  ) {}

  execute({ userId, page, feed }: GetPlays): Promise<OwnRead<{ plays: WirePlay[]; total: number }>> {
    return ownRead(
      { streams: this.streams.listening, sql: this.sql, userId },
      (state) => {
        const { entries, total } = pageOf(allPlays(state), ({ updatedAt }) => updatedAt, page, feed);
        return { plays: entries.map(wirePlay), total };
      },
      () => this.fromPostgres(userId, page, feed),
    );
  }

  private async fromPostgres(userId: string, { limit, offset }: Page, feed?: string) {
    const ofFeed = feed === undefined ? null : feedId(feed);
    const [rows, [count]] = await Promise.all([
      this.sql.query<{ feed: string; item: string; position: number; played: boolean; updated_at: Date }[]>(
        `SELECT feed, item, position, played, updated_at FROM users.play_statuses
         WHERE user_id = $1 AND ($2::uuid IS NULL OR feed_id = $2)
         ORDER BY updated_at DESC, episode_id LIMIT $3 OFFSET $4`,
        [userId, ofFeed, limit, offset],
      ),
      this.sql.query<{ total: string }[]>(
        'SELECT count(*) AS total FROM users.play_statuses WHERE user_id = $1 AND ($2::uuid IS NULL OR feed_id = $2)',
        [userId, ofFeed],
      ),
    ]);
    const plays = rows.map((row) => wirePlay({ ...row, updatedAt: row.updated_at.getTime() }));
    return { plays, total: Number(count!.total) };
  }
}
