export {
  type EpisodePopularity,
  episodePopularity,
  type PodcastPopularity,
  podcastPopularity,
  trendingEpisodes,
  trendingPodcasts,
} from './popularity';
export {
  type PublicPodcast,
  popularPodcasts,
  publicPodcast,
  SEARCH_MAX_LENGTH,
  SEARCH_RESULTS_MAX,
  SEARCH_WORDS_MAX,
  SEARCHED_PODCASTS,
  searchPodcasts,
} from './podcasts';
export { EVENT_TYPES, type EventType, timeline, type TimelineEvent, type TimelinePage } from './timeline';
export { isWithheld, withoutPeople } from './withholding';
