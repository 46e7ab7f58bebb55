export * from './commands';
export * from './listener-streams';
export * from './playlists';
export * from './sync';
export type { Rejected } from './sync-entries';
