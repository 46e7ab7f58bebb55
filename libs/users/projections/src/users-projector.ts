import {
  CHECKPOINT,
  endsCheckpoint,
  EventMetadata,
  NO_EVENTS,
  parseStream,
  Recorded,
  revisionAfter,
  StoredEvent,
  typesOf,
} from '@balados/event-sourcing';
import { episodeId, feedId } from '@balados/feeds-ids';
import { Projector, Sql } from '@balados/platform-stores';
import {
  isWhole,
  PlayEvent,
  PrivacyEvent,
  SubscriptionsEvent,
  USERS_CATEGORIES,
  UsersEvent,
  usersEvents,
} from '@balados/users-contracts';
import { ErasedStream, eraseRows, forgetErased } from './erasures';
import { dropContent, DroppedStream, rounds } from './dropping';
import { SaveEvent, ShareEvent, writeSaves, writeShares } from './marks';
import { PlaylistBatch, writePlaylists } from './playlists';
import { OfListener, scopeId, writePrivacy } from './privacy';

/** When listeners were active is kept in steps of so many milliseconds, rounded down: to the minute nobody needs to know. */
export const ACTIVITY_STEP_MS = 300_000;

type Of<Event extends UsersEvent> = Recorded<Event> & { userId: string };

/**
 * Keeps the listeners' own read models: `users.subscriptions`, `users.play_statuses`, `users.saved_episodes`,
 * `users.shared_episodes`, `users.playlists` with their items, `users.user_privacy`, and how far each stream has come into them.
 * Every row knows the revision that made it, so that a repeated or older event writes nothing.
 */
export const usersProjector: Projector = {
  name: 'users',
  schema: 'users',
  prefixes: USERS_CATEGORIES.map((category) => `${category}-`),

  async project(transaction, events) {
    for (const round of rounds(events)) await projectRound(transaction, round);
  },
};

async function projectRound(transaction: Sql, events: readonly StoredEvent[]): Promise<void> {
  // Of a batch the last word on each row is enough.
  const subscriptions = new Map<string, Of<SubscriptionsEvent>>();
  const plays = new Map<string, Of<PlayEvent>>();
  const saves = new Map<string, SaveEvent>();
  const shares = new Map<string, ShareEvent>();
  const playlists = new PlaylistBatch();
  const privacy = new Map<string, OfListener<PrivacyEvent>>();
  const erased: ErasedStream[] = [];
  const dropped: DroppedStream[] = [];
  const revisions = new Map<string, Progress>();
  const known = await revisionsBefore(transaction, events);
  for (const stored of events) {
    const { category, userId } = listenerOf(stored);
    const before = revisions.get(stored.stream)?.revision ?? known.get(stored.stream) ?? NO_EVENTS;
    revisions.set(stored.stream, progressOf(stored, before, { userId, category }, revisions.get(stored.stream)));
    for (const decoded of usersEvents.decode(stored)) {
      // Of what a checkpoint repeats all is in the tables, but in those that are made anew from a log that was cut.
      if (stored.type === CHECKPOINT && decoded.revision <= before) continue;
      const event = { ...decoded, userId };
      noteActivity(revisions.get(stored.stream)!, event);
      switch (event.type) {
        case 'PodcastSubscribed':
        case 'PodcastUnsubscribed':
          subscriptions.set(`${userId} ${event.data.feed}`, event);
          break;
        case 'PlayRecorded':
        case 'PositionUpdated':
          plays.set(`${userId} ${episodeId(event.data.feed, event.data.item)}`, event);
          break;
        case 'PlaylistCreated':
        case 'PlaylistChanged':
        case 'PlaylistDeleted':
        case 'PlaylistItemAdded':
        case 'PlaylistItemRemoved':
        case 'PlaylistReordered':
          playlists.add(event);
          break;
        case 'EpisodeSaved':
        case 'EpisodeUnsaved':
          saves.set(`${userId} ${episodeId(event.data.feed, event.data.item)}`, event);
          break;
        case 'EpisodeShared':
          shares.set(`${userId} ${episodeId(event.data.feed, event.data.item)}`, event);
          break;
        // What apps are given again is read from the fold.
        case 'EpisodeActionReported':
          break;
        case 'PrivacyChanged':
        case 'PrivacyReset':
          privacy.set(`${userId} ${scopeId(event)}`, event);
          break;
        case 'HistoryErased': {
          const ofStream = { subscriptions: [subscriptions], listening: [plays, saves, shares], privacy: [privacy] };
          for (const rows of ofStream[category as keyof typeof ofStream] ?? []) forgetErased(rows, userId, event.data);
          if (category === 'playlists') playlists.forget(userId, event.data);
          erased.push({ userId, category, revision: event.revision, target: event.data });
          break;
        }
        case 'ContentDropped':
          // A checkpoint tells without it what was dropped before.
          if (stored.type !== CHECKPOINT) dropped.push({ userId, category, upTo: event.data.upTo });
          break;
        default:
          event satisfies never;
      }
    }
  }
  await eraseRows(transaction, erased);
  await writeSubscriptions(transaction, [...subscriptions.values()]);
  await writePlays(transaction, [...plays.values()]);
  await writePlaylists(transaction, playlists);
  await writeSaves(transaction, [...saves.values()]);
  await writeShares(transaction, [...shares.values()]);
  await writePrivacy(transaction, [...privacy.values()]);
  await dropContent(transaction, dropped);
  await writeRevisions(transaction, [...revisions.values()]);
}

function listenerOf({ stream }: StoredEvent): { category: string; userId: string } {
  const listener = parseStream(stream);
  if (!listener) throw new Error(`${stream} is no listener's stream`);
  return listener;
}

/** How far a stream has come with a batch. */
interface Progress {
  userId: string;
  category: string;
  revision: number;
  /** Revision with which the newest checkpoint of the batch is whole; null, there is none. */
  checkpointed: number | null;
  /** Events that it repeats, and that were told after it; of the batch alone where it holds no whole checkpoint. */
  repeated: number;
  told: number;
  /** When the first end was recorded of which it may say less later. */
  endedAt: string | null;
  /** When the first event after it was recorded, or the first of the batch where there is none. */
  oldestAt: string | null;
  /** When the last thing was recorded that the listener did; null, there is none. */
  activeAt: Date | null;
}

/** What jobs append is nothing that the listener does at that moment. */
function noteActivity(progress: Progress, event: UsersEvent & { metadata: EventMetadata }): void {
  if (event.type === 'ContentDropped') return;
  if (event.type === 'HistoryErased') {
    if (isWhole(event.data)) progress.activeAt = null;
    return;
  }
  const recordedAt = Date.parse(event.metadata.recordedAt);
  progress.activeAt = new Date(recordedAt - (recordedAt % ACTIVITY_STEP_MS));
}

function progressOf(
  stored: StoredEvent,
  before: number,
  listener: Pick<Progress, 'userId' | 'category'>,
  inBatch: Progress | undefined,
): Progress {
  const revision = Math.max(before, revisionAfter(stored));
  const { checkpointed = null, repeated = 0, told = 0, endedAt = null, oldestAt = null } = inBatch ?? {};
  const kept = { ...listener, revision, activeAt: inBatch?.activeAt ?? null };
  const whole = endsCheckpoint(stored);
  if (whole) {
    const { total, endedAt: ofIts = null } = whole;
    return { ...kept, checkpointed: stored.revision, repeated: total, told: 0, endedAt: ofIts, oldestAt: null };
  }
  if (stored.type === CHECKPOINT) return { ...kept, checkpointed, repeated, told: told + 1, endedAt, oldestAt };
  const { recordedAt } = stored.metadata as EventMetadata;
  const toldByNow = told + typesOf(stored).length;
  return { ...kept, checkpointed, repeated, told: toldByNow, endedAt, oldestAt: oldestAt ?? recordedAt };
}

/** How far the streams had come of which a checkpoint is among the events. */
async function revisionsBefore(sql: Sql, events: readonly StoredEvent[]): Promise<Map<string, number>> {
  const streams = new Set(events.filter(({ type }) => type === CHECKPOINT).map(({ stream }) => stream));
  if (streams.size === 0) return new Map();
  const rows = await sql.query<{ stream: string; revision: string }[]>(
    `SELECT stream, revision FROM unnest($1::text[], $2::uuid[], $3::text[]) AS t (stream, user_id, category)
     JOIN listener_revisions USING (user_id, category)`,
    [
      [...streams],
      [...streams].map((stream) => parseStream(stream)!.userId),
      [...streams].map((stream) => parseStream(stream)!.category),
    ],
  );
  return new Map(rows.map(({ stream, revision }) => [stream, Number(revision)]));
}

async function writeSubscriptions(sql: Sql, events: readonly Of<SubscriptionsEvent>[]): Promise<void> {
  if (events.length === 0) return;
  await sql.query(
    `INSERT INTO subscriptions AS held
       (user_id, feed_id, feed, source_id, subscribed_at, unsubscribed_at, subscribed, revision)
     SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::boolean[], $8::bigint[])
     ON CONFLICT (user_id, feed_id) DO UPDATE SET source_id = excluded.source_id, subscribed_at = excluded.subscribed_at,
       unsubscribed_at = excluded.unsubscribed_at, subscribed = excluded.subscribed, revision = excluded.revision
     WHERE held.revision < excluded.revision`,
    [
      events.map(({ userId }) => userId),
      events.map(({ data }) => feedId(data.feed)),
      events.map(({ data }) => data.feed),
      events.map(({ data }) => data.sourceId),
      events.map(({ data }) => data.subscribedAt),
      events.map(({ data }) => data.unsubscribedAt),
      events.map(({ type }) => type === 'PodcastSubscribed'),
      events.map(({ revision }) => revision),
    ],
  );
}

async function writePlays(sql: Sql, events: readonly Of<PlayEvent>[]): Promise<void> {
  if (events.length === 0) return;
  await sql.query(
    `INSERT INTO play_statuses AS held
       (user_id, episode_id, feed_id, feed, item, position, played, updated_at, revision)
     SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::float8[], $7::boolean[], $8::timestamptz[], $9::bigint[])
     ON CONFLICT (user_id, episode_id) DO UPDATE SET item = excluded.item, position = excluded.position,
       played = excluded.played, updated_at = excluded.updated_at, revision = excluded.revision
     WHERE held.revision < excluded.revision`,
    [
      events.map(({ userId }) => userId),
      events.map(({ data }) => episodeId(data.feed, data.item)),
      events.map(({ data }) => feedId(data.feed)),
      events.map(({ data }) => data.feed),
      events.map(({ data }) => data.item),
      events.map(({ data }) => data.position),
      events.map(({ data }) => data.played),
      events.map(({ data }) => data.updatedAt),
      events.map(({ revision }) => revision),
    ],
  );
}

async function writeRevisions(sql: Sql, revisions: readonly Progress[]): Promise<void> {
  if (revisions.length === 0) return;
  await sql.query(
    `INSERT INTO listener_revisions AS held
       (user_id, category, revision, checkpointed, repeated, told, ended_at, oldest_at, active_at)
     SELECT user_id, category, revision, coalesce(checkpointed, -1), repeated, told, ended_at, oldest_at, active_at
     FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::integer[], $6::integer[], $7::timestamptz[], $8::timestamptz[],
         $9::timestamptz[])
       AS t (user_id, category, revision, checkpointed, repeated, told, ended_at, oldest_at, active_at)
     ON CONFLICT (user_id, category) DO UPDATE SET revision = excluded.revision,
       checkpointed = greatest(held.checkpointed, excluded.checkpointed),
       repeated = CASE WHEN excluded.checkpointed > held.checkpointed THEN excluded.repeated ELSE held.repeated END,
       told = CASE WHEN excluded.checkpointed > held.checkpointed THEN excluded.told ELSE held.told + excluded.told END,
       ended_at = CASE WHEN excluded.checkpointed > held.checkpointed THEN excluded.ended_at ELSE held.ended_at END,
       oldest_at = CASE WHEN excluded.checkpointed > held.checkpointed THEN excluded.oldest_at
         ELSE coalesce(held.oldest_at, excluded.oldest_at) END,
       active_at = coalesce(excluded.active_at, held.active_at)
     WHERE held.revision < excluded.revision`,
    [
      revisions.map(({ userId }) => userId),
      revisions.map(({ category }) => category),
      revisions.map(({ revision }) => revision),
      revisions.map(({ checkpointed }) => checkpointed),
      revisions.map(({ repeated }) => repeated),
      revisions.map(({ told }) => told),
      revisions.map(({ endedAt }) => endedAt),
      revisions.map(({ oldestAt }) => oldestAt),
      revisions.map(({ activeAt }) => activeAt),
    ],
  );
}
