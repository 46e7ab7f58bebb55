import { decodeBase64 } from '@balados/feeds-ids';
import { setTimeout as pause } from 'node:timers/promises';
import { Api, DemoFailed } from './api';
import { Podcast } from './library';

/** Longest list that the system gives. */
const TRENDING_MAX = 100;
/** What was done must be trending within this time, in milliseconds. */
export const TRENDING_LIMIT_MS = 60_000;
const ASK_EVERY_MS = 250;

export interface Trending {
  title: string;
  score: number;
  plays: number;
  likes: number;
}

/**
 * The library's podcasts in the order in which they trend, once all of them do.
 * @throws DemoFailed when they do not within TRENDING_LIMIT_MS
 */
export async function trending(
  api: Api,
  library: readonly Podcast[],
  limitMs = TRENDING_LIMIT_MS,
): Promise<Trending[]> {
  const titles = new Map(library.map(({ feed, title }) => [feed, title]));
  const end = performance.now() + limitMs;
  for (;;) {
    const { podcasts } = await api.send<{
      podcasts: { rss_source_feed: string; score: number; plays: number; likes: number }[];
    }>('GET', `/public/trending/podcasts?limit=${TRENDING_MAX}`);
    const ours = podcasts.flatMap(({ rss_source_feed, score, plays, likes }) => {
      const title = titles.get(decodeBase64(rss_source_feed));
      return title === undefined ? [] : [{ title, score, plays, likes }];
    });
    // On a busy system a full list may have no room for all of ours.
    if (ours.length === library.length || (podcasts.length === TRENDING_MAX && ours.length > 0)) return ours;
    if (performance.now() > end)
      throw new DemoFailed(`after ${limitMs / 1_000} s, ${ours.length} of ${library.length} podcasts are trending`);
    await pause(ASK_EVERY_MS);
  }
}
