import { linkKeys } from '@balados/feeds-ids';
import { eventStoreUrl, feedsUrl, postgresUrl, serviceConfig } from '@balados/platform-service';
import { z } from 'zod';

const MEGABYTE = 1_048_576;

export const config = serviceConfig.extend({
  EVENTSTORE_URL: eventStoreUrl.describe('EventStoreDB, such as esdb://eventstore:2113?tls=false.'),
  USERS_DATABASE_URL: postgresUrl.describe('Postgres of the users context, as a role that reads its tokens.'),
  LINK_KEYS: linkKeys,
  DATA_DIR: z.string().default('.data').describe('Folder of the journal of plays; each copy has its own.'),
  PLAY_JOURNAL_MB: z.coerce
    .number()
    .min(1)
    .max(65_536)
    .default(256)
    .transform((megabytes) => megabytes * MEGABYTE)
    .describe('Plays that wait for the event store take at most this much of the disk, in MB.'),
});

export type Config = z.infer<typeof config>;

/** Of the service in a process of its own: in that of rss-proxy it asks without a detour. */
export const aloneConfig = config.extend({
  FEEDS_URL: feedsUrl,
});

export type AloneConfig = z.infer<typeof aloneConfig>;
