export {
  type EpisodePopularity,
  episodePopularity,
  type PodcastPopularity,
  podcastPopularity,
  trendingEpisodes,
  trendingPodcasts,
} from './popularity';
export { EVENT_TYPES, type EventType, timeline, type TimelineEvent, type TimelinePage } from './timeline';
export { isWithheld, withoutPeople } from './withholding';
