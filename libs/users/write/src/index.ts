export * from './commands';
export * from './erase-history';
export * from './import-subscriptions';
export * from './listener-streams';
export * from './playlists';
export * from './privacy';
export * from './sync';
export type { Rejected } from './sync-entries';
