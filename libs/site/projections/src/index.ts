export { POINTS } from './contributions';
export { PEOPLE_MAX } from './expected';
export { arrangeTimeline, timelineChanges } from './partitions';
export { describeFeed, type DueFeed, type FeedDescription, feedsAmong, feedsDue, putOff } from './feed-metadata';
export { storeDefaultPrivacy } from './privacy';
export {
  applyDefaultPrivacy,
  type Compared,
  COMPARED_FEEDS,
  comparedUpTo,
  comparePopularity,
  drift,
  noteCompared,
  recomputePopularity,
} from './recompute';
export { createSiteRebuildable, forgetEntirely } from './rebuild';
export { createSiteProjector, DEFAULT_SITE_POLICY, type SitePolicy } from './site-projector';
export { movedByWindows, movePopularityWindows, TRENDING_WINDOW_MS } from './window';
export { forgetListener } from './forget';
