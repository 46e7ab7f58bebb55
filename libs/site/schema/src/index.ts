import { Context } from '@balados/platform-stores';
import { Comparison1700000000370 } from './comparison-migration';
import { FeedMetadata1700000000340 } from './feed-metadata-migration';
import { InterventionsInSite1700000000371 } from './interventions-migration';
import { JobRuns1700000000411 } from './job-runs-migration';
import { PopularPodcasts1700000000460 } from './popular-podcasts-migration';
import {
  ForgottenFeeds1700000000131,
  Popularity1700000000101,
  Privacy1700000000103,
  Saves1700000000102,
} from './migrations';
import { TimelinePartitions1700000000360 } from './partitions-migration';
import { TimelineOfFeedAndType1700000000320 } from './timeline-migration';

export { makePartition, TIMELINE_DAYS, type TimelinePartition, timelinePartitions } from './timeline-partitions';

/** Role without login that may read the tables of `site` and nothing else; a service's login is made a member of it. */
export const SITE_READER = 'balados_site_reader';

/** Role without login that may read which podcasts are public, in the order of their popularity, and nothing else. */
export const PODCASTS_READER = 'balados_podcasts_reader';

/** The `site` context: what the public may read (`site`), and beside it what only projectors and jobs may (`site_private`). */
export const siteContext: Context = {
  schema: 'site_private',
  searchPath: ['site_private', 'site'],
  entities: [],
  migrations: [
    Popularity1700000000101,
    Saves1700000000102,
    Privacy1700000000103,
    ForgottenFeeds1700000000131,
    TimelineOfFeedAndType1700000000320,
    FeedMetadata1700000000340,
    TimelinePartitions1700000000360,
    Comparison1700000000370,
    InterventionsInSite1700000000371,
    JobRuns1700000000411,
    PopularPodcasts1700000000460,
  ],
  rights: {
    [SITE_READER]: {
      'site.podcast_popularity': ['SELECT'],
      'site.episode_popularity': ['SELECT'],
      'site.public_events': ['SELECT'],
      'site.projection': ['SELECT'],
    },
    [PODCASTS_READER]: {
      'site.podcast_popularity': ['SELECT (feed_id, feed, feed_title, feed_author, feed_cover, score)'],
    },
  },
};

/** What anonymous reads connect with: they migrate nothing, and see nothing beside the tables of `site`. */
export const siteReadContext: Context = { schema: 'site', entities: [], migrations: [] };
