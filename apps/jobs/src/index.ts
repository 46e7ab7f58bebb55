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
import { openDashboard } from './dashboard';
import { countFigures } from './dashboard/figures';
import { exposeFigures } from './dashboard/gauges';
import { askHealth, ownHealth, ServiceHealth } from './dashboard/services';
import { openStores } from './dependencies';
import { JobsModule } from './jobs.module';
import { createMetrics } from './metrics';

export { runCommand } from './command';
export { aloneConfig, config } from './config';
export { ownHealth, type ServiceHealth } from './dashboard/services';
export { openStores } from './dependencies';
export { JOBS } from './jobs';
export { SILENT } from './progress';

/** @param health of the system that this service is a part of; where it is a process of its own, it asks those that are configured */
export async function start(
  config: Config,
  log: Logger,
  feeds: FeedsClient,
  health?: () => Promise<ServiceHealth[]>,
): Promise<Service> {
  const registry = createRegistry('jobs');
  const watch = { onAppend: countAppends(registry), onCommand: countCommands(registry) };
  const { dependencies, close } = await patiently(log, 'Postgres', () => openStores(config, log, feeds, watch));
  const { users, site } = dependencies;
  exposePools(registry, { users: () => poolOf(users), site: () => poolOf(site) });
  const checks = {
    'users tables': async () => (await isMigrated(users)) || Promise.reject(new Error('migrations are missing')),
    'site tables': async () => (await isMigrated(site)) || Promise.reject(new Error('migrations are missing')),
  };
  const figures = countFigures(users);
  exposeFigures(registry, figures);
  const others = config.DASHBOARD_SERVICES ?? [];
  const services = health ?? (() => Promise.all([ownHealth('jobs (this copy)', checks), ...others.map(askHealth)]));
  const dashboard = openDashboard(config, { dependencies, figures, services, log });
  return createService({
    name: 'jobs',
    module: JobsModule.with(dependencies, createMetrics(registry, dependencies)),
    config,
    log,
    registry,
    checks,
    addRoutes: dashboard?.addRoutes,
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
