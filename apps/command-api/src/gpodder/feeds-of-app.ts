import { Inject, Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { AccountsParts, FeedName } from '@balados/users-accounts';
import { plainText } from '@balados/users-contracts';
import type { EpisodeAction } from '@balados/users-domain';
import { GetKnownFeeds, KnownFeeds, SubscriptionChanges } from '@balados/users-read';
import { ACCOUNTS } from '../tokens';
import type { ReadAction } from './actions';
import { isOfAccount, SpeakingApp } from './speaking-app';
import { feedOf, Written } from './wire';

/** A longer address is not kept as an app's name for a feed, in characters. */
const NAME_MAX_LENGTH = 1_024;
/** Who cannot be told apart from others is told of an action under so many names at most: as many times as much is answered. */
const NAMES_TOLD_MAX = 3;
const appsName = plainText(NAME_MAX_LENGTH);

/**
 * How long a listener has had a podcast before it counts that it has moved, in milliseconds: by then its feed was asked since, whoever else
 * has it (jobs ask each at least every 30 hours). Known sooner, it would tell that somebody else here has it.
 */
export const MOVE_COUNTS_AFTER_MS = 30 * 3_600_000;

/**
 * Feeds of which it counts where they have moved to. What one has left is none of them: whoever publishes it must not come back in place of
 * another podcast.
 */
export const whoseMovesCount = ({ subscribed }: KnownFeeds, now: number): string[] =>
  [...subscribed].filter(([, heardAt]) => heardAt <= now - MOVE_COUNTS_AFTER_MS).map(([feed]) => feed);

/** What an app's addresses mean to us, and ours to it. One is kept as the listener first knew it, whatever else leads there. */
@Injectable()
export class FeedsOfApps {
  constructor(
    @Inject(ACCOUNTS) private readonly accounts: AccountsParts,
    private readonly queries: QueryBus,
  ) {}

  /** @param written what the app has just named, in canonical form; where it is answered only, nothing */
  async of(app: SpeakingApp, written: Iterable<string> = []): Promise<FeedsOfApp> {
    const named = new Set(written);
    const [names, known] = await Promise.all([
      this.accounts.feedNames.of(app.userId, named.size === 0 && app.own.length > 0 ? app.own : undefined),
      named.size === 0 ? NOTHING_KNOWN : this.queries.execute(new GetKnownFeeds(app.userId)),
    ]);
    const isUnheard = [...named].some((feed) => !known.subscribed.has(feed));
    const moves = isUnheard
      ? await this.accounts.feedNames.movedTo(whoseMovesCount(known, Date.now()))
      : new Map<string, string>();
    return new FeedsOfApp(app, names, known, moves);
  }

  /** What its list of all feeds that are to be left means to us; how it calls them is kept. */
  async wanted(app: SpeakingApp, list: readonly Written[]): Promise<string[]> {
    const feeds = await this.of(app, canonicals(list));
    const wanted = list.map((each) => feeds.take(each));
    await this.keepNames(feeds);
    return [...new Set(wanted)];
  }

  /** The same of what it adds and removes. Where it has only found a new address for a podcast, that is all that changes. */
  async changed(app: SpeakingApp, add: readonly Written[], remove: readonly Written[]) {
    const feeds = await this.of(app, canonicals([...add, ...remove]));
    const subscribe = new Set(add.map((each) => feeds.take(each)));
    const left = remove.map((each) => feeds.leave(each)).filter((feed) => feed !== undefined);
    await this.keepNames(feeds);
    return { subscribe: [...subscribe], unsubscribe: [...new Set(left)].filter((feed) => !subscribe.has(feed)) };
  }

  /** The same of what it reports. */
  async reported(app: SpeakingApp, actions: readonly ReadAction[]): Promise<EpisodeAction[]> {
    const feeds = await this.of(
      app,
      actions.map(({ feed }) => feed),
    );
    const kept = actions.map(({ podcast, ...action }) => ({
      ...action,
      feed: feeds.take([podcast, action.feed]),
    }));
    await this.keepNames(feeds);
    return kept;
  }

  /** All addresses of the podcasts that one is subscribed to, in canonical form. */
  async addressesHeld({ userId }: SpeakingApp): Promise<string[]> {
    const { feedNames } = this.accounts;
    const known = await this.queries.execute(new GetKnownFeeds(userId));
    const [names, moves] = await Promise.all([
      feedNames.of(userId),
      feedNames.movedTo(whoseMovesCount(known, Date.now())),
    ]);
    const named = names.flatMap(({ feed, knownAs }) => (known.subscribed.has(feed) ? (feedOf(knownAs) ?? []) : []));
    return [...known.subscribed.keys(), ...named, ...moves.keys()];
  }

  private keepNames(feeds: FeedsOfApp): Promise<void> {
    return this.accounts.feedNames.tell(feeds.app.userId, feeds.said());
  }
}

const canonicals = (feeds: readonly Written[]): string[] => feeds.map(([, canonical]) => canonical);

const NOTHING_KNOWN: KnownFeeds = { subscribed: new Map(), unsubscribed: new Set() };

export class FeedsOfApp {
  /** By client and feed. */
  private readonly names: Map<string, FeedName>;
  /** Other addresses of feeds, in canonical form: what any of the listener's apps call them. */
  private readonly others = new Map<string, string[]>();
  /** By feed, what those call it who may have signed in so, the last to tell at the end; made when it is asked for. */
  private ofAccount: Map<string, Set<string>> | undefined;
  private readonly news = new Map<string, { client: string; feed: string; knownAs: string | null }>();

  constructor(
    readonly app: SpeakingApp,
    names: readonly FeedName[],
    private readonly known: KnownFeeds,
    moves: ReadonlyMap<string, string>,
  ) {
    this.names = new Map(names.map((name) => [placeOf(name), name]));
    for (const { feed, knownAs } of names) this.lead(feedOf(knownAs), feed);
    for (const [to, feed] of moves) this.lead(to, feed);
  }

  private lead(to: string | undefined, feed: string): void {
    if (to !== undefined && to !== feed) this.others.set(to, [...(this.others.get(to) ?? []), feed]);
  }

  /** What is kept under this address: the podcast itself, another one that has moved there or that an app calls so, or none yet. */
  kept(canonical: string): string {
    const { subscribed, unsubscribed } = this.known;
    if (subscribed.has(canonical)) return canonical;
    const others = this.others.get(canonical) ?? [];
    const standing = others.find((feed) => subscribed.has(feed));
    if (standing !== undefined || unsubscribed.has(canonical)) return standing ?? canonical;
    return others.find((feed) => unsubscribed.has(feed)) ?? canonical;
  }

  /** The app calls it so from now on. @returns what it is kept as */
  take([written, canonical]: Written): string {
    const feed = this.kept(canonical);
    const knownAs = !this.app.renames && appsName.safeParse(written).success ? written : canonical;
    for (const client of this.app.clients) {
      const place = placeOf({ client, feed });
      if ((this.names.get(place)?.knownAs ?? feed) === knownAs) continue;
      this.names.set(place, { client, feed, knownAs });
      this.news.set(place, { client, feed, knownAs: knownAs === feed ? null : knownAs });
    }
    return feed;
  }

  /** The same for one that it does not want any more. @returns undefined where it has another name for it: that one it still wants */
  leave(written: Written): string | undefined {
    const feed = this.kept(written[1]);
    const name = this.nameBy(this.app.own.slice(0, 1), feed);
    if (name !== undefined && feedOf(name) !== written[1]) return undefined;
    return this.take(written);
  }

  /** How this app calls it; where it cannot be told apart, how any did last. */
  name(feed: string): string {
    return this.nameBy(this.app.own.length > 0 ? this.app.own : this.app.clients, feed) ?? feed;
  }

  private nameBy(clients: readonly string[], feed: string): string | undefined {
    for (const client of clients) {
      const name = this.names.get(placeOf({ client, feed }));
      if (name) return name.knownAs;
    }
    return undefined;
  }

  /** As it is told of subscriptions. */
  told({ subscribed, unsubscribed }: SubscriptionChanges): { add: string[]; remove: string[] } {
    return { add: subscribed.map((feed) => this.name(feed)), remove: unsubscribed.map((feed) => this.name(feed)) };
  }

  /**
   * What it may be called by who signed in so, ours first, then those that were told last: of what an app has no podcast for, it takes no
   * notice.
   */
  namesOf(feed: string): string[] {
    if (this.app.own.length > 0) return [this.name(feed)];
    this.ofAccount ??= byFeed([...this.names.values()].filter(({ client }) => isOfAccount(client)));
    const others = this.ofAccount.get(feed);
    return others ? [feed, ...others] : [feed];
  }

  said(): { client: string; feed: string; knownAs: string | null }[] {
    return [...this.news.values()];
  }
}

const placeOf = ({ client, feed }: { client: string; feed: string }): string => `${client}\n${feed}`;

function byFeed(names: readonly FeedName[]): Map<string, Set<string>> {
  const held = new Map<string, Set<string>>();
  for (const { feed, knownAs } of names) {
    if (knownAs === feed) continue;
    const known = held.get(feed) ?? new Set();
    // Anew at the end.
    known.delete(knownAs);
    held.set(feed, known.add(knownAs));
    if (known.size >= NAMES_TOLD_MAX) known.delete(known.values().next().value!);
  }
  return held;
}
