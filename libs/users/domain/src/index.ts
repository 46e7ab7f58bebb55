export * from './claims';
export * from './listening';
export * from './subscriptions';
