import { StoredEvent, streamOf } from '@balados/event-sourcing';
import { migrate, openPostgres } from '@balados/platform-stores';
import { siteContext } from '@balados/site-schema';
import { createDatabase, templateDatabase } from '@balados/testing';
import { ErasureScope, Privacy, UsersEvent, usersEvents } from '@balados/users-contracts';
import { createHash } from 'node:crypto';
import { DataSource } from 'typeorm';

/** A migrated database of its own for a suite, and how to get rid of it. */
export async function openSite(): Promise<{ site: DataSource; close: () => Promise<void> }> {
  const template = await templateDatabase('site', async (url) => {
    const made = await openPostgres(url, siteContext, { service: 'test' });
    await migrate(made, siteContext);
    await made.destroy();
  });
  const database = await createDatabase(template);
  const site = await openPostgres(database.url, siteContext, { service: 'test' });
  return {
    site,
    close: async () => {
      await site.destroy();
      await database.drop();
    },
  };
}

/** Removes every row, as before the first event. */
export const emptySite = (site: DataSource): Promise<unknown> =>
  site.query(`TRUNCATE site.podcast_popularity, site.episode_popularity, site.public_events, site_private.contributions,
    site_private.feeds, site_private.feed_listeners, site_private.people, site_private.listener_revisions,
    site_private.privacy_settings, site_private.default_privacy,
    site_private.projector_segments, site_private.projector_members, site_private.segments_caught_up;
    UPDATE site_private.popularity_window SET starts_at = '-infinity'`);

/** A log of listeners' events, written as sentences: `history.subscribed(ada, feed, '2026-03-01T10:00:00.000Z')`. */
export class History {
  private readonly revisions = new Map<string, number>();
  private position = 0n;

  /** `claimed`: when it happened as the client said; by default when the server accepted it. */
  subscribed(listener: string, feed: string, recordedAt: string, claimed = recordedAt): StoredEvent {
    const data = { feed, sourceId: null, subscribedAt: claimed, unsubscribedAt: null };
    return this.stored('subscriptions', listener, { type: 'PodcastSubscribed', data }, recordedAt);
  }

  unsubscribed(listener: string, feed: string, recordedAt: string): StoredEvent {
    const data = { feed, sourceId: null, subscribedAt: null, unsubscribedAt: recordedAt };
    return this.stored('subscriptions', listener, { type: 'PodcastUnsubscribed', data }, recordedAt);
  }

  played(listener: string, feed: string, item: string, recordedAt: string, claimed = recordedAt): StoredEvent {
    const data = { feed, item, position: 1, played: false, updatedAt: claimed };
    return this.stored('listening', listener, { type: 'PlayRecorded', data }, recordedAt);
  }

  moved(listener: string, feed: string, item: string, recordedAt: string): StoredEvent {
    const data = { feed, item, position: 2, played: false, updatedAt: recordedAt };
    return this.stored('listening', listener, { type: 'PositionUpdated', data }, recordedAt);
  }

  saved(listener: string, feed: string, item: string, recordedAt: string, claimed = recordedAt): StoredEvent {
    const data = { feed, item, savedAt: claimed };
    return this.stored('listening', listener, { type: 'EpisodeSaved', data }, recordedAt);
  }

  unsaved(listener: string, feed: string, item: string, recordedAt: string): StoredEvent {
    const data = { feed, item, unsavedAt: recordedAt };
    return this.stored('listening', listener, { type: 'EpisodeUnsaved', data }, recordedAt);
  }

  shared(listener: string, feed: string, item: string, recordedAt: string, claimed = recordedAt): StoredEvent {
    const data = { feed, item, sharedAt: claimed };
    return this.stored('listening', listener, { type: 'EpisodeShared', data }, recordedAt);
  }

  /** Without a feed: of the account; without an item: of the podcast. */
  madePrivacy(listener: string, privacy: Privacy, recordedAt: string, feed?: string, item?: string): StoredEvent {
    const data = { feed: feed ?? null, item: item ?? null, privacy, changedAt: recordedAt };
    return this.stored('privacy', listener, { type: 'PrivacyChanged', data }, recordedAt);
  }

  resetPrivacy(listener: string, recordedAt: string, feed?: string, item?: string): StoredEvent {
    const data = { feed: feed ?? null, item: item ?? null, changedAt: recordedAt };
    return this.stored('privacy', listener, { type: 'PrivacyReset', data }, recordedAt);
  }

  /** All that the listener did; with their settings, too, when it is the account that goes. */
  erased(listener: string, scope: ErasureScope, recordedAt: string): StoredEvent[] {
    const data = { scope, requestedAt: recordedAt, before: recordedAt };
    const categories = ['subscriptions', 'listening', ...(scope === 'account' ? ['privacy'] : [])];
    return categories.map((category) => this.stored(category, listener, { type: 'HistoryErased', data }, recordedAt));
  }

  private stored(category: string, listener: string, event: UsersEvent, recordedAt: string): StoredEvent {
    const stream = streamOf(category, listener);
    const revision = (this.revisions.get(stream) ?? -1) + 1;
    this.revisions.set(stream, revision);
    this.position += 7n;
    const id = uuidOf(`${stream} ${revision}`);
    const encoded = usersEvents.encode(event, { recordedAt, correlationId: 'test' }, id);
    return { ...encoded, stream, revision, position: this.position };
  }
}

/** The same name gives the same UUID. */
export function uuidOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
}
