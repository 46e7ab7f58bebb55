export * from './feeds-client';
export * from './open-feeds-client';
export * from './serve-feeds';
