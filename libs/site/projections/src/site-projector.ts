import { NO_EVENTS, parseStream, revisionAfter, StoredEvent, typesOf } from '@balados/event-sourcing';
import { Projector, Sql } from '@balados/platform-stores';
import { UsersEvent, usersEvents } from '@balados/users-contracts';
import { Batch, OfStream, readBatch } from './contributions';
import {
  Change,
  changeVisibility,
  eraseContributions,
  feedsOfErased,
  makeContributions,
  takeBackContributions,
} from './changes';
import { addToPopularity } from './popularity';
import { forgetPeople, rememberPeople } from './people';
import { forgetSettings, storeSettings } from './privacy';
import { countListeners, dropForgottenFeeds, lockFeeds, publish, withdraw } from './publication';
import { shareWindow } from './window';

export interface SitePolicy {
  /** A podcast is public from this many distinct listeners on, or from one on who said so of it or of an episode of it. */
  publicMinListeners: number;
}

export const DEFAULT_SITE_POLICY: SitePolicy = { publicMinListeners: 2 };

/** Most events say where a listener is, and that counts nothing; nor does what apps report, or what is dropped of what is over. */
const COUNT_NOTHING = new Set<string>([
  'PositionUpdated',
  'EpisodeActionReported',
  'ContentDropped',
] satisfies UsersEvent['type'][]);
const counts = (stored: StoredEvent): boolean => !typesOf(stored).every((type) => COUNT_NOTHING.has(type));

/** Keeps what the public may read: contributions of listeners first, and from what they changed counts, lists and the timeline. */
export function createSiteProjector(policy: SitePolicy): Projector {
  return {
    name: 'site',
    schema: 'site_private',
    prefixes: ['subscriptions-', 'listening-', 'privacy-'],
    takes: counts,
    async project(transaction, events) {
      const counting = events.filter(counts);
      if (counting.length === 0) return;
      const batch = readBatch(await takeNew(transaction, counting));
      if (batch.settings.length + batch.erased.length + batch.takenBack.length + batch.made.length > 0)
        await apply(transaction, batch, policy);
    },
    async appliedUntil(sql, segments, agoMs) {
      await sql.query(
        `INSERT INTO site_private.segments_caught_up (segment, caught_up_at)
         SELECT segment, clock_timestamp() - $2 * interval '1 ms' FROM unnest($1::integer[]) AS t (segment)
         ORDER BY segment ON CONFLICT (segment) DO UPDATE SET caught_up_at = EXCLUDED.caught_up_at`,
        [segments, agoMs],
      );
    },
  };
}

/**
 * Listeners of other segments meet on the same podcasts at the same time. So all podcasts of the batch are locked first, in key order,
 * with those of which a setting shows something otherwise: what one listener did nobody else touches, so these are known before. Whatever
 * is of a podcast is read and written under its lock.
 */
async function apply(sql: Sql, batch: Batch, { publicMinListeners }: SitePolicy): Promise<void> {
  await shareWindow(sql);
  await forgetSettings(sql, batch.unset);
  const seenOtherwise = await storeSettings(sql, batch.settings);
  const erasedFrom = await feedsOfErased(sql, batch.erased);
  const before = await lockFeeds(sql, batch, [...seenOtherwise, ...erasedFrom]);
  const changes: Change[] = [
    ...(await eraseContributions(sql, batch.erased)),
    ...(await takeBackContributions(sql, batch.takenBack)),
    ...(await changeVisibility(sql, seenOtherwise.length > 0 ? batch.settings : [])),
    ...(await makeContributions(sql, batch.made)),
  ].filter((change) => change.visibility !== 'private');
  const after = await countListeners(sql, changes, before, publicMinListeners);
  await rememberPeople(sql, changes);
  await forgetPeople(sql, changes);

  const whose = (condition: (was: boolean, is: boolean) => boolean): string[] =>
    [...after].filter(([feed, is]) => condition(before.get(feed)!.published, is)).map(([feed]) => feed);
  const standing = new Set(whose((was, is) => was && is));
  await withdraw(
    sql,
    whose((was, is) => was && !is),
  );
  await publish(
    sql,
    whose((was, is) => !was && is),
  );
  await addToPopularity(
    sql,
    changes.filter((change) => standing.has(change.feed_id)),
  );
  if (batch.erased.length + batch.takenBack.length > 0) await dropForgottenFeeds(sql, [...before.keys()]);
}

/**
 * Leaves out what was applied before, and remembers how far each stream has come.
 * @returns events that are new here
 * @throws UnreadableEvent
 */
async function takeNew(sql: Sql, events: readonly StoredEvent[]): Promise<OfStream[]> {
  const streams = new Map(events.map(({ stream }) => [stream, parseStream(stream)!]));
  const users = [...new Set([...streams.values()].map(({ userId }) => userId))];
  const rows = await sql.query<{ user_id: string; category: string; revision: string }[]>(
    'SELECT user_id, category, revision FROM listener_revisions WHERE user_id = ANY($1::uuid[])',
    [users],
  );
  const applied = new Map(rows.map((row) => [`${row.category}-${row.user_id}`, Number(row.revision)]));
  const moved = new Set<string>();
  const fresh: OfStream[] = [];
  for (const stored of events) {
    const { category, userId: listener } = streams.get(stored.stream)!;
    const before = applied.get(stored.stream) ?? NO_EVENTS;
    const after = revisionAfter(stored);
    if (after <= before) continue;
    applied.set(stored.stream, after);
    moved.add(stored.stream);
    // A checkpoint repeats what came before it: where nothing was cut, all of it was applied.
    const news = usersEvents.decode(stored).filter(({ revision }) => revision > before);
    fresh.push(...news.map((event) => ({ ...event, category, listener }) as OfStream));
  }
  if (moved.size === 0) return [];
  await sql.query(
    `INSERT INTO listener_revisions AS r (user_id, category, revision)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[])
     ON CONFLICT (user_id, category) DO UPDATE SET revision = EXCLUDED.revision`,
    [
      [...moved].map((stream) => streams.get(stream)!.userId),
      [...moved].map((stream) => streams.get(stream)!.category),
      [...moved].map((stream) => applied.get(stream)!),
    ],
  );
  return fresh;
}
