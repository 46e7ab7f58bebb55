import { Inject } from '@nestjs/common';
import { IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import type { Sql } from '@balados/platform-stores';
import { feedId } from '@balados/feeds-ids';
import { WireEpisode, wireEpisode } from '@balados/users-contracts';
import { allMarks, itemsOfEnclosure } from '@balados/users-domain';
import { LISTENER_STREAMS } from '@balados/users-write';
import type { ListenerStreams } from '@balados/users-write';
import { OwnRead, ownRead } from './own-reads';
import { Page, pageOf } from './pages';
import { USERS_SQL } from './queries';

/** The episodes that the listener has saved, the most recently saved first; of one feed, if one is given. */
export class GetSavedEpisodes extends Query<OwnRead<{ episodes: WireEpisode[]; total: number }>> {
  constructor(
    readonly userId: string,
    readonly page: Page,
    readonly feed?: string,
  ) {
    super();
  }
}

@QueryHandler(GetSavedEpisodes)
export class GetSavedEpisodesHandler implements IQueryHandler<GetSavedEpisodes> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(USERS_SQL) private readonly sql: Sql,
  ) {}

  execute({ userId, page, feed }: GetSavedEpisodes): Promise<OwnRead<{ episodes: WireEpisode[]; total: number }>> {
    return ownRead(
      { streams: this.streams.listening, sql: this.sql, userId },
      (state) => {
        const { entries, total } = pageOf(allMarks(state), ({ savedAt }) => savedAt, page, feed);
        return { episodes: entries.map(wireEpisode), total };
      },
      () => this.fromPostgres(userId, page, feed),
    );
  }

  private async fromPostgres(userId: string, { limit, offset }: Page, feed?: string) {
    const ofFeed = feed === undefined ? null : feedId(feed);
    const [rows, [count]] = await Promise.all([
      this.sql.query<{ feed: string; item: string; saved_at: Date; shared_at: Date | null }[]>(
        `SELECT saved.feed, CASE WHEN shared.revision > saved.revision THEN shared.item ELSE saved.item END AS item,
           saved_at, shared_at
         FROM users.saved_episodes saved LEFT JOIN users.shared_episodes shared USING (user_id, episode_id)
         WHERE user_id = $1 AND saved_at IS NOT NULL AND ($2::uuid IS NULL OR saved.feed_id = $2)
         ORDER BY saved_at DESC, episode_id LIMIT $3 OFFSET $4`,
        [userId, ofFeed, limit, offset],
      ),
      this.sql.query<{ total: string }[]>(
        `SELECT count(*) AS total FROM users.saved_episodes
         WHERE user_id = $1 AND saved_at IS NOT NULL AND ($2::uuid IS NULL OR feed_id = $2)`,
        [userId, ofFeed],
      ),
    ]);
    const episodes = rows.map(({ saved_at, shared_at, ...row }) =>
      wireEpisode({ ...row, savedAt: saved_at.getTime(), sharedAt: shared_at && shared_at.getTime() }),
    );
    return { episodes, total: Number(count!.total) };
  }
}

/** Of an episode that an app names by its enclosure: the item that it is known as, and those that are saved of it, if any. */
export class GetItemsOfEnclosure extends Query<{ item: string; saved: string[] }> {
  constructor(
    readonly userId: string,
    readonly feed: string,
    readonly enclosure: string,
  ) {
    super();
  }
}

@QueryHandler(GetItemsOfEnclosure)
export class GetItemsOfEnclosureHandler implements IQueryHandler<GetItemsOfEnclosure> {
  constructor(@Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams) {}

  execute({ userId, feed, enclosure }: GetItemsOfEnclosure): Promise<{ item: string; saved: string[] }> {
    return this.streams.listening.query(userId, ({ state }) => itemsOfEnclosure(state, feed, enclosure));
  }
}
