import { join } from 'node:path';
import { FeedsClient, openFeedsClient } from '@balados/feeds-client';
import {
  countAppends,
  countCommands,
  createRegistry,
  createService,
  exposePools,
  Logger,
  Service,
} from '@balados/platform-service';
import { openEventStore, openPostgresWhenReached } from '@balados/platform-stores';
import { PersonalTokens } from '@balados/users-accounts';
import { tokenReadContext } from '@balados/users-schema';
import { openListenerStreams } from '@balados/users-write';
import { AloneConfig, Config } from './config';
import { Delivery } from './delivery';
import { lockFolder } from './folder-lock';
import { playLinks } from './gateway';
import { Journal, LossReason } from './journal';
import { linkReader } from './links';
import { createMetrics } from './metrics';
import { PlayGatewayModule } from './play-gateway.module';
import { recentKey, RecentPlays } from './recent-plays';

export { aloneConfig, config } from './config';

/** Memory for the folded streams of those whose plays are delivered, in bytes. */
export const DELIVERY_CACHE_BYTES = 32 * 1_048_576;

/** That plays are lost is logged at most this often, in milliseconds; how many are is a metric. */
const LOSS_LOGGED_EVERY_MS = 10_000;

function atMostEvery<Said extends unknown[]>(ms: number, say: (...said: Said) => void): (...said: Said) => void {
  let last = -Infinity;
  return (...said) => {
    if (performance.now() - last < ms) return;
    last = performance.now();
    say(...said);
  };
}

/** Waits for no store: links redirect without them, and `/readyz` says so. */
export async function start(config: Config, log: Logger, feeds: FeedsClient): Promise<Service> {
  const registry = createRegistry('play-gateway');
  const metrics = createMetrics(registry);
  const folder = join(config.DATA_DIR, 'plays');
  const lock = await lockFolder(folder, { log });
  const recent = await RecentPlays.open(folder, { log });
  const sayLost = atMostEvery(LOSS_LOGGED_EVERY_MS, (reason: LossReason) =>
    log.error({ reason }, 'plays are lost: their links redirect, and nobody will count them'),
  );
  const journal = await Journal.open(folder, {
    maxBytes: config.PLAY_JOURNAL_MB,
    log,
    onWritten: () => delivery.wake(),
    onLost: (reason, plays) => {
      metrics.lost(reason, plays);
      sayLost(reason);
    },
    onFound: ({ tokenHash, feed, item, heardAt }) => recent.add(recentKey(tokenHash, feed, item), heardAt),
  });
  metrics.watch(journal, folder);
  // Links redirect without Postgres.
  const users = openPostgresWhenReached(config.USERS_DATABASE_URL, tokenReadContext, {
    service: 'play-gateway',
    onWaiting: (reason) => log.warn({ reason }, 'waiting for Postgres'),
  });
  exposePools(registry, { users: users.pool });
  const tokens = new PersonalTokens(users.sql, { notesUse: false });
  const store = openEventStore({ url: config.EVENTSTORE_URL, onAppend: countAppends(registry) });
  const streams = openListenerStreams(store, DELIVERY_CACHE_BYTES, countCommands(registry));
  const delivery = new Delivery({ journal, streams, tokens, log, onDelivered: metrics.delivered });
  return createService({
    name: 'play-gateway',
    module: PlayGatewayModule,
    config,
    log,
    registry,
    checks: {},
    beforehand: playLinks({
      readLink: linkReader(config.LINK_KEYS),
      tokens,
      feeds,
      journal,
      recent,
      answered: metrics.answered,
      clock: Date.now,
    }),
    onClose: async () => {
      await delivery.close();
      await journal.close();
      await recent.close();
      await lock.release();
      await store.close();
      await users.close();
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
      await service.close();
      feeds.close();
    },
  };
}
