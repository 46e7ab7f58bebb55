import { NO_EVENTS } from '@balados/event-sourcing';
import { Inject } from '@nestjs/common';
import { Command, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import {
  playEntry,
  subscriptionEntry,
  SyncBody,
  WirePlay,
  wirePlay,
  WirePlaylist,
  WireSubscription,
  wireSubscription,
} from '@balados/users-contracts';
import {
  allPlays,
  claimedAt,
  Erased,
  findPlay,
  hasRoom,
  isErased,
  isSubscribed,
  SubscriptionClaim,
  SubscriptionsState,
  UNDATED,
} from '@balados/users-domain';
import { CLOCK, LISTENER_STREAMS } from './commands';
import type { ListenerStreams, Speaker } from './listener-streams';
import { metadataOf } from './listener-streams';
import { erasedEntry, read, Rejected, shifted } from './sync-entries';
import { changedPlaylists, erasedPlaylists, readPlaylists, rejectExceeding } from './sync-playlists';
import { decodeSyncToken, encodeSyncToken } from './sync-token';

/** A device's clock that is off by no more than this is taken as it is, in milliseconds. */
export const CLOCK_SKEW_MS = 60_000;

export interface Synced {
  data: { subscriptions: WireSubscription[]; play_statuses: WirePlay[]; playlists: WirePlaylist[] };
  rejected: Rejected[];
  sync_token: string;
  /** Whether the answer is everything; otherwise it is what changed since the token. */
  full: boolean;
}

/**
 * What a device holds goes in; what stands comes out, tombstones included. A device whose clock is off speaks and is answered in its
 * own time, so that what it was answered is, sent back, what stands.
 */
export class Sync extends Command<Synced> {
  constructor(
    readonly speaker: Speaker,
    readonly body: SyncBody,
  ) {
    super();
  }
}

@CommandHandler(Sync)
export class SyncHandler implements ICommandHandler<Sync> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(CLOCK) private readonly clock: () => number,
  ) {}

  async execute({ speaker, body }: Sync): Promise<Synced> {
    const now = this.clock();
    const metadata = metadataOf(speaker, now);
    const { userId } = speaker;
    const store = await this.streams.store.storeId();
    const token = body.since ? decodeSyncToken(body.since) : undefined;
    const since = token?.store === store && token.user === userId ? token : undefined;
    const shift = clockShift(body.client_time ?? undefined, now, since?.shift);
    const rejected: Rejected[] = [];
    const subscriptionClaims = read(
      'subscriptions',
      body.subscriptions,
      subscriptionEntry,
      rejected,
      (entry, path) => ({
        path,
        feed: entry.rss_source_feed,
        sourceId: entry.rss_source_id,
        subscribedAt: shifted(entry.subscribed_at ?? null, shift, now),
        unsubscribedAt: shifted(entry.unsubscribed_at ?? null, shift, now),
      }),
    );
    const playClaims = read('play_statuses', body.play_statuses, playEntry, rejected, (entry, path) => ({
      path,
      feed: entry.rss_source_feed,
      item: entry.rss_source_item,
      position: entry.position,
      played: entry.played,
      updatedAt: ofPlay(entry.updated_at, (time) => shifted(time, shift, now)),
    }));
    const playlistClaims = readPlaylists(body.playlists, rejected, (time) => shifted(time, shift, now));

    // Each is a stream of its own: one need not wait for another.
    const [subscriptions, plays, playlists] = await Promise.all([
      this.streams.subscriptions.handle(
        userId,
        { type: 'MergeSubscriptions', data: { claims: subscriptionClaims } },
        metadata,
        ({ state, revision }) => {
          rejectWhatFoundNoRoom(
            subscriptionClaims,
            (claim) => state.feeds.has(claim.feed) || isErased(claimedAt(claim), state.erased),
            rejected,
          );
          const erased = erasedSubscriptions(subscriptionClaims, state, rejected);
          const { entries } = answer(state.feeds.values(), revision, since?.subscriptions, (held) =>
            wireSubscription(less(held, shift)),
          );
          entries.push(...erased.map((claim) => wireSubscription(less(claim, shift))));
          return { entries, revision, isBehind: isBehind(since?.subscriptions, state.erased) };
        },
      ),
      this.streams.listening.handle(
        userId,
        { type: 'MergePlays', data: { claims: playClaims } },
        metadata,
        ({ state, revision }) => {
          if (!hasRoom(state))
            rejectWhatFoundNoRoom(
              playClaims,
              ({ feed, item, updatedAt }) =>
                findPlay(state, feed, item) !== undefined || isErased(updatedAt, state.erased),
              rejected,
            );
          for (const { feed, item, updatedAt, path } of state.erased ? playClaims : [])
            if (isErased(updatedAt, state.erased) && !findPlay(state, feed, item)) rejected.push(erasedEntry(path));
          const { entries } = answer(allPlays(state), revision, since?.listening, (held) =>
            wirePlay({ ...held, updatedAt: ofPlay(held.updatedAt, (time) => time - shift) }),
          );
          return { entries, revision, isBehind: isBehind(since?.listening, state.erased) };
        },
      ),
      this.streams.playlists.handle(
        userId,
        { type: 'MergePlaylists', data: playlistClaims },
        metadata,
        ({ state, revision }) => {
          rejectExceeding(playlistClaims, state, rejected);
          const entries = changedPlaylists(state, since?.playlists, shift);
          entries.push(...erasedPlaylists(playlistClaims, state, rejected, shift));
          return { entries, revision, isBehind: isBehind(since?.playlists, state.erased) };
        },
      ),
    ]);
    // Of what was erased since, nothing is left that could say so.
    const isErasedSince = subscriptions.isBehind || plays.isBehind || playlists.isBehind;
    // A revision that we do not have yet: the log was put back, and what the device holds of it means nothing.
    const isAhead =
      since &&
      (since.subscriptions > subscriptions.revision ||
        since.listening > plays.revision ||
        since.playlists > playlists.revision);
    if (isAhead || isErasedSince) {
      return this.execute(new Sync(speaker, { ...body, since: null }));
    }
    return {
      data: { subscriptions: subscriptions.entries, play_statuses: plays.entries, playlists: playlists.entries },
      rejected,
      sync_token: encodeSyncToken({
        store,
        user: userId,
        subscriptions: subscriptions.revision,
        listening: plays.revision,
        playlists: playlists.revision,
        shift,
      }),
      full: since === undefined,
    };
  }
}

/**
 * What to add to a device's times: its clock's error in whole minutes, or none when that is at most CLOCK_SKEW_MS. The shift of the
 * device's last sync stays while it is still that near: an error between two minutes must not be rounded now up, now down.
 */
export function clockShift(clientTime: number | undefined, now: number, last = 0): number {
  if (clientTime === undefined) return 0;
  const error = now - clientTime;
  return Math.abs(error - last) <= CLOCK_SKEW_MS ? last : Math.round(error / 60_000) * 60_000;
}

/** Whether a device that has seen a stream up to `since` may hold what was erased after that. */
const isBehind = (since: number | undefined, erased: Erased | undefined): boolean =>
  since !== undefined && erased !== undefined && since < erased.revision;

/** What was never dated has no clock's error in it: said again it must be the same. */
const ofPlay = (time: number, shift: (time: number) => number): number => (time === UNDATED ? time : shift(time));

/** In the time of a device whose clock is off. */
const less = <Claim extends SubscriptionClaim>(claim: Claim, shift: number): Claim => ({
  ...claim,
  subscribedAt: claim.subscribedAt === null ? null : claim.subscribedAt - shift,
  unsubscribedAt: claim.unsubscribedAt === null ? null : claim.unsubscribedAt - shift,
});

/** Claims of subscriptions that were erased, each added to `rejected`; what is to be answered is that they ended with the erasure. */
function erasedSubscriptions<Claim extends SubscriptionClaim & { path: string }>(
  claims: readonly Claim[],
  { feeds, erased }: SubscriptionsState,
  rejected: Rejected[],
): Claim[] {
  if (!erased) return [];
  const old = claims.filter(
    // Who says that it is over says the same as we.
    (claim) => isErased(claimedAt(claim), erased) && !feeds.has(claim.feed) && isSubscribed(claim),
  );
  rejected.push(...old.map(({ path }) => erasedEntry(path)));
  const ofFeed = new Map(old.map((claim) => [claim.feed, { ...claim, unsubscribedAt: erased.floor }]));
  return [...ofFeed.values()];
}

/** Of what was claimed something stands afterwards, unless the library is full. */
function rejectWhatFoundNoRoom<Claim extends { path: string }>(
  claims: readonly Claim[],
  stands: (claim: Claim) => boolean,
  rejected: Rejected[],
): void {
  for (const claim of claims) {
    if (stands(claim)) continue;
    rejected.push({ path: claim.path, code: 'library_full', message: 'as many are kept already as can be' });
  }
}

/** Everything, or what was changed after the revision `since`. */
function answer<Entry extends { revision: number }, Wire>(
  entries: Iterable<Entry>,
  revision: number,
  since: number | undefined,
  wire: (entry: Entry) => Wire,
): { entries: Wire[]; revision: number } {
  const wired: Wire[] = [];
  for (const entry of entries) if (entry.revision > (since ?? NO_EVENTS)) wired.push(wire(entry));
  return { entries: wired, revision };
}
