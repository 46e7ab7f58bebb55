import { Decider, NO_EVENTS, Refusal } from '@balados/event-sourcing';
import {
  ContentDropped,
  HistoryErased,
  isWhole,
  NO_CONTENT,
  PODCASTS_MAX,
  SubscriptionsEvent,
} from '@balados/users-contracts';
import { compareBy, dated, instant, instantOrNull, rfc3339OrNull } from './claims';
import { comparedWithout, decideDrop, DropContent } from './dropping';
import {
  concerned,
  decideErasure,
  erasedBy,
  EraseHistory,
  Erasures,
  floorOf,
  isErased,
  latestOf,
  NOTHING_ERASED,
} from './erasure';

/** What a device claims of one podcast; at least one of the times is set. Times in epoch milliseconds. */
export interface SubscriptionClaim {
  feed: string;
  sourceId: string | null;
  subscribedAt: number | null;
  unsubscribedAt: number | null;
}

/** The claim that stands, with revision and time of receipt (ours, epoch milliseconds) of the event that set it. */
export type Subscription = SubscriptionClaim & { revision: number; recordedAt: number };

export interface SubscriptionsState {
  /** By feed; unsubscribed podcasts stay, as tombstones. */
  feeds: Map<string, Subscription>;
  erasures: Erasures;
  /** Of what had ended up to this revision the content was dropped; NO_EVENTS, it never was. */
  dropped: number;
  bytes: number;
}

export type SubscriptionsCommand =
  | { type: 'Subscribe'; data: { feed: string; sourceId: string | null; now: number } }
  | { type: 'Unsubscribe'; data: { feed: string; now: number } }
  /** Several at once, all or none; what is in both lists is unsubscribed. */
  | { type: 'ChangeSubscriptions'; data: { subscribe: readonly string[]; unsubscribe: readonly string[]; now: number } }
  /** To these and to no others. */
  | { type: 'ReplaceSubscriptions'; data: { feeds: readonly string[]; now: number } }
  /** Claims of what was erased are dropped. */
  | { type: 'MergeSubscriptions'; data: { claims: readonly SubscriptionClaim[] } }
  | DropContent
  | EraseHistory;

/** The later of the two dates. */
export const claimedAt = (claim: SubscriptionClaim): number =>
  Math.max(claim.subscribedAt ?? -Infinity, claim.unsubscribedAt ?? -Infinity);

/** The later of the two dates says which; of equal ones, unsubscribed wins. */
export const isSubscribed = (claim: SubscriptionClaim): boolean =>
  (claim.subscribedAt ?? -Infinity) > (claim.unsubscribedAt ?? -Infinity);

const isOver = (claim: SubscriptionClaim): boolean => !isSubscribed(claim);

/** Newest wins; then unsubscribed; then the greater of what is left, whatever it is, as long as it is the same for all. */
export const compareSubscriptions = compareBy<SubscriptionClaim>(
  claimedAt,
  (claim) => !isSubscribed(claim),
  (claim) => claim.subscribedAt ?? -Infinity,
  (claim) => claim.unsubscribedAt ?? -Infinity,
  (claim) => claim.sourceId !== null,
  (claim) => claim.sourceId ?? '',
);

const became = (claim: SubscriptionClaim): SubscriptionsEvent => ({
  type: isSubscribed(claim) ? 'PodcastSubscribed' : 'PodcastUnsubscribed',
  data: {
    feed: claim.feed,
    sourceId: claim.sourceId,
    subscribedAt: rfc3339OrNull(claim.subscribedAt),
    unsubscribedAt: rfc3339OrNull(claim.unsubscribedAt),
  },
});

/** Subscribes to those that one is not subscribed to, or under another id. @throws Refusal `library_full` */
function begun(
  { feeds, erasures }: SubscriptionsState,
  wanted: readonly string[],
  { sourceId, now }: { sourceId: string | null; now: number },
): SubscriptionsEvent[] {
  let room = PODCASTS_MAX - feeds.size;
  return [...new Set(wanted)].flatMap((feed) => {
    const held = feeds.get(feed);
    if (held && isSubscribed(held) && (sourceId === null || sourceId === held.sourceId)) return [];
    if (!held && room-- <= 0)
      throw new Refusal('library_full', `${PODCASTS_MAX} podcasts are kept already, and no more can be`);
    const subscribedAt = dated(now, held ? claimedAt(held) : floorOf(erasures, { feed }));
    const unsubscribedAt = held?.unsubscribedAt ?? null;
    return [became({ feed, sourceId: sourceId ?? held?.sourceId ?? null, subscribedAt, unsubscribedAt })];
  });
}

/** Unsubscribes from those that one is subscribed to. */
const ended = ({ feeds }: SubscriptionsState, unwanted: readonly string[], now: number): SubscriptionsEvent[] =>
  [...new Set(unwanted)].flatMap((feed) => {
    const held = feeds.get(feed);
    return held && isSubscribed(held) ? [became({ ...held, unsubscribedAt: dated(now, claimedAt(held)) })] : [];
  });

const ENTRY_BYTES = 260;
const bytesOf = (entry: SubscriptionClaim): number => ENTRY_BYTES + entry.feed.length + (entry.sourceId?.length ?? 0);

export const subscriptions: Decider<
  SubscriptionsCommand,
  SubscriptionsState,
  SubscriptionsEvent | HistoryErased | ContentDropped
> = {
  category: 'subscriptions',
  initialState: () => ({ feeds: new Map(), erasures: NOTHING_ERASED, dropped: NO_EVENTS, bytes: 0 }),

  decide(command, state) {
    const { feeds, erasures, dropped } = state;
    switch (command.type) {
      case 'Subscribe':
        return begun(state, [command.data.feed], command.data);
      case 'Unsubscribe':
        return ended(state, [command.data.feed], command.data.now);
      case 'ChangeSubscriptions': {
        const { subscribe, unsubscribe, now } = command.data;
        const unwanted = new Set(unsubscribe);
        const wanted = subscribe.filter((feed) => !unwanted.has(feed));
        return [...begun(state, wanted, { sourceId: null, now }), ...ended(state, unsubscribe, now)];
      }
      case 'ReplaceSubscriptions': {
        const { feeds: wanted, now } = command.data;
        const kept = new Set(wanted);
        const unwanted = [...feeds.keys()].filter((feed) => !kept.has(feed));
        return [...begun(state, wanted, { sourceId: null, now }), ...ended(state, unwanted, now)];
      }
      case 'MergeSubscriptions': {
        const newest = new Map<string, SubscriptionClaim>();
        const compare = comparedWithout(compareSubscriptions, dropped, isOver, NO_CONTENT.subscription);
        let room = PODCASTS_MAX - feeds.size;
        for (const claim of command.data.claims) {
          if (isErased(claimedAt(claim), floorOf(erasures, { feed: claim.feed }))) continue;
          const standing = newest.get(claim.feed) ?? feeds.get(claim.feed);
          // What finds no room is left out; the caller sees that it does not stand.
          if (!standing && room-- <= 0) continue;
          if (!standing || compare(claim, standing) > 0) newest.set(claim.feed, claim);
        }
        return [...newest.values()].map(became);
      }
      case 'DropContent':
        return decideDrop(command, dropped, [...feeds.values()].filter(isOver));
      case 'EraseHistory':
        return decideErasure(command, erasures, latestOf(concerned(command.data, feeds.values()), claimedAt));
    }
  },

  evolve(state, event) {
    if (event.type === 'HistoryErased') {
      const erasures = erasedBy(event, state.erasures);
      if (isWhole(event.data)) return { ...subscriptions.initialState(), erasures };
      for (const entry of concerned(event.data, [...state.feeds.values()])) {
        state.feeds.delete(entry.feed);
        state.bytes -= bytesOf(entry);
      }
      return { ...state, erasures };
    }
    if (event.type === 'ContentDropped') {
      for (const held of [...state.feeds.values()]) {
        if (!isOver(held) || held.revision > event.data.upTo) continue;
        const entry = { ...held, ...NO_CONTENT.subscription };
        state.feeds.set(entry.feed, entry);
        state.bytes += bytesOf(entry) - bytesOf(held);
      }
      return { ...state, dropped: event.data.upTo };
    }
    const { data, revision, metadata } = event;
    const held = state.feeds.get(data.feed);
    const entry: Subscription = {
      feed: held?.feed ?? data.feed,
      sourceId: data.sourceId,
      subscribedAt: instantOrNull(data.subscribedAt),
      unsubscribedAt: instantOrNull(data.unsubscribedAt),
      revision,
      recordedAt: instant(metadata.recordedAt),
    };
    state.feeds.set(entry.feed, entry);
    state.bytes += bytesOf(entry) - (held ? bytesOf(held) : 0);
    return state;
  },

  bytes: (state) => state.bytes,
};
