export * from './feed-cache';
export * from './fetch-failed';
export * from './fetch-feed';
export * from './limits';
export * from './shared-tier';
