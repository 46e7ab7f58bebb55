export * from './fetch-failed';
export * from './fetch-feed';
export * from './limits';
