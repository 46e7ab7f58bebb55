import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { InvalidId, parseFeed, parseItem } from './ids';

// Devices send the same few feeds with every item; parsing one takes longer than finding it.
const PARSED_FEEDS_KEPT = 5_000;
const parsedFeeds = new LRUCache<string, string>({
  max: PARSED_FEEDS_KEPT,
  maxSize: 8_388_608,
  sizeCalculation: (feed, encoded) => feed.length + encoded.length + 64,
});

function parseFeedOnce(encoded: string): string {
  const known = parsedFeeds.get(encoded);
  if (known !== undefined) return known;
  const feed = parseFeed(encoded);
  parsedFeeds.set(encoded, feed);
  return feed;
}

const parsedId = (parse: (encoded: string) => string) =>
  z.string().transform((encoded, context) => {
    try {
      return parse(encoded);
    } catch (error) {
      if (!(error instanceof InvalidId)) throw error;
      context.addIssue({ code: 'custom', message: error.message, params: { code: error.code } });
      return z.NEVER;
    }
  });

/** base64 of a feed's URL → its canonical URL. */
export const feedParameter = parsedId(parseFeedOnce).meta({ description: "base64 of the feed's URL" });
/** base64 of `<guid>,<enclosure>` → that text. */
export const itemParameter = parsedId(parseItem).meta({ description: 'base64 of `<guid>,<enclosure URL>`' });
