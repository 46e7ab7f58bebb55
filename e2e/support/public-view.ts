import { base64, base64Url, request } from './client';

export interface Counts {
  score: number;
  plays: number;
  likes: number;
  /** User ids, sorted: who is the most recent is another matter. */
  plays_people: string[];
  likes_people: string[];
}

/** All that the public is shown of a podcast; undefined when that is nothing. */
export interface PublicView {
  podcast: Counts;
  /** By item. */
  episodes: Record<string, Counts>;
  /** `<type> <user id or nobody> <item or nothing>`, sorted. */
  timeline: string[];
}

interface WireEvent {
  event_type: string;
  user_id: string | null;
  rss_source_feed: string;
  rss_source_item: string | null;
  occurred_at: string;
}

const decode = (text: string): string => Buffer.from(text, 'base64').toString();
const countsOf = ({ score, plays, likes, plays_people, likes_people }: Counts): Counts => ({
  score,
  plays,
  likes,
  plays_people: [...plays_people].sort(),
  likes_people: [...likes_people].sort(),
});

/** The public routes as anybody asks them, each time under another address, since answers are kept for a second. */
export class Public {
  private asked = 0;

  constructor(private readonly base: string) {}

  get(path: string): ReturnType<typeof request> {
    this.asked += 1;
    return request(`${this.base}/api/v1/public${path}${path.includes('?') ? '&' : '?'}n=${this.asked}`);
  }

  /** From every public route. @throws when they contradict each other */
  async view(feed: string): Promise<PublicView | undefined> {
    const here = base64(feed);
    const popularity = await this.get(`/feed/${base64Url(feed)}/popularity`);
    const trending = (await this.get('/trending/podcasts?limit=100')).body.podcasts as ({
      rss_source_feed: string;
    } & Counts)[];
    const listed = trending.find(({ rss_source_feed }) => rss_source_feed === here);
    const ofFeed = (await this.get(`/trending/episodes?limit=100&feed=${base64Url(feed)}`)).body.episodes as ({
      rss_source_item: string;
    } & Counts)[];
    const events = (await this.get(`/timeline?limit=100&feed=${base64Url(feed)}`)).body.events as WireEvent[];
    const all = (await this.get('/timeline?limit=100')).body.events as WireEvent[];
    expect(all.filter(({ rss_source_feed }) => rss_source_feed === here)).toEqual(events);
    for (const { user_id, occurred_at } of events)
      if (user_id === null) expect(occurred_at).toMatch(/T\d\d:00:00\.000Z$/);
    if (popularity.status === 404) {
      expect([listed, ofFeed, events]).toEqual([undefined, [], []]);
      return undefined;
    }
    expect(popularity.body.podcast).toEqual(listed);
    for (const episode of ofFeed) {
      const path = `/episode/${episode.rss_source_item.replaceAll('+', '-').replaceAll('/', '_')}/popularity?feed=`;
      expect((await this.get(`${path}${base64Url(feed)}`)).body.episode).toEqual(episode);
    }
    return {
      podcast: countsOf(popularity.body.podcast),
      episodes: Object.fromEntries(ofFeed.map((row) => [decode(row.rss_source_item), countsOf(row)])),
      timeline: events
        .map(
          ({ event_type, user_id, rss_source_item: item }) =>
            `${event_type} ${user_id ?? 'nobody'} ${item === null ? '' : decode(item)}`,
        )
        .sort(),
    };
  }
}
