import { NO_EVENTS } from '@balados/event-sourcing';
import { Inject } from '@nestjs/common';
import { Command, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import {
  CLOCK_AHEAD_MAX_MS,
  playEntry,
  subscriptionEntry,
  SyncBody,
  WirePlay,
  wirePlay,
  WireSubscription,
  wireSubscription,
} from '@balados/users-contracts';
import { allPlays } from '@balados/users-domain';
import { z } from 'zod';
import { CLOCK, LISTENER_STREAMS } from './commands';
import type { ListenerStreams, Speaker } from './listener-streams';
import { metadataOf } from './listener-streams';
import { decodeSyncToken, encodeSyncToken } from './sync-token';

/** A device's clock that is off by no more than this is taken as it is, in milliseconds. */
export const CLOCK_SKEW_MS = 60_000;

/** An entry that could not be taken; the others were. */
export interface Rejected {
  path: string;
  code: string;
  message: string;
}

export interface Synced {
  data: { subscriptions: WireSubscription[]; play_statuses: WirePlay[]; playlists: never[] };
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
    const subscriptionClaims = read('subscriptions', body.subscriptions, subscriptionEntry, rejected, (entry) => ({
      feed: entry.rss_source_feed,
      sourceId: entry.rss_source_id,
      subscribedAt: shifted(entry.subscribed_at ?? null, shift, now),
      unsubscribedAt: shifted(entry.unsubscribed_at ?? null, shift, now),
    }));
    const playClaims = read('play_statuses', body.play_statuses, playEntry, rejected, (entry) => ({
      feed: entry.rss_source_feed,
      item: entry.rss_source_item,
      position: entry.position,
      played: entry.played,
      updatedAt: shifted(entry.updated_at, shift, now),
    }));
    body.playlists?.forEach((_, index) =>
      rejected.push({ path: `playlists[${index}]`, code: 'not_supported', message: 'playlists are not synced yet' }),
    );

    const subscriptions = await this.streams.subscriptions.handle(
      userId,
      { type: 'MergeSubscriptions', data: { claims: subscriptionClaims } },
      metadata,
      ({ state, revision }) =>
        answer(state.feeds.values(), revision, since?.subscriptions, (held) =>
          wireSubscription({
            ...held,
            subscribedAt: held.subscribedAt === null ? null : held.subscribedAt - shift,
            unsubscribedAt: held.unsubscribedAt === null ? null : held.unsubscribedAt - shift,
          }),
        ),
    );
    const plays = await this.streams.listening.handle(
      userId,
      { type: 'MergePlays', data: { claims: playClaims } },
      metadata,
      ({ state, revision }) =>
        answer(allPlays(state), revision, since?.listening, (held) =>
          wirePlay({ ...held, updatedAt: held.updatedAt - shift }),
        ),
    );
    // A revision that we do not have yet: the log was put back, and what the device holds of it means nothing.
    if (since && (since.subscriptions > subscriptions.revision || since.listening > plays.revision)) {
      return this.execute(new Sync(speaker, { ...body, since: null }));
    }
    return {
      data: { subscriptions: subscriptions.entries, play_statuses: plays.entries, playlists: [] },
      rejected,
      sync_token: encodeSyncToken({
        store,
        user: userId,
        subscriptions: subscriptions.revision,
        listening: plays.revision,
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

class EntryRejected extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

function shifted<Time extends number | null>(time: Time, shift: number, now: number): Time {
  if (time === null) return time;
  const at = time + shift;
  if (at < 0) throw new EntryRejected('invalid_time', 'a time is before 1970');
  if (at > now + CLOCK_AHEAD_MAX_MS) throw new EntryRejected('clock_ahead', 'a time is more than 24 hours ahead');
  return at as Time;
}

/** The claims of a list's good entries; each bad one is added to `rejected`. */
function read<Schema extends z.ZodType, Claim>(
  list: string,
  entries: readonly unknown[] | undefined,
  schema: Schema,
  rejected: Rejected[],
  toClaim: (entry: z.infer<Schema>) => Claim,
): Claim[] {
  const claims: Claim[] = [];
  entries?.forEach((entry, index) => {
    const path = `${list}[${index}]`;
    const parsed = schema.safeParse(entry);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      const at = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
      const code = issue.code === 'custom' ? String(issue.params?.['code'] ?? 'invalid') : 'invalid';
      rejected.push({ path: path + at, code, message: issue.message });
      return;
    }
    try {
      claims.push(toClaim(parsed.data));
    } catch (error) {
      if (!(error instanceof EntryRejected)) throw error;
      rejected.push({ path, code: error.code, message: error.message });
    }
  });
  return claims;
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
