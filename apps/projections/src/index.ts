import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { createRegistry, createService, exposePools, Logger, patiently, Service } from '@balados/platform-service';
import { LEASE_MS, migrate, openEventStore, openPostgres, poolOf, runProjector } from '@balados/platform-stores';
import { createSiteProjector, storeDefaultPrivacy } from '@balados/site-projections';
import { siteContext } from '@balados/site-schema';
import { usersProjector } from '@balados/users-projections';
import { usersContext } from '@balados/users-schema';
import { Config } from './config';
import { checkProjector, exposeProjectors } from './metrics';
import { ProjectionsModule } from './projections.module';

export { config } from './config';

/**
 * The locks of a process that froze in a transaction must not outlive its leases: those who take over need the rows. Rows and position
 * are lost together or not at all, and the log has what made them.
 */
const session = { service: 'projections', idleInTransactionMs: LEASE_MS, commitsAwaitDisk: false };

export async function start(config: Config, log: Logger): Promise<Service> {
  const [users, site] = await patiently(log, 'Postgres', () =>
    Promise.all([
      openPostgres(config.USERS_DATABASE_URL, usersContext, session),
      openPostgres(config.SITE_DATABASE_URL, siteContext, session),
    ]),
  );
  await migrate(users, usersContext);
  await migrate(site, siteContext);
  const stored = await storeDefaultPrivacy(site.manager, config.DEFAULT_PRIVACY);
  if (stored !== config.DEFAULT_PRIVACY)
    log.warn(
      { stored, configured: config.DEFAULT_PRIVACY },
      'the default privacy stays as stored until a job changes it',
    );

  const store = openEventStore({ url: config.EVENTSTORE_URL, log });
  // Names this process among those that share the segments; another life is another owner.
  const owner = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  const siteProjector = createSiteProjector({
    publicMinListeners: config.PUBLIC_MIN_LISTENERS,
  });
  const running = [
    runProjector({ projector: usersProjector, store, dataSource: users, owner, log }),
    runProjector({ projector: siteProjector, store, dataSource: site, owner, log }),
  ];
  const registry = createRegistry('projections');
  exposeProjectors(registry, running);
  exposePools(registry, { users: () => poolOf(users), site: () => poolOf(site) });
  return createService({
    name: 'projections',
    module: ProjectionsModule,
    config,
    log,
    registry,
    checks: {
      postgres: () => Promise.all([users.query('SELECT 1'), site.query('SELECT 1')]),
      'event store': () => store.headPosition(),
      ...Object.fromEntries(
        running.map((projector) => [`projector ${projector.name}`, () => checkProjector(projector)]),
      ),
    },
    onClose: async () => {
      await Promise.all(running.map((projector) => projector.close()));
      await store.close();
      await Promise.all([users.destroy(), site.destroy()]);
    },
  });
}
