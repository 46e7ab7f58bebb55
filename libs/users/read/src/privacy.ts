import { Inject } from '@nestjs/common';
import { IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import type { Sql } from '@balados/platform-stores';
import { episodeKey } from '@balados/feeds-ids';
import { Privacy, WirePrivacy, wirePrivacy } from '@balados/users-contracts';
import { compareBy, PrivacyScope, PrivacyState, standingPrivacy } from '@balados/users-domain';
import { LISTENER_STREAMS } from '@balados/users-write';
import type { ListenerStreams } from '@balados/users-write';
import { OwnRead, ownRead } from './own-reads';
import { USERS_SQL } from './queries';

/**
 * The listener's settings: the account's first, then each podcast's with its episodes after it. With a feed those of that podcast and
 * of its episodes, with an item those of that episode, whatever its feed.
 */
export class GetPrivacy extends Query<OwnRead<WirePrivacy[]>> {
  constructor(
    readonly userId: string,
    readonly feed?: string,
    readonly item?: string,
  ) {
    super();
  }
}

type Setting = PrivacyScope & { privacy: Privacy | null };

const byScope = compareBy<Setting>(
  ({ feed }) => feed ?? '',
  ({ item }) => item ?? '',
);

@QueryHandler(GetPrivacy)
export class GetPrivacyHandler implements IQueryHandler<GetPrivacy> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(USERS_SQL) private readonly sql: Sql,
  ) {}

  async execute({ userId, feed, item }: GetPrivacy): Promise<OwnRead<WirePrivacy[]>> {
    const { answer: settings, stale } = await ownRead<PrivacyState, Setting[]>(
      { streams: this.streams.privacy, sql: this.sql, userId },
      standingPrivacy,
      () =>
        this.sql.query<Setting[]>(
          'SELECT feed, item, privacy FROM users.user_privacy WHERE user_id = $1 AND privacy IS NOT NULL',
          [userId],
        ),
    );
    const key = item === undefined ? undefined : episodeKey(item);
    const answer = settings
      .filter((setting) => feed === undefined || setting.feed === feed)
      .filter((setting) => key === undefined || (setting.item !== null && episodeKey(setting.item) === key))
      .sort(byScope)
      .map(wirePrivacy);
    return { answer, stale };
  }
}
