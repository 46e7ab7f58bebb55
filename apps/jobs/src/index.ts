import { createRegistry, createService, Logger, patiently, Service } from '@balados/platform-service';
import { isMigrated, openPostgres } from '@balados/platform-stores';
import { siteContext } from '@balados/site-schema';
import { usersContext } from '@balados/users-schema';
import { Config } from './config';
import { JobsModule } from './jobs.module';

export { config } from './config';

export async function start(config: Config, log: Logger): Promise<Service> {
  const [users, site] = await patiently(log, 'Postgres', () =>
    Promise.all([
      openPostgres(config.USERS_DATABASE_URL, usersContext, { service: 'jobs', poolSize: 2 }),
      openPostgres(config.SITE_DATABASE_URL, siteContext, { service: 'jobs', poolSize: 2 }),
    ]),
  );
  return createService({
    name: 'jobs',
    module: JobsModule.with({
      users,
      site,
      log,
      trendingWindowMs: config.TRENDING_WINDOW,
      defaultPrivacy: config.DEFAULT_PRIVACY,
      publicMinListeners: config.PUBLIC_MIN_LISTENERS,
    }),
    config,
    log,
    registry: createRegistry('jobs'),
    checks: {
      'users tables': async () => (await isMigrated(users)) || Promise.reject(new Error('migrations are missing')),
      'site tables': async () => (await isMigrated(site)) || Promise.reject(new Error('migrations are missing')),
    },
    onClose: async () => {
      await Promise.all([users.destroy(), site.destroy()]);
    },
  });
}
