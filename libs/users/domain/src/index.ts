export * from './claims';
export * from './erasure';
export * from './listening';
export * from './marks';
export * from './subscriptions';
export * from './playlist-claims';
export * from './playlists';
export * from './privacy';
