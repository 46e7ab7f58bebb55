export * from './own-reads';
export * from './playlists';
export * from './queries';
export * from './saved-episodes';
