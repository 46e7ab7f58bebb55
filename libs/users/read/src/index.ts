export * from './own-reads';
export * from './queries';
