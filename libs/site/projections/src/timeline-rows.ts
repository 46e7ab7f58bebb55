/** SQL: a time of a contribution as the timeline has it: of what is anonymous it says the hour and no more. */
export const seenAt = (visibility: string, time: string): string =>
  `CASE ${visibility} WHEN 'public' THEN ${time} ELSE date_trunc('hour', ${time}, 'UTC') END`;

/** Columns of the timeline. */
export const SEEN = ['id', 'event_type', 'user_id', 'feed_id', 'episode_id', 'occurred_at', 'recorded_at'] as const;

/** SQL: the values of `SEEN`, of contributions that are not private. */
export const SEEN_VALUES = `public_id AS id, kind AS event_type, CASE WHEN visibility = 'public' THEN listener END AS user_id,
  feed_id, episode_id, ${seenAt('visibility', 'occurred_at')} AS occurred_at, ${seenAt('visibility', 'recorded_at')} AS recorded_at`;

/** SQL: puts into the timeline the contributions of the FROM clause that follows. */
export const SEE = `INSERT INTO public_events (${SEEN.join(', ')}) SELECT ${SEEN_VALUES}`;

/** SQL: whether a contribution is recent enough for the timeline. */
export const IS_RECENT = 'recorded_at >= (SELECT timeline_starts_at FROM popularity_window)';
