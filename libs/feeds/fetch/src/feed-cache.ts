import { setMaxListeners } from 'node:events';
import { hasCredentials } from '@balados/feeds-ids';
import { createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import { LRUCache } from 'lru-cache';
import { FetchFailed } from './fetch-failed';
import { FeedFetcher, Validators } from './fetch-feed';
import {
  CACHE_BYTES,
  FAILURE_KEPT_MS,
  FAILURES_KEPT,
  FEEDS_KEPT,
  FETCHES_MAX,
  FETCHES_WAITING_MAX,
  FRESH_MS,
  STALE_IF_ERROR_MS,
  STALE_WHILE_REVALIDATE_MS,
} from './limits';
import { SharedTier } from './shared-tier';

/** What the document was read into: all that serving it needs, and the memory that it takes, in bytes. */
export interface Weighed {
  weight: number;
}

/** Reads a document. What it throws is remembered like a failure of the origin. */
export type Read<Document extends Weighed> = (
  bytes: Uint8Array,
  contentType: string | undefined,
) => Document | Promise<Document>;

export interface Held<Document> extends Validators {
  document: Document;
  /** When its origin last vouched for it, in epoch milliseconds. */
  checkedAt: number;
  /** Where the origin says that the feed is for good; null while it has not moved. */
  movedTo: string | null;
}

export interface Found<Document> extends Pick<Held<Document>, 'document' | 'checkedAt' | 'movedTo'> {
  /** The origin failed when it was last asked. */
  isStale: boolean;
}

export interface CacheOptions<Document extends Weighed> extends WatchedFeeds {
  fetcher: FeedFetcher;
  read: Read<Document>;
  /** Beside the memory of this process: what every copy of the service sees. Feeds with credentials are never in it. */
  shared?: SharedTier<Document>;
  maxFeeds?: number;
  maxBytes?: number;
  now?: () => number;
}

/** Where a copy is looked for, and what is found: one that is given as it is, an old one, or none. */
export type Tier = 'memory' | 'shared';
export type LookedUp = 'hit' | 'stale' | 'miss';

/** Told what the cache does. */
export interface WatchedFeeds {
  /** What came of a question to an origin: `document`, `unchanged`, a code of FetchFailed, or `unreadable`; and how long it took. */
  onAsked?: (outcome: string, seconds: number) => void;
  onLooked?: (tier: Tier, result: LookedUp) => void;
}

/** What is remembered of an origin that failed. */
interface Failure {
  error: unknown;
  /** It is not asked before. */
  until: number;
}

export interface FeedCache<Document> {
  /** `client`: who asks. @throws FetchFailed, or what `read` throws, when there is no copy that may be given */
  get(feed: string, client?: string): Promise<Found<Document>>;
  /** For how long the feed's failure is remembered, in milliseconds; null when it has not failed. */
  failingForMs(feed: string): number | null;
  /** How many are held, and in how many bytes. */
  size(): { feeds: number; bytes: number };
  /** Stops what is under way. */
  close(): Promise<void>;
}

/** A private feed is held for those who know its address, and given to nobody else to keep. */
export const isPrivateFeed = hasCredentials;

/** Of a key and what surrounds a document. */
const BYTES_AROUND = 512;

/**
 * Feeds as they were when their origins were last asked, by canonical URL, the least recently used out first. One fetch at a time for each;
 * whoever asks for the same waits for it.
 */
export function createFeedCache<Document extends Weighed>({
  fetcher,
  read,
  shared,
  maxFeeds = FEEDS_KEPT,
  maxBytes = CACHE_BYTES,
  now = Date.now,
  onAsked = () => undefined,
  onLooked = () => undefined,
}: CacheOptions<Document>): FeedCache<Document> {
  type Copy = Held<Document>;
  // Keyv bounds neither number nor bytes; its store here does.
  const held = new LRUCache<string, { value: Copy }>({
    max: maxFeeds,
    maxSize: maxBytes,
    sizeCalculation: ({ value }, feed) => value.document.weight + feed.length * 2 + BYTES_AROUND,
  });
  const memory = new Keyv(held, { serialize: undefined, deserialize: undefined, useKeyPrefix: false });
  const here = createCache({ stores: [memory] });
  const everywhere = shared ? createCache({ stores: [memory, shared.store] }) : here;
  const failures = new LRUCache<string, Failure>({ max: FAILURES_KEPT });
  const underWay = new Map<string, Promise<Copy>>();
  const closing = new AbortController();
  // Every fetch listens: that many are no leak.
  setMaxListeners(FETCHES_MAX + FETCHES_WAITING_MAX, closing.signal);

  /** Asks the origin, unless that is under way. */
  function refresh(feed: string, client: string | undefined): Promise<Copy> {
    const found = underWay.get(feed);
    if (found) return found;
    const asked = ask(feed, client).finally(() => underWay.delete(feed));
    underWay.set(feed, asked);
    return asked;
  }

  /** Where its copies are. */
  const tiersOf = (feed: string) => (isPrivateFeed(feed) ? here : everywhere);

  async function ask(feed: string, client: string | undefined): Promise<Copy> {
    const tiers = tiersOf(feed);
    const isHere = held.has(feed);
    const copy = await tiers.get<Copy>(feed);
    if (!isHere && shared && tiers === everywhere) onLooked('shared', looked(copy));
    if (copy && !held.has(feed)) {
      // Another copy of the service has asked.
      await here.set(feed, copy);
      if (age(copy) < FRESH_MS) return copy;
    }
    const started = performance.now();
    const over = (outcome: string): void => onAsked(outcome, (performance.now() - started) / 1_000);
    try {
      const fetched = await fetcher.fetch(feed, copy, closing.signal, client);
      const { etag, lastModified, movedTo } = fetched;
      const document = fetched.kind === 'unchanged' ? copy!.document : await read(fetched.bytes, fetched.contentType);
      const next: Copy = { document, etag, lastModified, movedTo, checkedAt: now() };
      await here.set(feed, next);
      failures.delete(feed);
      over(fetched.kind);
      if (tiers !== here && fetched.kind === 'document') shared?.keep(feed, next);
      return next;
    } catch (error) {
      await remember(feed, error, over);
      throw error;
    }
  }

  async function remember(feed: string, error: unknown, over: (outcome: string) => void): Promise<void> {
    const { code, retryAfterMs } = error instanceof FetchFailed ? error : { code: 'unreadable', retryAfterMs: null };
    over(code);
    // That much is under way here, or that we are stopping, says nothing of the origin.
    if (code === 'busy' || closing.signal.aborted) return;
    failures.set(feed, { error, until: now() + Math.max(FAILURE_KEPT_MS, retryAfterMs ?? 0) });
    // What its publisher took away is not given any more, nor what its publisher does not give with this address.
    if (code === 'gone' || (code === 'access_denied' && isPrivateFeed(feed))) await tiersOf(feed).del(feed);
  }

  const looked = (copy: Copy | undefined): LookedUp => (!copy ? 'miss' : age(copy) < FRESH_MS ? 'hit' : 'stale');

  const age = ({ checkedAt }: Copy): number => Math.max(0, now() - checkedAt);

  const given = ({ document, checkedAt, movedTo }: Copy, isStale: boolean): Found<Document> => ({
    document,
    checkedAt,
    movedTo,
    isStale,
  });

  return {
    async get(feed, client) {
      const copy = await here.get<Copy>(feed);
      onLooked('memory', looked(copy));
      if (copy && age(copy) < FRESH_MS) return given(copy, false);
      const failure = failures.get(feed);
      if (failure && now() < failure.until) {
        if (copy && age(copy) < STALE_IF_ERROR_MS) return given(copy, true);
        throw failure.error;
      }
      const asked = refresh(feed, client);
      if (copy && age(copy) < STALE_WHILE_REVALIDATE_MS) {
        asked.catch(() => undefined);
        return given(copy, failure !== undefined);
      }
      try {
        return given(await asked, false);
      } catch (error) {
        const last = await here.get<Copy>(feed);
        if (last && age(last) < STALE_IF_ERROR_MS) return given(last, true);
        throw error;
      }
    },
    failingForMs: (feed) => {
      const failure = failures.get(feed);
      return failure && failure.until > now() ? failure.until - now() : null;
    },
    size: () => ({ feeds: held.size, bytes: held.calculatedSize }),
    async close() {
      closing.abort();
      await Promise.allSettled(underWay.values());
      await shared?.close();
    },
  };
}
