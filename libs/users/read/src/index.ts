export * from './own-reads';
export * from './queries';
export * from './saved-episodes';
