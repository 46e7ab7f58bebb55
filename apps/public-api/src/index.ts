import { Refusal } from '@balados/event-sourcing';
import {
  createRegistry,
  createService,
  exposePools,
  Logger,
  patiently,
  Problem,
  Service,
} from '@balados/platform-service';
import { openPostgres, poolOf } from '@balados/platform-stores';
import { withoutPeople } from '@balados/site-read';
import { siteReadContext } from '@balados/site-schema';
import { Config } from './config';
import { PublicApiModule } from './public-api.module';
import { WITHHELD_HEADER } from './withholding';

export { config } from './config';

/** Starts without waiting for the tables: `/readyz` says when they are there. */
export async function start(config: Config, log: Logger): Promise<Service> {
  const site = await patiently(log, 'Postgres', () =>
    openPostgres(config.SITE_DATABASE_URL, siteReadContext, { service: 'public-api' }),
  );
  const registry = createRegistry('public-api');
  exposePools(registry, { site: () => poolOf(site) });
  return createService({
    name: 'public-api',
    module: PublicApiModule.with(site.manager, { maxLagMs: config.PUBLIC_MAX_LAG }),
    config,
    log,
    registry,
    checks: { postgres: () => site.query('SELECT 1 FROM site.podcast_popularity, site.projection LIMIT 1') },
    mappings: [invalidCursor],
    publicReads: true,
    // Nobody knows then how late projections are.
    keepsAnswers: { outage: { reduce: withoutPeople, headers: { [WITHHELD_HEADER]: 'true' } } },
    docs: { title: 'Balados Sync: what is public', problems: {} },
    onClose: () => site.destroy(),
  });
}

const invalidCursor = (error: unknown): Problem | undefined =>
  error instanceof Refusal && error.code === 'invalid_cursor'
    ? new Problem(422, 'invalid', 'The cursor is not usable.', {
        errors: [{ path: 'cursor', code: error.code, message: error.message }],
      })
    : undefined;
