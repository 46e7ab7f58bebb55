import {
  defaultPrivacy,
  eventStoreUrl,
  postgresUrl,
  publicMinListeners,
  serviceConfig,
} from '@balados/platform-service';
import type { z } from 'zod';

export const config = serviceConfig.extend({
  EVENTSTORE_URL: eventStoreUrl.describe('EventStoreDB, such as esdb://eventstore:2113?tls=false.'),
  USERS_DATABASE_URL: postgresUrl.describe('Postgres of the users context.'),
  SITE_DATABASE_URL: postgresUrl.describe('Postgres of the site context.'),
  DEFAULT_PRIVACY: defaultPrivacy,
  PUBLIC_MIN_LISTENERS: publicMinListeners,
});

export type Config = z.infer<typeof config>;
