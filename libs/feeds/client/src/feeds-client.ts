import { z } from 'zod';

/** An episode as its feed has it now. */
export const feedEpisode = z.object({
  /** URL of the audio. */
  enclosure: z.string(),
  /** As `itunes:duration` says, in seconds. */
  durationS: z.number().nullable(),
});
export type FeedEpisode = z.infer<typeof feedEpisode>;

/** What a feed says of itself. */
export const feedMetadata = z.object({
  title: z.string().nullable(),
  author: z.string().nullable(),
  link: z.string().nullable(),
  cover: z.object({ src: z.string(), srcset: z.string().nullable() }).nullable(),
  /** `itunes:block`: its owner does not want it listed anywhere. */
  blocked: z.boolean(),
  /** The origin answers 410: it is no more. What else is said here is what was last seen, or null. */
  gone: z.boolean(),
  /** Where the origin says that it is for good (301, 308); null while it has not moved. */
  movedTo: z.string().nullable(),
});
export type FeedMetadata = z.infer<typeof feedMetadata>;

/** What rss-proxy, the one service that reaches the internet, does for the others. `feed` is a canonical URL, `item` is `<guid>,<enclosure>`. */
export interface FeedsClient {
  /** Null when the feed does not hold it: its guid and its enclosure must both be the item's. @throws FeedUnavailable */
  episode(of: { feed: string; item: string }): Promise<FeedEpisode | null>;
  /** @throws FeedUnavailable */
  metadata(of: { feed: string }): Promise<FeedMetadata>;
}

/**
 * Nothing is known of the feed at this moment.
 * @param code as the proxy's own problems have it (`feed_not_found`, `feed_timeout`, …), `late` when the proxy takes too long
 *   for this feed, which may be the feed's fault, or `unreachable` when it does not answer at all
 * @param retryAfterMs asking again before that gives the same
 */
export class FeedUnavailable extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
    this.name = 'FeedUnavailable';
  }
}
