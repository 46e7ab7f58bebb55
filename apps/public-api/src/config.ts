import { postgresUrl, serviceConfig } from '@balados/platform-service';
import { z } from 'zod';

export const config = serviceConfig.extend({
  SITE_DATABASE_URL: postgresUrl.describe(
    'Postgres of the site context, as a role that reads its public tables and nothing else.',
  ),
});

export type Config = z.infer<typeof config>;
