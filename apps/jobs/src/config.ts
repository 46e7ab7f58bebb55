import {
  defaultPrivacy,
  eventStoreUrl,
  feedsUrl,
  postgresUrl,
  publicMinListeners,
  serviceConfig,
} from '@balados/platform-service';
import { z } from 'zod';
import { servicesList } from './dashboard/services';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const batch = (byDefault: number) => z.coerce.number().int().min(1).max(1_000_000).default(byDefault);

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
    .min(0)
    .max(3_650)
    .default(45)
    .transform((days) => days * DAY_MS)
    .describe("Age at which a listener's events are drawn together into a checkpoint, in days."),
  DROP_AFTER_DAYS: z.coerce
    .number()
    .min(0)
    .max(3_650)
    .default(45)
    .transform((days) => days * DAY_MS)
    .describe('Age at which of unsubscribed podcasts and deleted playlists only key and dates are kept, in days.'),
  JOBS_EVERY: z.coerce
    .number()
    .min(1)
    .max(86_400)
    .default(300)
    .transform((seconds) => seconds * 1_000)
    .describe('Seconds from one round of the jobs to the next; erasures and titles have their own time.'),
  CHECKPOINT_BATCH: batch(2_000).describe('Streams that get a checkpoint in one run; the others wait for the next.'),
  TRIM_BATCH: batch(5_000).describe('Streams that are cut in one run.'),
  ADMIN_TOKEN: z
    .string()
    .regex(/^[!-~]{32,1024}$/, 'must be 32 to 1,024 visible characters of ASCII, without spaces')
    .optional()
    .describe('Who sends it sees the dashboard; without it there is none.'),
  DASHBOARD_SERVICES: servicesList
    .optional()
    .describe('Services whose health the dashboard shows: name=http://host:port, comma-separated.'),
  METADATA_BATCH: batch(500).describe('Feeds that are asked for their titles in one run.'),
  SCAVENGE_EVERY_HOURS: z.coerce
    .number()
    .min(0)
    .max(8_760)
    .default(24)
    .transform((hours) => hours * HOUR_MS)
    .describe('Hours from one scavenge of the event store to the next, which jobs ask it for; 0: never.'),
});

export type Config = z.infer<typeof config>;

/** Of whoever runs jobs by hand: without rss-proxy nothing is asked of feeds. */
export const commandConfig = config.extend({ FEEDS_URL: feedsUrl.optional() });

/** Of the service in a process of its own: in that of rss-proxy it asks without a detour. */
export const aloneConfig = config.extend({ FEEDS_URL: feedsUrl });

export type AloneConfig = z.infer<typeof aloneConfig>;
