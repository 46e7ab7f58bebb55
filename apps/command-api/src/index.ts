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
import { isMigrated, openEventStore, openPostgres, openPostgresWhenReached, poolOf } from '@balados/platform-stores';
import { popularPodcasts } from '@balados/site-read';
import { siteReadContext } from '@balados/site-schema';
import { createAccounts } from '@balados/users-accounts';
import { usersContext } from '@balados/users-schema';
import { ChangeFeed } from '@balados/users-read';
import { openListenerStreams } from '@balados/users-write';
import { CommandApiModule } from './command-api.module';
import { Config } from './config';
import { EventStreams } from './event-streams';
import { exposeEventStreams, exposeStateCache } from './metrics';
import { withoutFolder } from './nextcloud/public-address';
import { LISTENER_PROBLEMS, usersProblem } from './problems';
import type { PopularPodcasts } from './gpodder/suggestions.controller';

export { config, withOutsideIssuer } from './config';

const MEGABYTE = 1_048_576;

export async function start(config: Config, log: Logger): Promise<Service> {
  const users = await patiently(log, 'Postgres', () =>
    openPostgres(config.USERS_DATABASE_URL, usersContext, { service: 'command-api' }),
  );
  await patiently(log, 'the tables, which projections makes', async () => {
    if (!(await isMigrated(users))) throw new Error('migrations are missing');
  });
  const accounts = await createAccounts({ dataSource: users, config });
  const registry = createRegistry('command-api');
  const store = openEventStore({ url: config.EVENTSTORE_URL, onAppend: countAppends(registry) });
  const streams = openListenerStreams(store, config.STATE_CACHE_MB * MEGABYTE, countCommands(registry));
  const feed = new ChangeFeed(store, log);
  const eventStreams = new EventStreams({ feed, streams, authenticate: accounts.authenticate });
  // All but suggestions is answered without it.
  const site =
    config.SITE_DATABASE_URL === undefined
      ? undefined
      : openPostgresWhenReached(config.SITE_DATABASE_URL, siteReadContext, {
          service: 'command-api',
          onWaiting: (reason) => log.warn({ reason }, 'waiting for Postgres of the site context'),
        });
  const popular: PopularPodcasts = async (asked) => (site ? popularPodcasts(site.sql, asked) : []);
  exposePools(registry, { users: () => poolOf(users), ...(site && { site: site.pool }) });
  exposeStateCache(registry, streams.cache);
  exposeEventStreams(registry, eventStreams);
  return createService({
    name: 'command-api',
    module: CommandApiModule.with({ config, sql: users.manager, accounts, streams, eventStreams, popular }),
    config,
    log,
    registry,
    checks: { postgres: () => users.query('SELECT 1'), 'event store': () => store.headPosition() },
    mappings: [usersProblem],
    rewriteUrl: withoutFolder,
    docs: { title: 'Balados Sync: the API of listeners', problems: LISTENER_PROBLEMS, bearer: true },
    onClose: async () => {
      await store.close();
      await users.destroy();
      await site?.close();
    },
  });
}
