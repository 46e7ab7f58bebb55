import { CACHE_BYTES, FEEDS_KEPT } from '@balados/feeds-fetch';
import { linkKeys } from '@balados/feeds-ids';
import { postgresUrl, serviceConfig } from '@balados/platform-service';
import { z } from 'zod';

const MEGABYTE = 1_048_576;
/** Below that the longest of all feeds could not be kept. */
const CACHE_MIN_MB = 96;

const isHostAndPort = (text: string): boolean =>
  /^(?:[\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}$/.test(text) && URL.canParse(`http://${text}`);

export const config = serviceConfig.extend({
  USERS_DATABASE_URL: postgresUrl.describe(
    'Postgres of the users context, as a role that reads tokens, subscriptions and playlists.',
  ),
  LINK_KEYS: linkKeys,
  PLAY_URL: z
    .string()
    .refine(
      (text) => /^https?:\/\/[^?#]+$/.test(text) && URL.canParse(text),
      'must be an http or https URL without a query',
    )
    .default('http://play.localhost:4000')
    .describe('Base of the play links in personal feeds: where play-gateway is reached from outside.'),
  FEEDS_ALLOW_PRIVATE: z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .refine((parts) => parts.every(isHostAndPort), 'must be host:port, comma-separated')
    .default([])
    .describe('Hosts with their ports that feeds may be fetched from though they are not public.'),
  FEEDS_CACHE: z.coerce
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(FEEDS_KEPT)
    .describe('Feeds that are kept in memory at most.'),
  FEEDS_CACHE_MB: z.coerce
    .number()
    .min(CACHE_MIN_MB)
    .max(65_536)
    .default(CACHE_BYTES / MEGABYTE)
    .transform((megabytes) => megabytes * MEGABYTE)
    .describe('Memory for them, in MB.'),
  REDIS_URL: z
    .string()
    .refine((text) => /^rediss?:\/\//.test(text) && URL.canParse(text), 'must be a redis:// or rediss:// URL')
    .optional()
    .describe('Redis that all copies of rss-proxy keep feeds in; none when unset.'),
});

export type Config = z.infer<typeof config>;

/** Of the service in a process of its own, which other processes ask. */
export const aloneConfig = config.extend({
  FEEDS_HOST: z
    .string()
    .default('127.0.0.1')
    .describe('Address on which other services ask for feeds; it must not be reached from outside.'),
  FEEDS_PORT: z.coerce.number().int().min(0).max(65_535).default(4_100).describe('Its port; 0 lets the system choose.'),
});

export type AloneConfig = z.infer<typeof aloneConfig>;
