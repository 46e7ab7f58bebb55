import type { CommandObserver } from '@balados/event-sourcing';
import type { FeedsClient } from '@balados/feeds-client';
import type { Logger } from '@balados/platform-service';
import { AppendObserver, openEventStore, openPostgres } from '@balados/platform-stores';
import { siteContext } from '@balados/site-schema';
import { usersContext } from '@balados/users-schema';
import { openListenerStreams } from '@balados/users-write';
import type { Config } from './config';
import type { JobsDependencies } from './jobs';

/** Folds of listeners whose history is being erased. */
const STATE_CACHE_BYTES = 16 * 1_048_576;
/** Jobs that are leaders at the same time hold one connection each while they work on others; the dashboard asks beside them. */
const CONNECTIONS = 8;

/** What jobs work with, as configured. @throws when Postgres cannot be reached */
export async function openStores(
  config: Omit<Config, 'PORT' | 'HOST'>,
  log: Logger,
  feeds: FeedsClient | undefined,
  { onAppend, onCommand }: { onAppend?: AppendObserver; onCommand?: CommandObserver } = {},
): Promise<{ dependencies: JobsDependencies; close: () => Promise<void> }> {
  const of = { service: 'jobs', poolSize: CONNECTIONS };
  const users = await openPostgres(config.USERS_DATABASE_URL, usersContext, of);
  const site = await openPostgres(config.SITE_DATABASE_URL, siteContext, of).catch(async (error: unknown) => {
    await users.destroy();
    throw error;
  });
  const store = openEventStore({ url: config.EVENTSTORE_URL, onAppend });
  return {
    dependencies: {
      users,
      site,
      streams: openListenerStreams(store, STATE_CACHE_BYTES, onCommand),
      log,
      feeds,
      defaultPrivacy: config.DEFAULT_PRIVACY,
      publicMinListeners: config.PUBLIC_MIN_LISTENERS,
      trendingWindowMs: config.TRENDING_WINDOW,
      checkpointAfterMs: config.CHECKPOINT_AFTER_DAYS,
      dropAfterMs: config.DROP_AFTER_DAYS,
      everyMs: config.JOBS_EVERY,
      checkpointBatch: config.CHECKPOINT_BATCH,
      trimBatch: config.TRIM_BATCH,
      metadataBatch: config.METADATA_BATCH,
      scavengeEveryMs: config.SCAVENGE_EVERY_HOURS,
    },
    close: async () => {
      await store.close();
      await Promise.all([users.destroy(), site.destroy()]);
    },
  };
}
