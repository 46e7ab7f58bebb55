export * from './change-subscriptions';
export * from './commands';
export * from './erase-history';
export * from './listener-streams';
export * from './playlists';
export * from './privacy';
export * from './sync';
export type { Rejected } from './sync-entries';
export * from './report-actions';
