import {
  defaultPrivacy,
  eventStoreUrl,
  feedsUrl,
  postgresUrl,
  publicMinListeners,
  serviceConfig,
} from '@balados/platform-service';
import { z } from 'zod';

const DAY_MS = 86_400_000;

export const config = serviceConfig.extend({
  EVENTSTORE_URL: eventStoreUrl.describe('EventStoreDB, such as esdb://eventstore:2113?tls=false.'),
  USERS_DATABASE_URL: postgresUrl.describe('Postgres of the users context.'),
  SITE_DATABASE_URL: postgresUrl.describe('Postgres of the site context.'),
  DEFAULT_PRIVACY: defaultPrivacy,
  PUBLIC_MIN_LISTENERS: publicMinListeners,
  TRENDING_WINDOW: z.coerce
    .number()
    .min(1)
    .max(31)
    .default(7)
    .transform((days) => days * DAY_MS)
    .describe('Days over which growth is measured.'),
  CHECKPOINT_AFTER_DAYS: z.coerce
    .number()
    .min(1)
    .max(3_650)
    .default(45)
    .transform((days) => days * DAY_MS)
    .describe("Age at which a listener's events are drawn together into a checkpoint, in days."),
});

export type Config = z.infer<typeof config>;

/** Of the service in a process of its own: in that of rss-proxy it asks without a detour. */
export const aloneConfig = config.extend({ FEEDS_URL: feedsUrl });

export type AloneConfig = z.infer<typeof aloneConfig>;
