import { StoredEvent, streamOf } from '@balados/event-sourcing';
import { NotYet, Rebuildable } from '@balados/platform-stores';
import { siteContext } from '@balados/site-schema';
import { ERASED_CATEGORIES, Privacy, usersEvents, WHOLE_ACCOUNT } from '@balados/users-contracts';
import { EntityManager } from 'typeorm';
import { takeOverDescriptions } from './feed-metadata';
import { forgetListener } from './forget';
import { applyDefaultPrivacy } from './recompute';
import { createSiteProjector, SitePolicy } from './site-projector';
import { movePopularityWindows, shareWindow, takeWindow } from './window';

/** What the public reads and what is behind it, to be made anew. Ids in the timeline are random, and so others than before. */
export const createSiteRebuildable = (policy: SitePolicy): Rebuildable => ({
  projector: createSiteProjector(policy),
  searchPath: siteContext.searchPath!,
  tables: [
    'site_private.listener_revisions',
    'site_private.privacy_settings',
    'site_private.feeds',
    'site_private.contributions',
    'site_private.feed_listeners',
    'site_private.people',
    'site.podcast_popularity',
    'site.episode_popularity',
    'site.public_events',
  ],
  readersIndexes: [
    'feeds_metadata_due',
    'podcast_popularity_trending',
    'podcast_popularity_popular',
    'episode_popularity_trending',
    'episode_popularity_item',
    'public_events_of_type',
    'public_events_of_feed_and_type',
  ],
  copied: ['site_private.default_privacy', 'site_private.popularity_window'],

  async bringOver(database, isSwitching) {
    if (!isSwitching) {
      await followJobs(database, policy);
      await database.transaction(async (sql) => {
        await shareWindow(sql);
        await takeOverDescriptions(sql, policy.publicMinListeners);
      });
      return;
    }
    // From here on jobs write nothing of it either.
    await takeWindow(database);
    if ((await differing(database)).privacy) throw new NotYet('another default privacy holds since a moment ago');
    await followJobs(database, policy);
    await takeOverDescriptions(database, policy.publicMinListeners);
  },
});

/** What jobs have changed since it was copied: undefined for what stands as it was. */
async function differing(sql: EntityManager): Promise<{ privacy?: Privacy; starts?: Date }> {
  const [row] = await sql.query<{ privacy: Privacy | null; starts: Date | null }[]>(
    `SELECT (SELECT held.privacy FROM site_private.default_privacy held LEFT JOIN default_privacy made USING (single)
             WHERE made.privacy IS DISTINCT FROM held.privacy) AS privacy,
       (SELECT held.starts_at FROM site_private.popularity_window held JOIN popularity_window made USING (single)
        WHERE made.starts_at <> held.starts_at) AS starts`,
  );
  return { privacy: row!.privacy ?? undefined, starts: row!.starts ?? undefined };
}

async function followJobs(database: EntityManager, policy: SitePolicy): Promise<void> {
  const { privacy, starts } = await differing(database);
  if (privacy) await applyDefaultPrivacy(database, { ...policy, defaultPrivacy: privacy });
  if (starts) await movePopularityWindows(database, { now: starts.getTime(), windowMs: 0 });
  await database.query(
    `WITH moved AS (UPDATE popularity_window made SET timeline_starts_at = held.timeline_starts_at
                    FROM site_private.popularity_window held WHERE made.timeline_starts_at < held.timeline_starts_at
                    RETURNING made.timeline_starts_at)
     DELETE FROM public_events WHERE recorded_at < (SELECT timeline_starts_at FROM moved)`,
  );
}

/** Takes out of the tables all that they hold of a listener whose streams are gone. */
export async function forgetEntirely(transaction: EntityManager, listener: string, policy: SitePolicy): Promise<void> {
  const now = new Date().toISOString();
  const data = { ...WHOLE_ACCOUNT, requestedAt: now, before: now };
  const metadata = { recordedAt: now, correlationId: 'rebuild' };
  const marker = usersEvents.encode({ type: 'HistoryErased', data }, metadata, '');
  const events = ERASED_CATEGORIES.account
    .filter((category) => category !== 'playlists')
    .map((category): StoredEvent => ({
      ...marker,
      stream: streamOf(category, listener),
      revision: Number.MAX_SAFE_INTEGER,
      position: 0n,
    }));
  await createSiteProjector(policy).project(transaction, events);
  await forgetListener(transaction, listener);
}
