export * from './escape-references';
export * from './feed';
export * from './merge-feeds';
export * from './not-a-feed';
export * from './only-item';
export * from './open-feed';
export * from './read-opml';
export { newestFirst, partOfFeed } from './part-of-feed';
export * from './write-opml';
