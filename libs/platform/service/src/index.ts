export * from './config';
export * from './health';
export * from './json-body';
export * from './logging';
export * from './paging';
export * from './patience';
export * from './problems';
export * from './service';
