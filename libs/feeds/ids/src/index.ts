export * from './ids';
export * from './link-keys';
export * from './parameters';
export * from './play-link';
