import { FeedsClient, FeedUnavailable } from '@balados/feeds-client';
import {
  createFeedCache,
  createFetcher,
  FeedCache,
  FetchFailed,
  openSharedTier,
  WatchedFeeds,
} from '@balados/feeds-fetch';
import type { Logger } from '@balados/platform-service';
import { traced } from '@balados/platform-tracing';
import type { Config } from './config';
import { feedProblem } from './problems';
import { itemIn, readFeed, ServedFeed } from './served-feed';

/** The feeds of the world, as this service holds them. */
export interface Feeds extends FeedsClient {
  cache: FeedCache<ServedFeed>;
  /** The clock that its copies are dated by, in epoch milliseconds. */
  now: () => number;
  close(): Promise<void>;
}

export function openFeeds(
  config: Config,
  log: Logger,
  { onAsked, onLooked, now }: WatchedFeeds & { now: () => number },
): Feeds {
  const fetcher = createFetcher({ allowPrivate: config.FEEDS_ALLOW_PRIVATE, now });
  const cache = createFeedCache({
    fetcher,
    read: readFeed,
    onAsked,
    onLooked,
    now,
    maxFeeds: config.FEEDS_CACHE,
    maxBytes: config.FEEDS_CACHE_MB,
    shared:
      config.REDIS_URL === undefined
        ? undefined
        : openSharedTier<ServedFeed>(config.REDIS_URL, {
            read: readFeed,
            written: ({ body }) => body,
            onAway: (error) => log.warn({ err: error }, 'Redis is away; feeds are kept in memory alone'),
          }),
  });
  const get = async (feed: string, client: string) => {
    try {
      return await traced('feed', { 'balados.service': 'rss-proxy', 'balados.client': client }, () =>
        cache.get(feed, client),
      );
    } catch (error) {
      const problem = feedProblem(error, feed);
      if (!problem) throw error;
      throw new FeedUnavailable(problem.code, problem.detail, cache.failingForMs(feed));
    }
  };
  return {
    cache,
    now,
    async episode({ feed, item }) {
      const found = itemIn((await get(feed, 'play links')).document, item);
      return found ? { enclosure: found.enclosure, durationS: found.durationS } : null;
    },
    async metadata({ feed }) {
      try {
        const { document, movedTo } = await get(feed, 'metadata');
        return { ...document.open.feed, gone: false, movedTo };
      } catch (error) {
        if (!(error instanceof FeedUnavailable) || error.code !== GONE) throw error;
        return { title: null, author: null, link: null, cover: null, blocked: false, gone: true, movedTo: null };
      }
    },
    close: async () => {
      await cache.close();
      await fetcher.close();
    },
  };
}

const GONE = `feed_${'gone' satisfies FetchFailed['code']}`;
