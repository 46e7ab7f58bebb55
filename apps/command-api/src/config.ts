import { eventStoreUrl, postgresUrl, serviceConfig } from '@balados/platform-service';
import { accountsConfig, withOutsideIssuer } from '@balados/users-accounts';
import { z } from 'zod';

const shape = serviceConfig.extend({
  ...accountsConfig.shape,
  EVENTSTORE_URL: eventStoreUrl.describe('EventStoreDB, such as esdb://eventstore:2113?tls=false.'),
  USERS_DATABASE_URL: postgresUrl.describe('Postgres of the users context.'),
  SITE_DATABASE_URL: postgresUrl
    .optional()
    .describe(
      'Postgres of the site context, as a role that reads its podcasts; unset, nothing is suggested to anybody.',
    ),
  REGISTRATION: z.enum(['open', 'closed']).default('open').describe('Whether anybody may make an account.'),
  PUBLIC_URL: z
    .string()
    .refine(
      (text) => /^https?:\/\/[^/@?#\s]+(?:\/[^?#\s]*)?$/.test(text) && URL.canParse(text),
      'must be https://host or http://host',
    )
    .transform((text) => text.replace(/\/+$/, ''))
    .optional()
    .describe('How apps reach this, such as https://sync.example, a folder included; by default as the request says.'),
  STATE_CACHE_MB: z.coerce.number().min(1).max(65_536).default(64).describe('Memory for folded states, in MB.'),
});

export { withOutsideIssuer };

export const config = withOutsideIssuer(shape);

export type Config = z.infer<typeof config>;
