export * from './catalogue';
export * from './checkpoint';
export { CHECKPOINT, endsCheckpoint, heldBy, revisionAfter } from './checkpoint-event';
export * from './compaction';
export * from './decider';
export * from './event-store';
export * from './handle';
export * from './state-cache';
