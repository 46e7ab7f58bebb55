import { CHECKPOINT, EventStore, parseStream, StoredEvent, typesOf } from '@balados/event-sourcing';
import { USERS_CATEGORIES, UsersEvent } from '@balados/users-contracts';

export type Category = (typeof USERS_CATEGORIES)[number];

/** What of a listener's may change, as devices are told. */
export const CHANGE_KINDS = ['subscriptions', 'plays', 'saves', 'playlists', 'privacy'] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** What an event of each category may have changed. */
export const KINDS_OF: Readonly<Record<Category, readonly ChangeKind[]>> = {
  subscriptions: ['subscriptions'],
  listening: ['plays', 'saves'],
  playlists: ['playlists'],
  privacy: ['privacy'],
};

/** Of what the category says too little. */
const KINDS_OF_TYPE: Partial<Record<UsersEvent['type'] | typeof CHECKPOINT, readonly ChangeKind[]>> = {
  PlayRecorded: ['plays'],
  PositionUpdated: ['plays'],
  EpisodeActionReported: ['plays'],
  EpisodeSaved: ['saves'],
  EpisodeUnsaved: ['saves'],
  EpisodeShared: ['saves'],
  // These say nothing new.
  ContentDropped: [],
  [CHECKPOINT]: [],
};

/** That a listener's stream has come to a revision. */
export interface Change {
  category: Category;
  revision: number;
  kinds: readonly ChangeKind[];
  /** Whose request it was, if it said so. */
  deviceId: string | null;
}

export interface Watcher {
  changed(change: Change): void;
  /** Nothing more will be told. */
  lost(): void;
}

/**
 * What is appended to listeners' streams, by whichever process, told to those here who watch. One subscription to the log serves all of them: it
 * begins with the first and ends with the last, and of events that concern none nothing is looked at but the stream's name.
 */
export class ChangeFeed {
  private readonly watchers = new Map<string, Set<Watcher>>();
  private following: { begun: Promise<void>; end: AbortController } | undefined;

  constructor(
    private readonly store: EventStore,
    private readonly log: { error(fields: object, message: string): void },
  ) {}

  /**
   * When it resolves, whatever is not in the listener's streams by now will be told; what is may be, too.
   * @returns ends the watching
   * @throws StoreUnavailable
   */
  async watch(userId: string, watcher: Watcher): Promise<() => void> {
    const others = this.watchers.get(userId) ?? new Set();
    this.watchers.set(userId, others.add(watcher));
    const end = (): void => this.leave(userId, watcher);
    try {
      await (this.following ??= this.follow()).begun;
      return end;
    } catch (error) {
      end();
      throw error;
    }
  }

  private leave(userId: string, watcher: Watcher): void {
    const all = this.watchers.get(userId);
    all?.delete(watcher);
    if (all?.size === 0) this.watchers.delete(userId);
    if (this.watchers.size > 0) return;
    this.following?.end.abort();
    this.following = undefined;
  }

  private follow() {
    const end = new AbortController();
    const begun = this.store.headPosition().then((after) => void this.tellAfter(after, end.signal));
    return { begun, end };
  }

  private async tellAfter(after: bigint | undefined, signal: AbortSignal): Promise<void> {
    try {
      const prefixes = USERS_CATEGORIES.map((category) => `${category}-`);
      for await (const item of this.store.subscribe({ after, prefixes, signal })) if ('stream' in item) this.tell(item);
    } catch (error) {
      this.log.error({ err: error }, 'changes can no longer be followed');
    }
    if (signal.aborted) return;
    this.following = undefined;
    for (const watcher of [...this.watchers.values()].flatMap((all) => [...all])) watcher.lost();
  }

  private tell(stored: StoredEvent): void {
    const { stream, revision, metadata } = stored;
    const { category, userId } = parseStream(stream) as { category: Category; userId: string };
    const watchers = this.watchers.get(userId);
    if (!watchers) return;
    const kindsOf = (type: string) => KINDS_OF_TYPE[type as UsersEvent['type']] ?? KINDS_OF[category];
    const kinds = [...new Set(typesOf(stored).flatMap(kindsOf))];
    const deviceId = (metadata as { deviceId?: string } | null)?.deviceId ?? null;
    for (const watcher of watchers) watcher.changed({ category, revision, kinds, deviceId });
  }
}
