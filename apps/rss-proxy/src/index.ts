import { FeedsClient, serveFeeds } from '@balados/feeds-client';
import { createRegistry, createService, exposePools, Logger, nestLogger, Service } from '@balados/platform-service';
import { openPostgresWhenReached } from '@balados/platform-stores';
import { PersonalTokens } from '@balados/users-accounts';
import { tokenReadContext } from '@balados/users-schema';
import { AloneConfig, Config } from './config';
import { openFeeds } from './feeds';
import { exposeHeld, watchFeeds } from './metrics';
import { PersonalFeeds } from './personal-feeds';
import { RssProxyModule } from './rss-proxy.module';

export { aloneConfig, config } from './config';

export interface RssProxy extends Service {
  /** For the services of the same process. */
  feeds: FeedsClient;
}

export async function start(config: Config, log: Logger, now: () => number = Date.now): Promise<RssProxy> {
  const registry = createRegistry('rss-proxy');
  const feeds = openFeeds(config, log, { ...watchFeeds(registry), now });
  exposeHeld(registry, () => feeds.cache.size());
  // Feeds are proxied without Postgres.
  const users = openPostgresWhenReached(config.USERS_DATABASE_URL, tokenReadContext, {
    service: 'rss-proxy',
    onWaiting: (reason) => log.warn({ reason }, 'waiting for Postgres'),
  });
  exposePools(registry, { users: users.pool });
  // A copy that comes takes requests at once.
  await users.tried;
  const personal = new PersonalFeeds({
    cache: feeds.cache,
    tokens: new PersonalTokens(users.sql, { notesUse: false }),
    sql: users.sql,
    playUrl: config.PLAY_URL,
    linkKeys: config.LINK_KEYS,
  });
  const service = await createService({
    name: 'rss-proxy',
    module: RssProxyModule.with(feeds, personal),
    config,
    log,
    registry,
    checks: {},
    publicReads: true,
    docs: { title: 'Balados Sync: feeds', problems: {} },
    onClose: async () => {
      await feeds.close();
      await users.close();
    },
  });
  return { ...service, feeds };
}

/** In a process of its own: other services ask over TCP. */
export async function startAlone(config: AloneConfig, log: Logger): Promise<Service> {
  const { feeds, ...service } = await start(config, log);
  const server = await serveFeeds(feeds, {
    host: config.FEEDS_HOST,
    port: config.FEEDS_PORT,
    logger: nestLogger(log),
  });
  log.info({ feedsPort: server.port }, 'other services may ask for feeds');
  return {
    ...service,
    close: async () => {
      await server.close();
      await service.close();
    },
  };
}
