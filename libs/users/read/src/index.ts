export { CHANGE_KINDS, ChangeFeed } from './change-feed';
export { beginEvents, EventStream } from './event-stream';
export { exportOf } from './export';
export * from './own-reads';
export * from './playlists';
export * from './privacy';
export * from './queries';
export * from './saved-episodes';
