import { hostname } from 'node:os';
import { randomUUID } from 'node:crypto';
import { isMigrated, openEventStore, OpenEventStore, openPostgres, Rebuildable } from '@balados/platform-stores';
import { createSiteRebuildable, DEFAULT_SITE_POLICY, forgetEntirely } from '@balados/site-projections';
import { siteContext } from '@balados/site-schema';
import { forgetReadModels, usersRebuildable } from '@balados/users-projections';
import { usersContext } from '@balados/users-schema';
import type { DataSource, EntityManager } from 'typeorm';
import type { z } from 'zod';
import { config } from '../config';

/** What the commands need of the service's environment. */
export const operateConfig = config.pick({
  EVENTSTORE_URL: true,
  USERS_DATABASE_URL: true,
  SITE_DATABASE_URL: true,
  DEFAULT_PRIVACY: true,
  PUBLIC_MIN_LISTENERS: true,
});

export type OperateConfig = z.infer<typeof operateConfig>;

/** Something that whoever called the command must know, in words for them. */
export class CommandFailed extends Error {
  override name = 'CommandFailed';
}

/** A projector with its tables. */
export interface Projection {
  rebuildable: Rebuildable;
  live: DataSource;
  url: string;
  /** Takes a listener whose streams are gone out of tables that are being made. */
  forget(transaction: EntityManager, userId: string): Promise<void>;
}

export interface Opened {
  store: OpenEventStore;
  users: Projection;
  site: Projection;
  /** Names this process among those that share segments. */
  owner: string;
  close(): Promise<void>;
}

/** @throws CommandFailed when the tables are those of another version */
export async function open(config: OperateConfig): Promise<Opened> {
  const session = { service: 'projections command', poolSize: 3 };
  const [users, site] = await Promise.all([
    openPostgres(config.USERS_DATABASE_URL, usersContext, session),
    openPostgres(config.SITE_DATABASE_URL, siteContext, session),
  ]);
  const store = openEventStore({ url: config.EVENTSTORE_URL });
  const close = async (): Promise<void> => {
    await store.close();
    await Promise.all([users.destroy(), site.destroy()]);
  };
  if (!(await isMigrated(users)) || !(await isMigrated(site))) {
    await close();
    throw new CommandFailed('the tables are older than this version: start its `projections` service first');
  }
  const policy = { ...DEFAULT_SITE_POLICY, publicMinListeners: config.PUBLIC_MIN_LISTENERS };
  return {
    store,
    users: { rebuildable: usersRebuildable, live: users, url: config.USERS_DATABASE_URL, forget: forgetReadModels },
    site: {
      rebuildable: createSiteRebuildable(policy),
      live: site,
      url: config.SITE_DATABASE_URL,
      forget: (transaction, userId) => forgetEntirely(transaction, userId, policy),
    },
    owner: `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`,
    close,
  };
}
