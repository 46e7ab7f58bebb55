export { GetEpisodeActions, GetEpisodeActionsHandler } from './episode-actions';
export { exportOf } from './export';
export * from './own-reads';
export * from './playlists';
export * from './privacy';
export * from './queries';
export * from './saved-episodes';
export * from './subscription-changes';
