import { FeedsClient, openFeedsClient } from '@balados/feeds-client';
import {
  countAppends,
  countCommands,
  createRegistry,
  createService,
  exposePools,
  Logger,
  patiently,
  Service,
} from '@balados/platform-service';
import { isMigrated, poolOf } from '@balados/platform-stores';
import { AloneConfig, Config } from './config';
import { openStores } from './dependencies';
import { JobsModule } from './jobs.module';
import { createMetrics } from './metrics';

export { runCommand } from './command';
export { aloneConfig, config } from './config';
export { openStores } from './dependencies';
export { JOBS } from './jobs';
export { SILENT } from './progress';

export async function start(config: Config, log: Logger, feeds: FeedsClient): Promise<Service> {
  const registry = createRegistry('jobs');
  const watch = { onAppend: countAppends(registry), onCommand: countCommands(registry) };
  const { dependencies, close } = await patiently(log, 'Postgres', () => openStores(config, log, feeds, watch));
  const { users, site } = dependencies;
  exposePools(registry, { users: () => poolOf(users), site: () => poolOf(site) });
  return createService({
    name: 'jobs',
    module: JobsModule.with(dependencies, createMetrics(registry, dependencies)),
    config,
    log,
    registry,
    checks: {
      'users tables': async () => (await isMigrated(users)) || Promise.reject(new Error('migrations are missing')),
      'site tables': async () => (await isMigrated(site)) || Promise.reject(new Error('migrations are missing')),
    },
    onClose: close,
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
