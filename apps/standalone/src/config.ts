import { config as commandApi, withOutsideIssuer } from '@balados/command-api';
import { config as jobs } from '@balados/jobs';
import { config as playGateway } from '@balados/play-gateway';
import { config as projections } from '@balados/projections';
import { config as publicApi } from '@balados/public-api';
import { config as rssProxy } from '@balados/rss-proxy';
import { eventStoreUrl, postgresUrl } from '@balados/platform-service';
import { z } from 'zod';

/** What the six services read, and where the embedded stores keep their data. A store that is named is not embedded. */
const shape = z.object({
  ...rssProxy.shape,
  ...playGateway.shape,
  ...jobs.shape,
  ...publicApi.shape,
  ...projections.shape,
  ...commandApi.shape,
  DATA_DIR: z.string().default('.data').describe('Folder of the embedded stores and of the journal of plays.'),
  EVENTSTORE_URL: eventStoreUrl.optional().describe('EventStoreDB; the embedded one when unset.'),
  USERS_DATABASE_URL: postgresUrl.optional().describe('Postgres of the users context; the embedded one when unset.'),
  SITE_DATABASE_URL: postgresUrl.optional().describe('Postgres of the site context; the embedded one when unset.'),
  LINK_KEYS: playGateway.shape.LINK_KEYS.optional().describe('Keys of play links; one that is made once when unset.'),
  PLAY_URL: rssProxy.shape.PLAY_URL.unwrap().optional(),
  PLAY_HOST: z.string().default('play.localhost').describe('Host name of play links, without a port.'),
});

export const config = withOutsideIssuer(shape);

export type Config = z.infer<typeof config>;
