import { FeedsClient, openFeedsClient } from '@balados/feeds-client';
import { createRegistry, createService, Logger, patiently, Service } from '@balados/platform-service';
import { isMigrated, openEventStore, openPostgres } from '@balados/platform-stores';
import { siteContext } from '@balados/site-schema';
import { usersContext } from '@balados/users-schema';
import { openListenerStreams } from '@balados/users-write';
import { AloneConfig, Config } from './config';
import { JobsModule } from './jobs.module';

export { aloneConfig, config } from './config';
export { trim } from './trimming';

/** Folds of listeners whose history is being erased. */
const STATE_CACHE_BYTES = 16 * 1_048_576;
/** Jobs that are leaders at the same time hold one connection each while they work on others. */
const USERS_CONNECTIONS = 6;
const SITE_CONNECTIONS = 6;

export async function start(config: Config, log: Logger, feeds: FeedsClient): Promise<Service> {
  const [users, site] = await patiently(log, 'Postgres', () =>
    Promise.all([
      openPostgres(config.USERS_DATABASE_URL, usersContext, { service: 'jobs', poolSize: USERS_CONNECTIONS }),
      openPostgres(config.SITE_DATABASE_URL, siteContext, { service: 'jobs', poolSize: SITE_CONNECTIONS }),
    ]),
  );
  const store = openEventStore({ url: config.EVENTSTORE_URL });
  return createService({
    name: 'jobs',
    module: JobsModule.with({
      users,
      site,
      streams: openListenerStreams(store, STATE_CACHE_BYTES),
      log,
      trendingWindowMs: config.TRENDING_WINDOW,
      defaultPrivacy: config.DEFAULT_PRIVACY,
      publicMinListeners: config.PUBLIC_MIN_LISTENERS,
      checkpointAfterMs: config.CHECKPOINT_AFTER_DAYS,
      feeds,
    }),
    config,
    log,
    registry: createRegistry('jobs'),
    checks: {
      'users tables': async () => (await isMigrated(users)) || Promise.reject(new Error('migrations are missing')),
      'site tables': async () => (await isMigrated(site)) || Promise.reject(new Error('migrations are missing')),
    },
    onClose: async () => {
      await store.close();
      await Promise.all([users.destroy(), site.destroy()]);
    },
  });
}

/** In a process of its own: asks rss-proxy over TCP. */
export async function startAlone(config: AloneConfig, log: Logger): Promise<Service> {
  const feeds = openFeedsClient(config.FEEDS_URL);
  const service = await start(config, log, feeds);
  return {
    ...service,
    close: async () => {
      // What is asked for at this moment fails, so that nobody waits for a slow feed.
      feeds.close();
      await service.close();
    },
  };
}
