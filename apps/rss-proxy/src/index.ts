import { FeedsClient, serveFeeds } from '@balados/feeds-client';
import { createRegistry, createService, Logger, nestLogger, Service } from '@balados/platform-service';
import { AloneConfig, Config } from './config';
import { openFeeds } from './feeds';
import { countAsked, exposeHeld } from './metrics';
import { RssProxyModule } from './rss-proxy.module';

export { aloneConfig, config } from './config';

export interface RssProxy extends Service {
  /** For the services of the same process. */
  feeds: FeedsClient;
}

export async function start(config: Config, log: Logger): Promise<RssProxy> {
  const registry = createRegistry('rss-proxy');
  const feeds = openFeeds(config, log, countAsked(registry));
  exposeHeld(registry, () => feeds.cache.size());
  const service = await createService({
    name: 'rss-proxy',
    module: RssProxyModule.with(feeds),
    config,
    log,
    registry,
    checks: {},
    publicReads: true,
    docs: { title: 'Balados Sync: feeds', problems: {} },
    onClose: () => feeds.close(),
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
