export * from './answers';
export { compaction } from './compaction';
export * from './erasure-target';
export * from './events';
export * from './wire';
export * from './wire-privacy';
