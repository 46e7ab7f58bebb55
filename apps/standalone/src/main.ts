import 'reflect-metadata';
import * as commandApi from '@balados/command-api';
import * as jobs from '@balados/jobs';
import * as playGateway from '@balados/play-gateway';
import * as projections from '@balados/projections';
import * as publicApi from '@balados/public-api';
import * as rssProxy from '@balados/rss-proxy';
import {
  collectProcessMetrics,
  configOrExit,
  createLogger,
  createRegistry,
  failLoudly,
  listen,
  Logger,
  stopOnSignals,
} from '@balados/platform-service';
import { startTracing } from '@balados/platform-tracing';
import { PODCASTS_READER, SITE_READER } from '@balados/site-schema';
import { ACCOUNTS_WRITER, FEED_READER, TOKEN_READER, USERS_CLEANER } from '@balados/users-schema';
import { Config, config as schema } from './config';
import { openStores, Stores } from './embedded-stores';
import { loadLinkKeys } from './link-keys';
import { route, Services } from './router';
import { welcome } from './welcome';

async function main(): Promise<void> {
  const config = configOrExit(schema);
  const log = createLogger('standalone', config.LOG_LEVEL);
  failLoudly(log);
  const startedAt = performance.now();
  try {
    const stores = await openStores(config, log);
    const tellTraces = await startTracing('standalone', config.OTEL_EXPORTER_OTLP_ENDPOINT);
    const services = await startServices({ ...config, ...stores }, log);
    const ofProcess = createRegistry('standalone');
    collectProcessMetrics(ofProcess);
    const listener = await listen(route(services, config.PLAY_HOST, ofProcess), {
      port: config.PORT,
      host: config.HOST,
    });
    stopOnSignals(log, async () => {
      await listener.close();
      // In the order of the flow: what takes work in stops before what works it off.
      for (const name of ['command-api', 'play-gateway', 'public-api', 'rss-proxy', 'jobs', 'projections'] as const) {
        await services[name].close();
      }
      await stores.close();
      await tellTraces();
    });
    log.info({ port: listener.port, readyAfterMs: Math.round(performance.now() - startedAt) }, 'listening');
    welcome(listener.port, config);
  } catch (error) {
    log.fatal({ err: error }, 'standalone could not start');
    process.exit(1);
  }
}

/** Each service in a container of its own, as if it were alone. */
async function startServices(config: Config & Omit<Stores, 'close'>, log: Logger): Promise<Services> {
  const own = (service: string): Logger => log.child({ service });
  const running: Partial<Services> = {};
  const health = (): Promise<jobs.ServiceHealth[]> =>
    Promise.all(Object.values(running).map(({ name, checks }) => jobs.ownHealth(name, checks)));
  // Projections first: they make the tables, and the role as which public-api reads.
  const projecting = await projections.start(config, own('projections'));
  const linkKeys = config.LINK_KEYS ?? (await loadLinkKeys(config.USERS_DATABASE_URL));
  const feeds = await rssProxy.start(
    {
      ...config,
      LINK_KEYS: linkKeys,
      PLAY_URL: config.PLAY_URL ?? `http://${config.PLAY_HOST}:${config.PORT}`,
      USERS_DATABASE_URL: asRole(FEED_READER, config.USERS_DATABASE_URL),
    },
    own('rss-proxy'),
  );
  const [listeners, publicReads, links, clock] = await Promise.all([
    commandApi.start(
      {
        ...config,
        USERS_DATABASE_URL: asRole(ACCOUNTS_WRITER, config.USERS_DATABASE_URL),
        SITE_DATABASE_URL: asRole(PODCASTS_READER, config.SITE_DATABASE_URL),
      },
      own('command-api'),
    ),
    publicApi.start({ ...config, SITE_DATABASE_URL: asRole(SITE_READER, config.SITE_DATABASE_URL) }, own('public-api')),
    playGateway.start(
      { ...config, LINK_KEYS: linkKeys, USERS_DATABASE_URL: asRole(TOKEN_READER, config.USERS_DATABASE_URL) },
      own('play-gateway'),
      feeds.feeds,
    ),
    jobs.start(
      { ...config, USERS_DATABASE_URL: asRole(USERS_CLEANER, config.USERS_DATABASE_URL) },
      own('jobs'),
      feeds.feeds,
      health,
    ),
  ]);
  return Object.assign(running, {
    projections: projecting,
    'command-api': listeners,
    'public-api': publicReads,
    'rss-proxy': feeds,
    'play-gateway': links,
    jobs: clock,
  });
}

/** The same database, in a role that may do a few things alone: what a service is given when it runs by itself. */
function asRole(role: string, databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.searchParams.set('options', `-c role=${role}`);
  return url.toString();
}

void main();
