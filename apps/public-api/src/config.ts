import { postgresUrl, serviceConfig } from '@balados/platform-service';
import { z } from 'zod';

export const config = serviceConfig.extend({
  SITE_DATABASE_URL: postgresUrl.describe(
    'Postgres of the site context, as a role that reads its public tables and nothing else.',
  ),
  // What is stored of how far projectors are is up to ten seconds behind.
  PUBLIC_MAX_LAG: z.coerce
    .number()
    .min(30)
    .max(86_400)
    .default(300)
    .transform((seconds) => seconds * 1_000)
    .describe('Seconds that projections may be late before the timeline and all user ids are withheld.'),
});

export type Config = z.infer<typeof config>;
