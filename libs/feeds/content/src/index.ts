export * from './escape-references';
export * from './parse-feed';
