import { Readable } from 'node:stream';
import { NO_EVENTS } from '@balados/event-sourcing';
import { USERS_CATEGORIES } from '@balados/users-contracts';
import type { ListenerStreams } from '@balados/users-write';
import { Category, Change, ChangeFeed, ChangeKind, KINDS_OF, Watcher } from './change-feed';
import { ChangeToken, decodeChangeToken, encodeChangeToken } from './change-token';

/** Something is written at least this often, in milliseconds, so that nobody on the way takes the connection for dead. */
export const HEARTBEAT_MS = 20_000;
/** Who has not taken what was written for this long is cut off, in milliseconds. */
export const SLOW_READER_MS = 20_000;
/** Who has not taken the end by then is cut off, in milliseconds. */
export const END_MS = 1_000;
/** How long a client is asked to wait before it connects again, in milliseconds. */
export const RETRY_MS = 1_000;

export type Revisions = Record<Category, number>;
type Owner = Pick<ChangeToken, 'store' | 'user'>;

/**
 * One device's server-sent events, as text that is read when the connection takes it. What changed meanwhile is told once for each kind, so
 * that a slow reader costs no more memory than a fast one. An id says how far everything before it goes; of several events written together
 * the last alone has one.
 */
export class EventStream implements Watcher {
  readonly text: Readable;
  /** How far the streams are known here. */
  private readonly seen: Revisions;
  /** What is to be told, with the one device that did it, null for several or none. */
  private readonly pending = new Map<ChangeKind | 'reset', string | null>();
  private isWanted = false;
  private writtenAt = performance.now();
  /** Undefined before it has begun. */
  private owner: Owner | undefined;
  private isOver = false;

  /** @param cut ends the connection at once */
  constructor(private readonly cut: () => void) {
    this.seen = Object.fromEntries(USERS_CATEGORIES.map((category) => [category, NO_EVENTS])) as Revisions;
    this.text = new Readable({
      encoding: 'utf8',
      highWaterMark: 1,
      read: () => {
        this.isWanted = true;
        this.flush();
      },
    });
  }

  changed({ category, revision, kinds, deviceId }: Change): void {
    if (revision <= this.seen[category]) return;
    this.seen[category] = revision;
    for (const kind of kinds) this.note(kind, deviceId);
    this.flush();
  }

  lost(): void {
    this.end();
  }

  /**
   * Called once, when `changed` is told of everything that `heads` do not hold.
   * @param since what the device was told before; when nothing can be said of what came after it, the device is told to begin anew. Without
   * it the device knows what is in `heads`.
   */
  begin(owner: Owner, heads: Revisions, since?: ChangeToken | 'unreadable'): void {
    this.owner = owner;
    const token = since === 'unreadable' || !since || !isOf(since, owner, heads) ? undefined : since;
    const known = token ?? heads;
    for (const category of USERS_CATEGORIES) {
      const kinds = KINDS_OF[category];
      if (this.seen[category] <= known[category]) for (const kind of kinds) this.pending.delete(kind);
      if (heads[category] > known[category]) for (const kind of kinds) this.note(kind, null);
      this.seen[category] = Math.max(this.seen[category], heads[category]);
    }
    if (since && !token) this.note('reset', null);
    this.write(`retry: ${RETRY_MS}\n\n${this.pending.size > 0 ? this.told() : `id: ${this.id()}\n\n`}`);
  }

  /** To be called every now and then. */
  beat(): void {
    const quietMs = performance.now() - this.writtenAt;
    if (this.isWanted && quietMs >= HEARTBEAT_MS) this.write(':\n\n');
    else if (!this.isWanted && quietMs >= SLOW_READER_MS) this.cut();
  }

  /** Ends it in order; the client comes again after `retryMs`. */
  end(retryMs = RETRY_MS): void {
    if (this.isOver) return;
    this.isOver = true;
    this.text.push(`retry: ${retryMs}\n\n`);
    this.text.push(null);
    setTimeout(this.cut, END_MS).unref();
  }

  private note(kind: ChangeKind | 'reset', deviceId: string | null): void {
    const isAnother = this.pending.has(kind) && this.pending.get(kind) !== deviceId;
    this.pending.set(kind, isAnother ? null : deviceId);
  }

  private flush(): void {
    if (this.owner && this.isWanted && this.pending.size > 0) this.write(this.told());
  }

  private told(): string {
    const events = [...this.pending].map(
      ([kind, deviceId]) => `event: ${kind}\ndata: ${JSON.stringify({ device_id: deviceId })}\n`,
    );
    this.pending.clear();
    return events
      .map((event, index) => `${index === events.length - 1 ? `id: ${this.id()}\n` : ''}${event}\n`)
      .join('');
  }

  private id(): string {
    return encodeChangeToken({ ...this.owner!, ...this.seen });
  }

  private write(text: string): void {
    if (this.isOver) return;
    this.isWanted = false;
    this.writtenAt = performance.now();
    this.text.push(text);
  }
}

/** Of a log that was put back, and came less far, nothing can be said either. */
const isOf = (token: ChangeToken, { store, user }: Owner, heads: Revisions): boolean =>
  token.store === store &&
  token.user === user &&
  USERS_CATEGORIES.every((category) => token[category] <= heads[category]);

/**
 * Has a stream begin: whatever was appended after what `since` names, or after now, is told.
 * @param since id of an event, or a sync token
 * @returns ends the telling
 * @throws StoreUnavailable | StreamGone
 */
export async function beginEvents(
  { feed, streams }: { feed: ChangeFeed; streams: ListenerStreams },
  stream: EventStream,
  { userId, since }: { userId: string; since: string | undefined },
): Promise<() => void> {
  const end = await feed.watch(userId, stream);
  try {
    // Once it watches, so that nothing falls between the heads and what it is told.
    const [store, heads] = await Promise.all([streams.store.storeId(), headsOf(streams, userId)]);
    stream.begin({ store, user: userId }, heads, since ? (decodeChangeToken(since) ?? 'unreadable') : undefined);
    return end;
  } catch (error) {
    end();
    throw error;
  }
}

async function headsOf({ subscriptions, listening, playlists, privacy }: ListenerStreams, userId: string) {
  const all = [subscriptions, listening, playlists, privacy];
  const heads = await Promise.all(all.map(async (each) => [each.category, await each.head(userId)] as const));
  return Object.fromEntries(heads) as Revisions;
}
