export * from './event-store-db';
export * from './log';
export * from './postgres';
export * from './postgres-when-reached';
export * from './projector';
export * from './projector-runner';
export * from './rights';
export { hasPassed, LEASE_MS, SEGMENTS, segmentOf } from './segments';
export type { SegmentStatus } from './segment-worker';
