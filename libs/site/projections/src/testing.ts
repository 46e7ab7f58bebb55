import { bundled, CHECKPOINT, checkpointOf, NewEvent, Recorded, StoredEvent, streamOf } from '@balados/event-sourcing';
import { migrate, openPostgres } from '@balados/platform-stores';
import { siteContext } from '@balados/site-schema';
import { createDatabase, templateDatabase } from '@balados/testing';
import {
  compaction,
  ERASED_CATEGORIES,
  ErasureTarget,
  Privacy,
  UsersEvent,
  usersEvents,
} from '@balados/users-contracts';
import { createHash } from 'node:crypto';
import { DataSource } from 'typeorm';

/** A migrated database of its own for a suite, and how to get rid of it. */
export async function openSite(): Promise<{ site: DataSource; url: string; close: () => Promise<void> }> {
  const template = await templateDatabase('site', async (url) => {
    const made = await openPostgres(url, siteContext, { service: 'test' });
    await migrate(made, siteContext);
    await made.destroy();
  });
  const database = await createDatabase(template);
  const site = await openPostgres(database.url, siteContext, { service: 'test' });
  return {
    site,
    url: database.url,
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
    UPDATE site_private.popularity_window SET starts_at = '-infinity', timeline_starts_at = '-infinity'`);

/** A log of listeners' events, written as sentences: `history.subscribed(ada, feed, '2026-03-01T10:00:00.000Z')`. */
export class History {
  private readonly revisions = new Map<string, number>();
  private readonly told = new Map<string, Recorded<UsersEvent>[]>();
  /** The newest event of each stream. */
  private readonly open = new Map<string, { stored: StoredEvent; encoded: NewEvent[]; recordedAt: string }>();
  private position = 0n;

  /** `isBundling`: what is recorded at the same moment was decided at once; then the same object is answered again, with more in it. */
  constructor(private readonly isBundling = false) {}

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

  /** What the listener did, all or of a part; with their settings, too, when it is the account that goes. */
  erased(listener: string, target: ErasureTarget, recordedAt: string): StoredEvent[] {
    const data = { ...target, requestedAt: recordedAt, before: recordedAt };
    const categories = ERASED_CATEGORIES[target.scope].filter((category) => category !== 'playlists');
    return categories.map((category) => this.stored(category, listener, { type: 'HistoryErased', data }, recordedAt));
  }

  /**
   * What jobs append of a listener, so that what was before can be cut away: of each stream, in parts of a few events.
   */
  checkpoint(listener: string, recordedAt: string): StoredEvent[] {
    return ['subscriptions', 'listening', 'privacy'].flatMap((category) => {
      const stream = streamOf(category, listener);
      const kept = compaction();
      for (const event of this.told.get(stream) ?? []) kept.add(event);
      const metadata = { recordedAt, correlationId: 'test' };
      return checkpointOf(kept.events(), usersEvents, metadata, 1_000).map((part) => this.placed(stream, part));
    });
  }

  private stored(category: string, listener: string, event: UsersEvent, recordedAt: string): StoredEvent {
    const stream = streamOf(category, listener);
    const encoded = usersEvents.encode(event, { recordedAt, correlationId: 'test' }, '');
    const newest = this.open.get(stream);
    const isOne = newest?.recordedAt === recordedAt && event.type !== 'HistoryErased';
    const placed = isOne ? newest.stored : this.placed(stream, encoded);
    this.told.set(stream, [...(this.told.get(stream) ?? []), ...usersEvents.decode({ ...placed, ...encoded })]);
    if (isOne) {
      newest.encoded.push(encoded);
      const [{ type, data, metadata }] = bundled(newest.encoded) as [NewEvent];
      Object.assign(placed, { type, data, metadata });
      return placed;
    }
    if (this.isBundling && event.type !== 'HistoryErased')
      this.open.set(stream, { stored: placed, encoded: [encoded], recordedAt });
    return placed;
  }

  private placed(stream: string, event: NewEvent): StoredEvent {
    this.open.delete(stream);
    const revision = (this.revisions.get(stream) ?? -1) + 1;
    this.revisions.set(stream, revision);
    this.position += 7n;
    return { ...event, id: uuidOf(`${stream} ${revision}`), stream, revision, position: this.position };
  }
}

/** What is left of a log when every stream is cut before its newest checkpoint. */
export function cut(log: readonly StoredEvent[]): StoredEvent[] {
  const starts = new Map<string, number>();
  for (const { stream, revision, type, data } of log)
    if (type === CHECKPOINT && (data as { nth: number }).nth === 0) starts.set(stream, revision);
  return log.filter(({ stream, revision }) => revision >= (starts.get(stream) ?? 0));
}

/** The same name gives the same UUID. */
export function uuidOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
}
