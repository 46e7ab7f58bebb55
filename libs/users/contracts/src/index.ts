export * from './answers';
export { compaction, NO_CONTENT } from './compaction';
export * from './erasure-target';
export * from './events';
export * from './wire';
export * from './wire-privacy';
