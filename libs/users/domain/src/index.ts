export * from './claims';
export * from './listening';
export * from './marks';
export * from './subscriptions';
export * from './playlist-claims';
export * from './playlists';
export * from './privacy';
