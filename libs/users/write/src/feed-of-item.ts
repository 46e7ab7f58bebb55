import { feedsInPlaylists, feedsOf, feedsWithPrivacy, onlyFeed } from '@balados/users-domain';
import type { ListenerStreams } from './listener-streams';

/**
 * The one podcast of an item that came without its feed: looked up among what the listener played, saved, shared, put into a playlist
 * or gave a setting. @throws Refusal `episode_unknown`, `episode_ambiguous`
 */
export async function feedOfItem(streams: ListenerStreams, userId: string, item: string): Promise<string> {
  const feeds = await Promise.all([
    streams.listening.query(userId, ({ state }) => feedsOf(state, item)),
    streams.playlists.query(userId, ({ state }) => feedsInPlaylists(state, item)),
    streams.privacy.query(userId, ({ state }) => feedsWithPrivacy(state, item)),
  ]);
  return onlyFeed([...new Set(feeds.flat())]);
}
